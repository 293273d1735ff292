from __future__ import annotations

import pytest
import torch

from pellucid.degradations import box_mask, exposures, grey, haze, magnitudes, random_mask, text_mask, uniform_blur
from pellucid.maths.problem import to_model
from pellucid.operators import PhaseRetrieval


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05


def test_a_random_mask_takes_its_share_in_all_channels() -> None:
    image = draw(1, 3, 100, 100)
    found = random_mask(image, 0.25)
    missing = found == 0
    assert torch.equal(missing.all(1), missing.any(1))
    assert torch.equal(found[~missing], image[~missing])
    assert missing.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert (random_mask(image, 1.0, fill=0.5) == 0.5).all()
    assert torch.equal(random_mask(image, 0.0), image)


def test_a_box_is_in_the_middle() -> None:
    found = box_mask(draw(1, 3, 256, 256)) == 0
    expected = torch.zeros(256, 256, dtype=torch.bool)
    expected[88:168, 88:168] = True
    assert torch.equal(found, expected.expand(1, 3, -1, -1))


def test_text_covers_a_part_of_every_quarter() -> None:
    image = draw(1, 3, 90, 120)
    missing = (text_mask(image, fill=1.0) == 1).all(1)[0]
    assert 0.05 < missing.float().mean() < 0.4
    for rows in missing.tensor_split(2, 0):
        for quarter in rows.tensor_split(2, 1):
            assert quarter.any()
    assert torch.equal(text_mask(image)[0, :, ~missing], image[0, :, ~missing])


def test_grey_is_the_mean_of_the_channels() -> None:
    image = draw(2, 3, 5, 4)
    for channel in grey(image).unbind(1):
        torch.testing.assert_close(channel, image.sum(1) / 3)


def test_exposures_are_factors_with_a_limit() -> None:
    image = draw(1, 3, 5, 4)
    dark, same, light = exposures(image, (0.5, 1.0, 2.0)).split(3, 1)
    assert torch.equal(dark, image / 2)
    assert torch.equal(same, image)
    assert torch.equal(light, (2 * image).clamp(max=1))
    noisy = exposures(image, (1.0, 1.0), noise=0.1).split(3, 1)
    assert not torch.equal(*noisy)


def test_haze_is_thickest_above() -> None:
    found = haze(torch.zeros(1, 1, 2, 1), density=2.0, light=0.8)
    expected = 0.8 * (1 - torch.exp(torch.tensor([-2.0, -0.4])))
    torch.testing.assert_close(found.flatten(), expected)


def test_a_uniform_blur_is_a_mean() -> None:
    image = draw(1, 1, 9, 9)
    assert uniform_blur(image, 3)[0, 0, 4, 4].item() == pytest.approx(image[0, 0, 3:6, 3:6].mean().item())


def test_magnitudes_have_the_energy_of_the_image() -> None:
    """Parseval; and what they are told with is what made them."""
    image = draw(2, 3, 16, 12)
    y, operator = magnitudes(image, oversampling=1.5, noise=0.0)
    assert y.shape == (2, 3, 24, 18)
    assert isinstance(operator, PhaseRetrieval)
    torch.testing.assert_close(y.square().sum((1, 2, 3)), to_model(image).square().sum((1, 2, 3)))
    off = magnitudes(image, noise=0.05)[0] - y
    assert off.std().item() == pytest.approx(0.05, rel=0.1)
