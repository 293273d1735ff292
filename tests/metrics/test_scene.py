from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.metrics.scene import _fitted, features
from pellucid.metrics.view import view


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_distribution_of_known_samples_is_found() -> None:
    """Gaussians have shape 2 and widths sqrt(2) times their deviation, Laplacians shape 1 and their scale."""
    normal = draw(1, 200, 200)
    shape, left, right = (value.item() for value in _fitted(3 * normal))
    assert (shape, left, right) == pytest.approx((2, 3 * 2**0.5, 3 * 2**0.5), rel=0.03)
    uniform = torch.special.ndtr(normal)
    laplacian = -(uniform - 0.5).sign() * torch.log1p(-2 * (uniform - 0.5).abs())
    shape, left, right = (value.item() for value in _fitted(2 * laplacian))
    assert (shape, left, right) == pytest.approx((1, 2, 2), rel=0.05)
    _, left, right = (value.item() for value in _fitted(torch.where(normal > 0, 3 * normal, normal)))
    assert right / left == pytest.approx(3, rel=0.03)


def test_photographs_numbers_are_those_of_the_published_program(bundled: dict[str, Tensor]) -> None:
    """Those of full scale, which BasicSR's formulas in NumPy and SciPy give for the grey coffee's first patch."""
    found, sharpness = features(view((bundled["coffee"] + 1) / 2, "grey", rounded=True))
    assert found.shape == (4, 36)
    assert sharpness.shape == (4,)
    expected = [
        1.997,
        0.7889658,
        0.731,
        0.08291649,
        0.08855766,
        0.1349411,
        0.744,
        -0.02632324,
        0.1307255,
        0.1153853,
        0.706,
        -0.1530648,
        0.1480497,
        0.06933552,
        0.671,
        0.1765819,
        0.05227863,
        0.1319053,
    ]
    assert found[0, :18].tolist() == pytest.approx(expected, rel=1e-5)


def test_flat_patches_have_no_shape() -> None:
    luma = torch.full((1, 1, 200, 96), 0.3)
    found, sharpness = features(luma)
    assert found.isnan().all()
    assert sharpness.tolist() == pytest.approx([0, 0], abs=1e-3)
    luma[..., 100:, :] += 0.1 * draw(1, 1, 100, 96)
    found, sharpness = features(luma)
    assert found.isnan().any(1).tolist() == [True, False]
    assert sharpness[0] < sharpness[1] / 4
