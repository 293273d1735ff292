from __future__ import annotations

import pytest
import torch

from pellucid.metrics import Loe


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_it_is_the_sum_over_all_pairs_of_pixels() -> None:
    x, y = ((draw(2, 1, 9, 7) * 255).round() / 255)[:, None].unbind()
    order = [one.flatten()[:, None] >= one.flatten() for one in (x, y)]
    assert Loe()(x, y).item() == pytest.approx((order[0] ^ order[1]).sum().item() / 63)


def test_pairs_whose_order_changes_are_counted() -> None:
    """By hand: of three pixels 1 < 2 < 3, two trade places; for each of these one order changes."""
    dark = torch.tensor([0.1, 0.2, 0.3]).view(1, 1, 1, 3)
    enhanced = torch.tensor([0.1, 0.6, 0.5]).view(1, 1, 1, 3)
    assert Loe()(enhanced, dark).tolist() == pytest.approx([2 / 3])
    # Equal in place of different is one change of two: only ">=" from the smaller one's side.
    assert Loe()(torch.tensor([0.1, 0.5, 0.5]).view(1, 1, 1, 3), dark).tolist() == pytest.approx([1 / 3])


def test_the_largest_colour_is_the_lightness() -> None:
    dark = torch.tensor([[0.1, 0.2], [0.5, 0.0], [0.0, 0.4]]).view(1, 3, 1, 2)
    assert Loe()(dark[:, 1:2], dark).tolist() == [0]
    assert Loe()(dark[:, 2:], dark).tolist() == [1]


def test_what_keeps_the_order_has_no_error() -> None:
    dark = (draw(2, 3, 20, 30) * 127).round() / 255
    assert Loe()(2 * dark, dark).tolist() == [0, 0]
    assert (Loe()(0.5 - dark, dark) > 300).all()


@pytest.mark.parametrize("reduction", ["bicubic", "sampled"])
def test_large_images_are_reduced(reduction: str) -> None:
    dark = draw(2, 3, 130, 190)
    loe = Loe(reduction=reduction)  # type: ignore[arg-type]
    assert loe(dark, dark).tolist() == [0, 0]
    # No pixel can change its order to more than all the others.
    assert (loe(1 - dark, dark) < 50 * 100).all()
    assert (loe(1 - dark, dark) > 500).all()
    assert torch.equal(loe(1 - dark, dark)[1:], loe(1 - dark[1:], dark[1:]))


def test_sampled_pixels_are_the_largest_around() -> None:
    dark = torch.zeros(1, 1, 110, 110)
    dark[..., 1, 1] = 1
    light = Loe(reduction="sampled")._lightness(dark)
    # Every second pixel, from the second on; those within 7 of the one light pixel are 0, 2, 4, 6 further.
    assert light.shape == (1, 1, 55, 55)
    assert light.sum().item() == 4 * 4
    assert light[..., :4, :4].min().item() == 1
