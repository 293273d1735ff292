"""A blur is believed if all of the picture agrees: exact measures, and pictures that only look blurred in the mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pellucid.degradations import blur as convolved
from pellucid.degradations import compress
from pellucid.diagnosis.agreement import contrast, edginess, sharpest
from pellucid.diagnosis.blur import estimate
from pellucid.diagnosis.kernels import Shape, interpolation, streak
from pellucid.diagnosis.likelihood import misfit
from pellucid.diagnosis.spectrum import spectrum
from pellucid.maths.problem import to_model, to_unit
from pellucid.operators.blur import gaussian


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def rounded(image: Tensor) -> Tensor:
    return to_model((image.clamp(0, 1) * 255).round() / 255)


def smooth(spread: float, side: int = 192) -> Tensor:
    """Random texture without edges, of variance 1."""
    texture = convolved(0.5 + 0.1 * drawn(1, 1, side + 32, side + 32), gaussian(spread))[..., 16:-16, 16:-16] - 0.5
    return texture / texture.std()


@pytest.fixture
def clean(bundled: dict[str, Tensor]) -> Tensor:
    return to_unit(bundled["coffee"])


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_an_enlargement_keeps_what_is_constant(factor: float) -> None:
    for kernel in (interpolation("bilinear", factor), interpolation("bicubic", factor)):
        row = kernel.sum(0)
        phases = [row[start :: int(factor)].sum().item() for start in range(int(factor))]
        assert phases == pytest.approx([1 / factor] * int(factor), abs=1e-12)
        torch.testing.assert_close(kernel, row[:, None] * row)
    assert interpolation("bilinear", 2.0)[2, 2].item() == pytest.approx(1 / 4)


def test_streaks_are_long_in_their_direction_only() -> None:
    kernel = streak(3.0, 0.0)
    at = torch.arange(len(kernel), dtype=torch.float64) - len(kernel) // 2
    assert kernel.sum().item() == pytest.approx(1)
    assert (kernel.sum(0) * at.square()).sum().item() == pytest.approx(9, rel=0.02)
    assert (kernel.sum(1) * at.square()).sum().item() < 0.2
    torch.testing.assert_close(streak(3.0, 90.0), kernel.T)


def test_the_contrast_of_two_halves_is_half_their_difference() -> None:
    image = torch.zeros(1, 3, 64, 64)
    assert contrast(image) == 0
    image[..., 32:] = 0.5
    assert contrast(image + 0.1) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("spread", [0.6, 1.5, 3.0])
def test_random_texture_has_no_edges_however_smooth_or_strong(spread: float) -> None:
    texture = smooth(spread, 256)
    assert edginess(texture) == pytest.approx(3, abs=0.4)
    assert edginess(0.01 * texture + 0.3) == pytest.approx(edginess(texture), rel=1e-3)
    assert edginess(torch.zeros(1, 1, 32, 32)) == 0


def test_photographs_have_edges_also_when_blurred(clean: Tensor) -> None:
    assert edginess(clean) > 4
    assert edginess(convolved(clean, gaussian(2.4))) > 3.6


def test_the_sharpest_parts_hold_what_is_sharp() -> None:
    image = torch.zeros(1, 1, 256, 320)
    image[..., 200:240, 150:190] = 0.05 * drawn(40, 40)
    parts = sharpest(image)
    assert all(part.shape[-2:] == (96, 96) for part in parts)
    assert parts[0].std() == max(part.std() for part in parts) > 0
    assert len(sharpest(torch.zeros(1, 3, 96, 96))) == 1


@pytest.mark.parametrize("spread", [1.2, 2.0])
@pytest.mark.parametrize("strength", [0.01, 0.2])
def test_soft_texture_is_not_blurred(spread: float, strength: float) -> None:
    """Paper and clouds have the spectrum of a blurred photograph."""
    assert estimate(rounded(0.5 + strength * smooth(spread).expand(1, 3, -1, -1))) is None


def test_wood_is_not_moved() -> None:
    texture = F.conv2d(drawn(1, 1, 230, 192), torch.ones(1, 1, 9, 1) / 3, padding=(0, 0))
    for image in (texture, F.avg_pool2d(texture, (5, 1), 1)):
        assert estimate(rounded(0.5 + 0.1 * image[..., :192].expand(1, 3, -1, -1))) is None


@pytest.mark.parametrize("quality", [None, 88])
@pytest.mark.parametrize("shape", [Shape("gaussian", 1.6), Shape("disk", 3.4)], ids=str)
def test_a_picture_with_a_part_in_focus_is_not_blurred(clean: Tensor, shape: Shape, quality: int | None) -> None:
    image = convolved(clean, shape.kernel())
    assert estimate(rounded(image)) is not None
    image[..., 60:156, 60:156] = clean[..., 60:156, 60:156]
    assert estimate(rounded(image if quality is None else compress(image, quality))) is None


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_an_enlarged_picture_is_not_blurred(clean: Tensor, mode: str) -> None:
    small = F.interpolate(clean, scale_factor=1 / 2.5, mode="area")
    assert estimate(rounded(F.interpolate(small, clean.shape[-2:], mode=mode))) is None


def test_a_blurred_photograph_fits_its_kernel(clean: Tensor) -> None:
    shape = Shape("disk", 2.6)
    power = spectrum(rounded(convolved(clean, shape.kernel())))
    assert misfit(power, shape) < 3 < misfit(power, Shape("disk", 5.0))
