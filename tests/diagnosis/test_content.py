"""Kind of picture: regular patterns are neither noise nor blur."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from pellucid.diagnosis import diagnose, of_picture
from pellucid.diagnosis.content import estimate
from pellucid.images import from_array, from_pil, from_tensor, to_pil
from pellucid.maths.problem import to_model, to_unit
from pellucid.priors import Counted, Prior, load_prior


def rgb(plane: Tensor) -> Tensor:
    """A plane from 0 to 1 as a grey picture in colour, rounded to 8 bits."""
    return ((plane.float().clamp(0, 1) * 255).round() / 127.5 - 1).expand(1, 3, *plane.shape).contiguous()


def bayer(size: int) -> Tensor:
    matrix = torch.zeros(1, 1)
    while len(matrix) < size:
        rows = torch.cat([4 * matrix, 4 * matrix + 2], 1), torch.cat([4 * matrix + 3, 4 * matrix + 1], 1)
        matrix = torch.cat(rows)
    return (matrix + 0.5) / matrix.numel()


def dithered(size: int, levels: int) -> Tensor:
    ramp = torch.linspace(0, levels - 1, 128).expand(128, -1)
    return ((ramp + bayer(size).tile(128 // size, 128 // size)).floor() / (levels - 1)).clamp(0, 1)


def wave(period: float, degrees: float) -> Tensor:
    right, down = (math.tau / period * of(math.radians(degrees)) for of in (math.cos, math.sin))
    at = torch.arange(128.0)
    return 0.5 + 0.35 * torch.sin(right * at + down * at[:, None])


def halftone(period: float) -> Tensor:
    screen = (wave(period, 30) + wave(period, 120)) / 2
    return ((torch.linspace(0.1, 0.9, 128) - screen) * 8 + 0.5).clamp(0, 1)


PATTERNS = {
    **{f"dither {size} of {levels}": dithered(size, levels) for size in (2, 4, 8) for levels in (2, 4, 32)},
    **{f"wave of {period} at {turn}": wave(period, turn) for period in (2.5, 9, 30) for turn in (0, 25, 90)},
    **{f"halftone of {period}": halftone(period) for period in (4, 7)},
}


def diffused(plane: Tensor) -> Tensor:
    """Two tones whose error goes to the next pixels, as in a fax: there is no period."""
    pixels = (plane * 255).round().to(torch.uint8).numpy()
    return torch.from_numpy(np.asarray(Image.fromarray(pixels).convert("1")).copy()).float()


@pytest.mark.parametrize("tones", [(0.0, 1.0), (0.1, 0.9)])
@pytest.mark.parametrize("quality", [None, 60])
def test_dots_at_random_are_no_noise(
    bundled: dict[str, Tensor], tones: tuple[float, float], quality: int | None
) -> None:
    grey = to_unit(bundled["coffee"]).mean((0, 1))[..., :96, :96]
    low, high = tones
    picture = rgb(low + (high - low) * diffused(grey))
    if quality is not None:
        file = io.BytesIO()
        to_pil(from_tensor(to_unit(picture[:, :1]))).save(file, "JPEG", quality=quality)
        picture = to_model(from_pil(Image.open(file)).tensor()).expand(1, 3, -1, -1)
    prior = Counted(load_prior("natural"))
    found = diagnose(prior, picture)
    assert found.content is not None
    assert found.content.patterned
    assert found.content.text.startswith("a picture of two tones")
    assert (found.noise, found.blur, prior.nfe) == (None, None, 0)


def test_strong_noise_has_more_than_two_tones(bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["cat"])
    noisy = (clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * 100 / 255).clamp(0, 1)
    assert estimate(2 * clean - 1).bilevel < 0.3
    assert estimate(2 * noisy - 1).bilevel < 0.5


@pytest.mark.parametrize("size", [(2, 9), (8, 7), (7, 8), (8, 8), (9, 700)])
def test_small_and_empty_pictures_have_no_two_tones(size: tuple[int, int]) -> None:
    assert estimate(torch.zeros(1, 3, *size)).bilevel == 0.0


@pytest.mark.parametrize("name", PATTERNS)
def test_of_a_pattern_nothing_is_found(name: str) -> None:
    prior = Counted(load_prior("natural"))
    picture = rgb(PATTERNS[name])
    content = estimate(picture)
    assert content.patterned or content.drawn
    found = diagnose(prior, picture)
    assert (found.noise, found.blur, found.enlarged, found.scratches) == (None,) * 4
    assert prior.nfe == 0


def test_noise_and_edges_are_no_pattern() -> None:
    noise = torch.rand(128, 128, generator=torch.Generator().manual_seed(0))
    edge = (torch.arange(128) > 60).float().expand(128, -1)
    slanted = torch.sigmoid((torch.arange(128.0)[:, None] * 0.6 + torch.arange(128.0) - 90) / 2)
    for plane in (noise, edge, slanted, (edge + slanted + 0.3 * noise) / 2.3):
        assert estimate(rgb(plane)).pattern < 1e-2, "far below the limit of 0.45"


def test_a_pattern_is_named() -> None:
    content = estimate(rgb(wave(9, 25)))
    assert content.text == "a regular pattern, such as a dither or a halftone, grey"
    assert content.evidence["pattern"] > 0.9


@pytest.mark.parametrize("radius", [3, 4])
def test_dots_of_a_pen_are_no_noise(natural: Prior, radius: int) -> None:
    image = Image.new("L", (768, 768), 255)
    draw = ImageDraw.Draw(image)
    for x, y in 768 * np.random.default_rng(0).random((9000, 2)):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    small = image.resize((192, 192), Image.Resampling.LANCZOS)
    assert of_picture(natural, from_array(np.asarray(small))).noise is None
