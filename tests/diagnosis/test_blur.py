"""The blur of a picture from its spectrum: exact on synthetic spectra, right on photographs, silent on sharp ones."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from pellucid.degradations import blur as convolved
from pellucid.degradations import compress
from pellucid.diagnosis import Finding
from pellucid.diagnosis.blur import Blur, blockiness, estimate
from pellucid.diagnosis.kernels import NONE, Shape
from pellucid.diagnosis.likelihood import narrower, search
from pellucid.diagnosis.spectrum import ANGLES, LEAST, RADII, Photographs, passed, spectrum
from pellucid.images import from_pil
from pellucid.maths.problem import to_model, to_unit

SHAPES = [Shape("gaussian", 1.2), Shape("gaussian", 2.4), Shape("disk", 2.6), Shape("motion", 8.3, 37)]


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def clean(bundled: dict[str, Tensor]) -> Tensor:
    return to_unit(bundled["coffee"][..., 64:192, 64:192])


def rounded(image: Tensor) -> Tensor:
    return to_model((image.clamp(0, 1) * 255).round() / 255)


def test_the_spectrum_of_white_noise_is_its_variance() -> None:
    power = spectrum(0.3 * draw(1, 1, 512, 512))
    torch.testing.assert_close(power.mean(), torch.tensor(0.09, dtype=torch.float64), rtol=0.02, atol=0)
    assert power.shape == (len(RADII), ANGLES)


def test_a_kernel_passes_the_square_of_its_transfer_function() -> None:
    assert torch.equal(passed([NONE.kernel()])[0], torch.ones(len(RADII), ANGLES, dtype=torch.float64))
    # Along the first direction, to the right, and across: a motion of 8 pixels has its first zero at 1/8.
    motion = passed([Shape("motion", 8.0).kernel()])[0]
    expected = torch.sinc(8 * RADII).square()
    assert (motion[:, 0] - expected)[RADII > 0.09].abs().max() < 0.06
    assert motion[:, ANGLES // 2].min() > 0.75
    # A Gaussian's is a Gaussian; the window mixes in what lies beside.
    gaussian = passed([Shape("gaussian", 1.2).kernel()])[0]
    wanted = (-((2 * math.pi * 1.2 * RADII) ** 2)).exp()
    assert (gaussian.mean(1) - wanted).abs().max() < 0.05


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_average_photograph_through_a_kernel(shape: Shape) -> None:
    """The model's own spectrum, with 8 bits' rounding, gives back family, size and direction."""
    power = Photographs.load().mean.exp().view(len(RADII), ANGLES) * passed([shape.kernel()])[0] + LEAST
    families = search(power)
    family = max(families, key=lambda name: families[name][1])
    best, margin = families[family]
    assert family == shape.family
    assert best.size == pytest.approx(shape.size, rel=0.06)
    assert abs(best.degrees - shape.degrees) <= 3
    assert margin > 60


@pytest.mark.parametrize("size", [1.2, 2.4])
@pytest.mark.parametrize("softness", [0.0, 4.0, 8.0])
def test_a_gaussian_is_not_taken_for_a_wider_one(size: float, softness: float) -> None:
    """A soft photograph, as one of clouds, falls off faster than the average."""
    falls = (-softness * RADII).exp()[:, None]
    mean = Photographs.load().mean.exp().view(len(RADII), ANGLES)
    power = mean * falls * passed([Shape("gaussian", size).kernel()])[0] + LEAST
    likeliest = search(power)["gaussian"][0]
    safe = narrower(power, likeliest)
    assert 0.7 * likeliest.size <= safe.size <= likeliest.size
    assert safe.size == pytest.approx(size, rel=0.06 if softness == 0 else 0.25)


@pytest.mark.parametrize("quality", [None, 90])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_photograph(clean: Tensor, shape: Shape, quality: int | None) -> None:
    blurred = convolved(clean, shape.kernel())
    found = estimate(rounded(blurred if quality is None else compress(blurred, quality)))
    assert found is not None
    assert isinstance(found, Finding)
    assert found.compressed == (quality is not None)
    assert found.shape.spread == pytest.approx(shape.spread, rel=0.4)
    if quality is None:
        assert found.shape.family == shape.family
        assert found.shape.size == pytest.approx(shape.size, rel=0.1)
        assert abs(found.shape.degrees - shape.degrees) <= 6
    assert found.confidence > 0.5
    assert "blur of" in found.text


@pytest.mark.parametrize("level", [1.5, 4.0])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_the_noise_that_a_blur_shows(clean: Tensor, shape: Shape, level: float) -> None:
    # No clipping, which takes part of the noise.
    blurred = 0.1 + 0.8 * convolved(clean, shape.kernel())
    plain = estimate(rounded(blurred))
    assert plain is not None
    assert plain.noise * 127.5 < 0.37  # of rounding to 8 bits it is 0.29
    noise = level / 255 * draw(*clean.shape).float()
    for added, grey in ((noise, False), (noise[:, :1], False), (noise[:, :1], True)):
        x = blurred.mean(1, keepdim=True).expand(-1, 3, -1, -1) if grey else blurred
        found = estimate(rounded(x + added))
        assert found is not None
        assert found.noise * 127.5 == pytest.approx(level, rel=0.15)
        assert found.evidence["noise"] == found.noise * 127.5


def test_what_is_not_blurred(clean: Tensor) -> None:
    noisy = clean + 0.1 * draw(*clean.shape).float()
    for image in (clean, noisy, compress(clean, 30), compress(clean, 90)):
        assert estimate(rounded(image)) is None
    page = Image.new("RGB", (128, 128), "white")
    for line in range(8):
        ImageDraw.Draw(page).text((4, 4 + 15 * line), f"Line {line} of a page", fill="black")
    assert estimate(to_model(from_pil(page).tensor()), drawn=True) is None


def test_what_is_too_small_or_empty_has_none() -> None:
    assert estimate(torch.zeros(1, 3, 95, 200)) is None
    assert estimate(torch.zeros(1, 3, 128, 128)) is None
    assert estimate(torch.zeros(1, 1, 1, 1)) is None


def test_the_blocks_of_jpeg_stand_out_wherever_they_begin(clean: Tensor) -> None:
    blurred = convolved(clean, Shape("gaussian", 2.0).kernel())
    coarse = compress(blurred, 60)
    assert blockiness(to_model(blurred)) < 2.8 < blockiness(to_model(coarse))


def test_a_finding_says_its_numbers() -> None:
    found = Blur(Shape("motion", 8.3, 37), 120.0, 50.0, 1.0)
    assert found.text == "motion blur of 8.3 pixels at 37 degrees"
    assert found.remedy == "--task unblur"
    assert found.evidence == {
        "size": 8.3,
        "degrees": 37,
        "margin": 120.0,
        "ahead": 50.0,
        "grid": 1.0,
        "agreement": 0.0,
    } | {"noise": 0.0}
    assert Blur(Shape("disk", 2.6), 40.0, 1.0).text == "lens blur of radius 2.6 pixels"
