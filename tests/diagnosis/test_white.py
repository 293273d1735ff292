"""White noise by a prior and by the picture alone."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pellucid.diagnosis.content import estimate as content_of
from pellucid.diagnosis.noise import LEAST, Calm, estimate
from pellucid.diagnosis.noise.white import White, beside_drawn, on_paper, white_level
from pellucid.images import from_pil
from pellucid.maths.noise import Streams
from pellucid.maths.problem import to_model, to_unit
from pellucid.methods.method import last
from pellucid.methods.walk import Denoising
from pellucid.metrics import psnr
from pellucid.priors import Counted, load_prior


def seen(
    share: float = 0.9, spread: float = -2.0, direction: float = -2.0, slow: float = -0.1, fall: float = 0.0
) -> White:
    return White(0.1, share, spread, direction, slow, fall, 4, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("axes", [1, 3])
def test_white_noise_is_taken_evenly(axes: int) -> None:
    assert seen().certain(axes)
    assert not seen(share=0.6).certain(axes)
    assert not seen(spread=-1.05).certain(axes), "texture is in places"
    assert seen(spread=-1.2).certain(axes) == (axes == 1), "colours tell more"
    assert seen(direction=-0.5).certain(axes) == (axes == 3)
    assert seen(spread=-2.5, direction=-0.9).certain(axes) == (axes == 3), "texture has a direction"
    assert not seen(spread=-1.2, direction=-1.3).certain(1), "fur is even, but has directions"
    assert not seen(fall=0.5).certain(axes), "grains of two pixels have hardly any of the finest waves"
    assert not seen(fall=-0.65).certain(axes), "sharpened texture and error diffusion have too much of the finest ones"
    assert seen(slow=0.05).certain(axes) == (axes == 3), "a lawn has more power in slow waves"
    assert seen(slow=-1.6).certain(axes) == (axes == 3), "a weave has no slow waves"


def test_what_is_taken_of_noise_is_even_and_of_stripes_is_not() -> None:
    natural = load_prior("natural")
    noise = 0.2 * torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)).expand(1, 3, -1, -1)
    even = white_level(natural, Calm(noise, 1), 0.35, 2)
    assert even.certain(1)
    assert even.slow < 0, "a prior takes some of the slow waves for picture, even where there is none"
    grains = F.avg_pool2d(F.pad(noise, (0, 1, 0, 1), mode="circular"), 2, 1) * 2
    found = white_level(natural, Calm(grains, 1), 0.35, 2)
    assert found.fall > 0.4 > even.fall
    assert not found.certain(1)
    assert replace(found, fall=0.4).certain(1)
    stripes = F.avg_pool2d(noise, (1, 5), 1, (0, 2)) * 5**0.5
    stripes[..., 48:, :] *= 0.3
    assert not white_level(natural, Calm(stripes, 1), 0.35, 2).certain(1)


def test_sharpened_texture_has_too_much_of_the_finest_waves() -> None:
    """So has error diffusion, as in a picture of few colours saved as a JPEG: both were smeared as white noise."""
    down, across = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    shade = 0.3 * (down / 37).sin() + 0.3 * (across / 29).cos()
    noise = 0.1 * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    for left, certain in ((noise, True), (noise - F.avg_pool2d(noise, 3, 1, 1), False)):
        found = white_level(load_prior("natural"), Calm(shade + left, 3), 0.13, 4)
        assert (found.fall > -0.3) == certain
        assert found.certain(3) == certain
        assert replace(found, fall=0.0).certain(3)


def test_texture_has_the_form_of_its_estimate() -> None:
    """In grey, evenness, direction and form count together; colours tell enough by themselves."""
    assert seen().confidence == pytest.approx(0.99)
    usual, texture = (replace(seen(spread=-1.5, direction=-1.8), echo=echo) for echo in (0.05, 0.4))
    assert usual.confidence > 0.98
    assert usual.numbers["echo"] == 0.05
    assert texture.confidence < 0.05
    assert replace(texture, spread=-2.5, direction=-2.5).confidence > 0.9, "noise in a flat picture"


def test_drawn_noise_shows_what_form_noise_would_have() -> None:
    """Of noise a prior takes what it takes of drawn noise; of pebbles their edges, which it weakens."""
    natural, chance = load_prior("natural"), torch.Generator().manual_seed(0)
    noise = 0.15 * torch.randn(1, 1, 96, 96, generator=chance)
    dots = F.max_pool2d((torch.rand(1, 1, 192, 192, generator=chance) < 0.04).float(), 3, 1, 1)
    shade = torch.linspace(-0.4, 0.4, 96)
    signs = []
    for y, above in ((shade + noise, 0.35), (0.4 - 1.2 * F.avg_pool2d(dots, 2), 0.5)):
        calm = Calm(y.expand(1, 3, -1, -1), 1)
        found = beside_drawn(natural, calm, white_level(natural, calm, above, 2))
        assert found.echo is not None
        assert found.calls == 3
        signs.append(found.echo)
    assert abs(signs[0]) < 0.06
    assert signs[1] > signs[0] + 0.15


def test_a_weave_that_bends_is_no_noise() -> None:
    """It is as even as white noise, and has as many directions, but no slow waves."""
    down, across = torch.meshgrid(torch.arange(192.0), torch.arange(192.0), indexing="ij")
    x, y = ((at + 4 * (other / size).sin()) / 3 for at, other, size in ((across, down, 31), (down, across, 27)))
    over = (x.floor() + y.floor()) % 2 > 0
    threads = 128 + 30 * torch.where(over, (math.pi * (x % 1)).sin(), (math.pi * (y % 1)).sin())
    cloth = (threads * (0.7 + 0.3 * (across / 60).sin())).round() / 127.5 - 1
    image = cloth.expand(1, 3, -1, -1)
    seen_ = white_level(load_prior("natural"), Calm(image, 1), 0.1, 4)
    assert seen_.slow < -1.5
    assert not seen_.certain(1)
    assert replace(seen_, slow=-1.0).certain(1)
    assert estimate(load_prior("natural"), image, content_of(image)) is None


def music(paper: float = 0.92) -> Tensor:
    """Staves with notes at random, (1, 3, 160, 160) in [0, 1]."""
    page, chance = torch.full((160, 160), paper), torch.Generator().manual_seed(2)
    for top in range(12, 130, 52):
        for line in range(5):
            page[top + 6 * line, 6:-6] = 0.15
        for left in range(12, 140, 18):
            at = top - 3 + int(torch.randint(24, (), generator=chance))
            page[at : at + 5, left : left + 6] = 0.1
            page[max(at - 16, 0) : at, left + 5] = 0.1
    # A scanner's strokes have soft edges.
    return F.avg_pool2d(page[None, None], 3, 1, 1, count_include_pad=False).expand(1, 3, -1, -1)


@pytest.mark.parametrize("paper", [0.85, 1.0])
def test_noise_of_a_page_is_that_of_its_paper(paper: float) -> None:
    truth, noise = music(paper), torch.randn(1, 1, 160, 160, generator=torch.Generator().manual_seed(0))
    noisy = (truth + 15 / 255 * noise).clamp(0, 1)
    content, prior = content_of(to_model(noisy)), Counted(load_prior("natural"))
    assert content.patterned, "the staves are waves that repeat"
    assert content.inked
    found = estimate(prior, to_model(noisy), content)
    assert found is not None
    assert (found.white > 0, prior.nfe) == (True, 0)
    # Half of the noise of white paper is clipped.
    least, most = (13.0, 15.5) if paper < 1 else (7.0, 11.0)
    assert least < found.level * 127.5 < most
    out = to_unit(last(Denoising(found, grey=True).iterate(to_model(noisy), prior, Streams([0]))).x)
    assert psnr(out, truth) > psnr(noisy, truth) + 2.5


def test_noise_of_a_page_in_a_jpeg_in_colour_is_found_on_its_paper() -> None:
    """The file has kept the fine waves of grey and cut off those of the colours; without noise there is none."""
    for level in (12, 0):
        noise = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
        noisy = (music(0.85).expand(1, 3, -1, -1) + level / 255 * noise).clamp(0, 1)
        file = io.BytesIO()
        pixels = (255 * noisy[0].permute(1, 2, 0)).round().byte().numpy()
        Image.fromarray(pixels).save(file, "JPEG", quality=92)
        y = to_model(from_pil(Image.open(file)).tensor())
        found = on_paper(Calm(y, 3, compressed=True))
        if not level:
            assert found is None or found.level < LEAST
            continue
        assert found is not None
        assert (found.white, found.coded) == (0.0, True)
        grey, *colours = (127.5 * one for one in found.spectrum.levels)
        assert grey == pytest.approx(level, rel=0.15)
        assert max(colours) < 0.5 * level


def test_strokes_and_dots_without_flat_paper_have_no_noise() -> None:
    clean = on_paper(Calm(to_model(music()), 1))
    assert clean is None or clean.level < LEAST
    across = torch.arange(160.0)
    dots = 0.5 + 0.25 * ((across[:, None] + across).mul(0.9).cos() + (across[:, None] - across).mul(0.9).cos())
    shade = torch.linspace(0.2, 0.8, 160)
    printed = torch.sigmoid(12 * (shade - dots)).expand(1, 3, -1, -1)
    assert on_paper(Calm(to_model(printed), 1)) is None
    rough = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2)).expand(1, 3, -1, -1)
    assert on_paper(Calm(to_model(rough), 1)) is None, "it would be the whole picture"


def grain(level: float) -> Tensor:
    return level * torch.randn(1, 1, 160, 160, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("level", "there"), [(0.06, True), (0.3, False)])
def test_strokes_are_stronger_than_the_noise_of_their_paper(level: float, *, there: bool) -> None:
    """What is nearly as strong as all of a page are its grains or letters."""
    strokes = 0.5 * (torch.arange(160) % 12 < 3).float() * (torch.arange(160) > 80)
    found = on_paper(Calm((0.2 - strokes + grain(level)).expand(1, 3, -1, -1), 1))
    assert (found is not None) == there
    if found is not None:
        assert found.white / 3**0.5 == pytest.approx(level, rel=0.15)


@pytest.mark.parametrize("slope", [0.0, 1.2])
def test_paper_has_one_tone_where_there_is_little_of_it(slope: float) -> None:
    """The calmest parts of gravel, of all tones and ever rougher, are no paper."""
    rough = torch.linspace(0.5, 4, 160) * grain(0.1)
    shade = slope * torch.linspace(-0.5, 0.5, 160)[:, None]
    found = on_paper(Calm((shade + rough).clamp(-1, 1).expand(1, 3, -1, -1), 1))
    assert (found is None) == bool(slope)
