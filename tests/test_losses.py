"""Losses without a reference, on images whose losses can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.methods.losses import colour_constancy, exposure, illumination_smoothness, spatial_consistency, ssim_loss


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blocks(values: list[list[float]], side: int) -> Tensor:
    """A grey image of flat square regions."""
    return torch.tensor(values).double().repeat_interleave(side, 0).repeat_interleave(side, 1)[None, None]


def test_exposure_is_the_mean_distance_of_regions() -> None:
    x = blocks([[0.1, 0.9], [0.6, 0.4]], 16)
    assert exposure(x).tolist() == pytest.approx([(0.5 + 0.3 + 0 + 0.2) / 4])
    # A region's mean counts, not its pixels: a checkerboard of 0 and 1 is as bright as 0.5.
    board = ((torch.arange(16)[:, None] + torch.arange(16)) % 2).double()[None, None]
    assert exposure(board).tolist() == pytest.approx([0.1])
    # As do the channels' means.
    colour = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    assert exposure(colour, level=0.2).tolist() == pytest.approx([0.3])


def test_a_region_is_as_large_as_there_is_room_for() -> None:
    x = draw(1, 1, 5, 7)
    assert exposure(x).tolist() == pytest.approx([(x.mean() - 0.6).abs().item()])
    expected = sum((part.mean() - 0.6).abs() for rows in x.split(4, 2) for part in rows.split(4, 3)) / 4
    assert exposure(x, region=4).tolist() == pytest.approx([float(expected)])


def test_colour_constancy_is_the_sum_over_pairs() -> None:
    means = torch.tensor([0.1, 0.4, 0.9]).double()
    x = means.view(1, 3, 1, 1) + torch.tensor([-0.1, 0.1]).double()
    assert colour_constancy(x).tolist() == pytest.approx([0.3**2 + 0.8**2 + 0.5**2])
    assert colour_constancy(draw(1, 1, 4, 4)).tolist() == [0]


def test_smoothness_of_ramps() -> None:
    """2 along x and 3 along y, but nothing beyond the border."""
    down, across = torch.arange(4.0).double()[:, None], torch.arange(5.0).double()
    ramp = (2 * across - 3 * down)[None, None]
    inside, right, bottom = 3 * 4 * 5**2, 3 * 3**2, 4 * 2**2
    assert illumination_smoothness(ramp).tolist() == pytest.approx([(inside + right + bottom) / 20])
    flat = torch.zeros_like(ramp)
    assert illumination_smoothness(torch.cat([ramp, flat], 1)).tolist() == pytest.approx(
        [(inside + right + bottom) / 40]
    )


def test_spatial_consistency_between_four_regions() -> None:
    before = blocks([[0.1, 0.2], [0.1, 0.1]], 4)
    after = blocks([[0.3, 0.7], [0.3, 0.3]], 4)
    # Two pairs' contrasts were 0.1 and are 0.4, and each is seen from both of its regions.
    assert spatial_consistency(after, before).tolist() == pytest.approx([4 * 0.3**2 / 4])
    # The absolute contrast counts: it may change its sign, and the image its brightness.
    assert spatial_consistency(1 - before, before).tolist() == pytest.approx([0])
    assert spatial_consistency(before + 0.5, before).tolist() == pytest.approx([0])


def test_ssim_loss_is_zero_for_equal_images() -> None:
    x = draw(2, 3, 12, 11).float()
    loss = ssim_loss(x, x)
    assert loss.dtype == torch.float32
    assert loss.tolist() == pytest.approx([0, 0])
    assert (ssim_loss(x, draw(2, 3, 12, 11, seed=1).float()) > 0.5).all()
    with pytest.raises(PellucidError, match="at least 11x11"):
        ssim_loss(x[..., :10], x[..., :10])


OTHER = draw(2, 3, 12, 13, seed=1)
LOSSES: list[Callable[[Tensor], Tensor]] = [
    lambda x: exposure(x, region=4),
    colour_constancy,
    illumination_smoothness,
    lambda x: spatial_consistency(x, OTHER[: len(x)]),
    lambda x: ssim_loss(x, OTHER[: len(x)]),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_they_are_differentiable_and_for_each_image_by_itself(loss: Callable[[Tensor], Tensor]) -> None:
    x = (0.1 + 0.8 * draw(2, 3, 12, 13)).requires_grad_()
    both = loss(x)
    assert both.shape == (2,)
    assert torch.equal(both[:1], loss(x[:1]))
    assert torch.autograd.gradcheck(loss, (x[:1],))


def test_a_single_pixel_has_losses() -> None:
    x = torch.full((1, 3, 1, 1), 0.2)
    values = [exposure(x), colour_constancy(x), illumination_smoothness(x), spatial_consistency(x, x)]
    assert [value.item() for value in values] == pytest.approx([0.4, 0, 0, 0])
