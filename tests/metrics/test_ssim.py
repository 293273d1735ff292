from __future__ import annotations

import pytest
import torch

from pellucid.errors import PellucidError
from pellucid.metrics import Ssim, ssim


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_flat_images_are_compared_by_their_brightness_alone() -> None:
    a, b = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(expected)


def test_it_is_equation_13_at_a_single_window() -> None:
    """An image as large as the window: weighted moments, written out."""
    x, y = draw(1, 1, 11, 11), draw(1, 1, 11, 11, seed=1)
    position = torch.arange(11) - 5
    weight = torch.exp(-(position[:, None] ** 2 + position**2) / (2 * 1.5**2)).double()
    weight /= weight.sum()
    mx, my = (weight * x).sum(), (weight * y).sum()
    vx, vy = (weight * (x - mx) ** 2).sum(), (weight * (y - my) ** 2).sum()
    covariance = (weight * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim(x, y).item() == pytest.approx(expected.item())


def test_its_laws() -> None:
    x, y = draw(2, 3, 20, 14), draw(2, 3, 20, 14, seed=1)
    assert ssim(x, x).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    torch.testing.assert_close(ssim(x, y)[1:], ssim(x[1:], y[1:]))
    assert (ssim(x, y) < 0.2).all()
    assert (ssim(0.9 * x + 0.1 * y, x) > ssim(0.6 * x + 0.4 * y, x)).all()
    with pytest.raises(PellucidError, match="at least 11x11"):
        ssim(x[..., :10], y[..., :10])


def test_a_uniform_windows_variances_are_those_of_a_sample() -> None:
    x, y = draw(1, 1, 7, 7), draw(1, 1, 7, 7, seed=1)
    mx, my, vx, vy = x.mean(), y.mean(), x.var(), y.var()
    covariance = ((x - mx) * (y - my)).sum() / 48
    expected = (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert Ssim("uniform")(x, y).item() == pytest.approx(expected.item())


def test_signed_images_of_one_brightness_each() -> None:
    a, b = torch.full((1, 1, 12, 12), 0.2), torch.full((1, 1, 12, 12), 0.6)
    expected = (2 * -0.6 * 0.2 + 4e-4) / (0.6**2 + 0.2**2 + 4e-4)
    assert ssim(a, b, signed=True).item() == pytest.approx(expected, rel=1e-5)


def test_a_mirrored_border_counts_every_pixel() -> None:
    x, y = draw(1, 1, 11, 11), draw(1, 1, 11, 11, seed=1)
    assert ssim(x, y, border="reflect").item() != pytest.approx(ssim(x, y).item(), abs=1e-3)
    wide_x, wide_y = (torch.nn.functional.pad(each, (5,) * 4, mode="reflect") for each in (x, y))
    assert ssim(x, y, border="reflect").item() == pytest.approx(ssim(wide_x, wide_y).item())
