"""What is wrong with a picture, from the picture."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from pellucid.degradations import compress, gaussian_blur, gaussian_noise
from pellucid.diagnosis import CALLS, Content, Diagnosis, Enlarged, Exposure, Finding, Noise, diagnose
from pellucid.diagnosis.content import estimate as content_of
from pellucid.diagnosis.noise import Calm, estimate
from pellucid.diagnosis.noise.blocks import Taken, blocks, calmest, limited
from pellucid.diagnosis.noise.brightness import by_brightness, curved
from pellucid.diagnosis.noise.signs import unclipped
from pellucid.diagnosis.noise.stationary import BANDS, Spectrum, from_opponent, to_opponent
from pellucid.diagnosis.noise.white import bounded
from pellucid.images import from_pil
from pellucid.maths.noise import Streams
from pellucid.maths.problem import to_model, to_unit
from pellucid.maths.stabilised import Curve, Variance
from pellucid.methods.method import last
from pellucid.methods.walk import Denoising
from pellucid.metrics import psnr
from pellucid.priors import Counted, Prior, fit, load_prior


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def clean(bundled: dict[str, Tensor]) -> Tensor:
    return to_unit(bundled["coffee"][..., 64:192, 64:192])


def found(prior: Prior, image: Tensor) -> Noise | None:
    counted = Counted(prior)
    noise = diagnose(counted, to_model(image)).noise
    assert counted.nfe <= CALLS
    return noise


def text() -> Tensor:
    page = Image.new("RGB", (128, 128), "white")
    for line in range(8):
        ImageDraw.Draw(page).text((4, 4 + 15 * line), f"Line {line} of a page", fill="black")
    return from_pil(page).tensor()


def test_the_power_of_blocks_is_that_of_the_noise() -> None:
    power = blocks(0.3 * draw(1, 3, 128, 128)).mean(0)
    torch.testing.assert_close(power[:, 2:], torch.full((3, 7), 0.09), rtol=0.1, atol=0)


@pytest.mark.parametrize("sigma", [0.03, 0.1])
def test_white_noise(natural: Prior, clean: Tensor, sigma: float) -> None:
    noise = found(natural, gaussian_noise(clean, sigma))
    assert noise is not None
    assert noise.white / 2 == pytest.approx(sigma, rel=0.15)
    assert noise.text.startswith("white noise")
    assert noise.confidence > 0.8


@pytest.mark.parametrize("told", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("sigma", [0.03, 0.2])
def test_the_picture_alone_bounds_the_level(sigma: float, axes: int, told: float) -> None:
    """Whatever the prior says, between half of a flat picture and half of strong waves."""
    columns = torch.arange(128.0)
    waves = 0.4 * torch.sin(columns / 2)[None] * torch.sin(columns / 5)[:, None] * (columns > 63)
    noise = draw(1, axes, 128, 128).expand(1, 3, 128, 128) / (math.sqrt(3) if axes == 1 else 1.0)
    assert 0.8 * sigma < bounded(told * sigma, Calm(waves + sigma * noise, axes)) < 1.1 * sigma


def test_a_level_within_the_bounds_is_kept(clean: Tensor) -> None:
    y = to_model(clean) + 0.1 * draw(1, 3, 128, 128)
    assert bounded(0.1, Calm(y, 3)) == pytest.approx(0.1, rel=0.03)
    assert bounded(0.3, Calm(y[..., :64, :64], 3)) == 0.3, "a small picture has too few patches"


def test_noise_of_a_grey_picture(natural: Prior, clean: Tensor) -> None:
    grey = clean.mean(1, keepdim=True)
    noise = found(natural, (grey + 0.1 * draw(1, 1, 128, 128)).clamp(0, 1).expand(-1, 3, -1, -1))
    assert noise is not None
    assert noise.level / 2 == pytest.approx(0.1, rel=0.15)
    assert noise.spectrum.levels[1:] == pytest.approx([0, 0], abs=1e-4)


def test_grain_and_coloured_noise_are_told_apart(natural: Prior, clean: Tensor) -> None:
    grain = 0.06 * draw(1, 1, 128, 128).expand(-1, 3, -1, -1)
    noise = found(natural, (clean + grain).clamp(0, 1))
    assert noise is not None
    assert noise.white == 0
    assert "grain" in noise.text
    assert noise.level / 2 == pytest.approx(0.06, rel=0.3)
    blotches = to_opponent(gaussian_blur(draw(1, 3, 128, 128), 1.5))
    blotches[:, 0] = 0
    stained = found(natural, (clean + 0.08 * from_opponent(blotches / blotches.std())).clamp(0, 1))
    assert stained is not None
    assert "colour noise" in stained.text


def test_noise_before_compression(natural: Prior, clean: Tensor) -> None:
    noise = found(natural, compress(gaussian_noise(clean, 0.08).clamp(0, 1), 92))
    assert noise is not None
    assert noise.white == 0
    assert noise.level / 2 == pytest.approx(0.06, rel=0.35)


def test_grey_texture_of_a_compressed_picture_in_colour_is_no_noise(natural: Prior, clean: Tensor) -> None:
    """Sand is as Gaussian and as even as grain; but noise before a JPEG has colours."""
    sand = compress((clean.lerp(clean.mean((2, 3), keepdim=True), 0.9) + 0.06 * draw(1, 1, 128, 128)).clamp(0, 1), 80)
    y = to_model(sand)
    pressed, plain = Calm.of(y, content_of(y), compressed=True), Calm.of(y, content_of(y))
    assert pressed is not None
    assert plain is not None
    assert pressed.silent
    assert not plain.silent
    assert found(natural, sand) is None


@pytest.mark.parametrize("name", ["cat", "coffee"])
def test_grain_of_the_middle_tones_of_a_grey_file(natural: Prior, bundled: dict[str, Tensor], name: str) -> None:
    grey = to_unit(bundled[name][..., 32:224, 32:224]).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    grain = 2 * F.avg_pool2d(F.pad(draw(1, 1, 192, 192), (0, 1, 0, 1), mode="circular"), 2, 1)
    file = compress((grey + 18 / 255 * 4 * grey * (1 - grey) * grain).clamp(0, 1), 80)
    noise = estimate(natural, to_model(file), content_of(to_model(file)), compressed=True)
    assert noise is not None
    state = last(Denoising(noise, grey=True).iterate(to_model(file), Counted(natural), Streams([0])))
    assert psnr(to_unit(state.x), grey) > psnr(file, grey) + 1.5
    clean = compress(grey, 80)
    assert estimate(natural, to_model(clean), content_of(to_model(clean)), compressed=True) is None


def test_the_limit_of_noise_before_compression() -> None:
    power = torch.full((3, 9), 0.01)
    power[1, :2], power[2, :2], power[1:, 2:] = 0.001, 0.003, 1e-6
    of_colours = limited(Spectrum(power), 3, 2.0).power
    torch.testing.assert_close(of_colours[0], torch.full((9,), 0.004))
    assert torch.equal(of_colours[1:], power[1:])
    assert torch.equal(limited(Spectrum(power), 3, None).power, power)
    assert torch.equal(limited(Spectrum(power), 1, 2.0).power, power)
    assert limited(Spectrum.white(0.1, 3), 3, 2.0).level == pytest.approx(0.1)


def test_clipped_blocks_do_not_bound_the_noise() -> None:
    """Clipping at black leaves a third of the variance of noise: such blocks would be the calmest."""
    light = torch.full((1, 3, 96, 96), -1.0)
    light[..., 40:] = 0.0
    y = gaussian_noise(to_unit(light), sigma=0.05, seed=1).clamp(0, 1).mul(255).round().div(255)
    y = to_model(y)
    kept = unclipped(y)
    assert not kept.all()
    assert calmest(y, kept, 3).level == pytest.approx(0.1, rel=0.1)
    assert calmest(y, torch.ones_like(kept), 3).level < 0.075
    assert Calm(y, 3).bound.level < 0.075, "a small picture has too few blocks without them"
    wide = torch.cat([y, y.flip(2)] * 5, 2)
    assert Calm(wide, 3).bound.level == pytest.approx(0.1, rel=0.1)


def test_grain_that_depends_on_brightness() -> None:
    """Of a scan with noisier dark parts, and of one with the same grain everywhere; the estimate is the truth."""
    ramp = torch.linspace(-0.9, 0.9, 256).expand(1, 3, 256, 256)
    told = Spectrum.white(0.1, 3, 1)
    grain = to_opponent(0.1 * draw(1, 3, 256, 256))
    grain[:, 1:] = 0
    strength = (1.5 - (ramp + 1) / 2).sqrt()
    every = torch.ones(31 * 31, dtype=torch.bool)
    variance = by_brightness(Taken(ramp + strength * from_opponent(grain), ramp), told, 3, every)
    assert variance is not None
    # The mean power over channels is a third of the grey axis', and a prior takes 0.95 of the amplitude.
    whole = 0.1**2 / 3 / (2 * 0.95) ** 2
    assert (variance.a, variance.b) == pytest.approx((1.5 * whole, -whole), rel=0.15)
    assert by_brightness(Taken(ramp + from_opponent(grain), ramp), told, 3, every) is None


def middle_tones(ramp: Tensor) -> tuple[Tensor, Tensor]:
    """A picture with grain that is strongest in its middle tones, and the variance there, in [0, 1] units."""
    light = (ramp[:, :1] + 1) / 2
    variance = 1e-4 + 0.03 * (light * (1 - light)) ** 1.5
    return ramp + 2 * variance.sqrt() * draw(1, 1, *ramp.shape[-2:]), variance


def test_the_floor_of_noise_by_brightness() -> None:
    """No line describes it; even noise has no curve, and neither has texture of one kind in the bright half."""
    ramp = torch.linspace(-0.9, 0.9, 256).expand(1, 3, 256, 256)
    y, variance = middle_tones(ramp)
    curve = Calm(y, 1).curve
    assert curve is not None
    inner = slice(32, 224)
    ratio = curve.at((ramp[0, 0, 0, inner] + 1) / 2) / variance[0, 0, 0, inner]
    assert ratio.log().std().item() < 0.2
    even = ramp + 0.1 * draw(1, 1, 256, 256)
    assert Calm(even, 1).curve is None
    waves = torch.sin(torch.arange(256) * 2 * torch.pi * 0.2) * 0.3 * (ramp > 0)
    assert Calm(even + waves, 1).curve is None


def test_the_curve_is_corrected_by_what_was_taken() -> None:
    """Told twice as much noise in bright parts as there is, an estimate that is the truth takes half of it there."""
    ramp = torch.linspace(-0.6, 0.6, 8).repeat_interleave(64).expand(1, 3, 128, 512)
    y, variance = middle_tones(ramp)
    light = torch.linspace(0, 1, 11)
    truth = 1e-4 + 0.03 * (light * (1 - light)) ** 1.5
    wrong = Curve(tuple((truth * (1 + light)).tolist()))
    told = Spectrum.white(0.1, 3, 1)
    found = curved(wrong, Taken(wrong.forward(y), wrong.forward(ramp)), Taken(y, ramp), told, 1)
    assert isinstance(found, Curve)
    # The power of a grey axis is three times that of its channels; a prior takes 0.95 of the amplitude.
    ratio = found.at((ramp[0, 0, 0] + 1) / 2) / variance[0, 0, 0]
    assert ratio.log().std().item() < 0.15
    assert ratio.median().item() == pytest.approx(1 / 0.95**2, rel=0.15)
    flat = Curve((4e-4, 4e-4))
    even = ramp + 0.1 * draw(1, 1, 128, 512)
    assert curved(flat, Taken(flat.forward(even), flat.forward(ramp)), Taken(even, ramp), told, 1) is None


def test_grain_of_middle_tones_is_found_and_removed(natural: Prior, clean: Tensor) -> None:
    grey = to_model(clean.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    y = middle_tones(grey)[0].clamp(-1, 1)
    noise = found(natural, to_unit(y))
    assert noise is not None
    *_, end = Denoising(noise, grey=True).iterate(y, Counted(natural), Streams([0]))
    assert (end.x - grey).square().mean().item() < 0.5 * (y - grey).square().mean().item()


def test_a_curve_is_told_by_its_levels() -> None:
    noise = Noise(Spectrum.white(0.1, 3, 1), 0.0, 1.0, variance=Curve((1e-4, 9e-4, 4e-4)))
    assert {name: level for name, level in noise.evidence.items() if name.startswith("at ")} == pytest.approx(
        {"at 0": 2.55, "at 0.25": 255 * 5e-4**0.5, "at 0.5": 7.65, "at 0.75": 255 * 6.5e-4**0.5, "at 1": 5.1}
    )


def test_grain_is_removed_where_it_is_the_same_everywhere() -> None:
    variance = Variance(0.01, -0.008)
    grey = torch.full((1, 3, 32, 32), 0.25)

    def prior(x: Tensor, level: float) -> Tensor:
        return torch.full_like(x, 0.25)

    noise = Noise(Spectrum.white(0.1, 3, 1), 0.0, 1.0, variance=variance)
    states = list(Denoising(noise)._estimates(grey, prior, Streams([0])))  # type: ignore[arg-type]
    torch.testing.assert_close(states[-1][1], variance.inverse(grey))


def test_a_diagnosis_is_read_in_words() -> None:
    content = Content(0.0, True)
    assert str(Diagnosis(content)) == f"{content.text}\nnothing found to repair"
    dark, small = Exposure(0.1, 0.3, 0.0, 1.0), Enlarged(2.0, 0.9, 0.1)
    lines = [f"{one.text} (confidence {one.confidence:.2f})" for one in (dark, small)]
    assert str(Diagnosis(content, exposure=dark, enlarged=small)) == "\n".join([content.text, *lines])


def test_nothing_is_found_where_nothing_is(natural: Prior, bundled: dict[str, Tensor]) -> None:
    for image in bundled.values():
        whole = to_unit(image[..., 64:192, 64:192])
        for picture in (whole, whole.mean(1, keepdim=True).expand(-1, 3, -1, -1)):
            assert found(natural, picture) is None
        # The cat's fur, compressed, is doubtful: less than half of it would go.
        coded = found(natural, compress(whole, 85))
        assert coded is None or coded.weight < 0.5
    for drawn in (text(), compress(text(), 90)):
        assert found(natural, drawn) is None


def test_the_kind_of_picture(clean: Tensor) -> None:
    page = content_of(to_model(text()))
    assert page.drawn
    assert page.grey
    assert page.text == "text, line art or a screenshot, grey"
    photograph = content_of(to_model(clean))
    assert not photograph.drawn
    assert not photograph.grey
    assert content_of(torch.zeros(1, 3, 2, 2)).flat == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (16, 16), (17, 33)])
def test_any_size(natural: Prior, size: tuple[int, int]) -> None:
    y = 0.2 * draw(1, 3, *size)
    before = y.clone()
    diagnosis = diagnose(fit(natural), y)
    assert torch.equal(y, before)
    assert all(isinstance(one, Finding) for one in diagnosis.findings)
    assert all(0 <= one.confidence <= 1 and one.evidence for one in diagnosis.findings)


def test_what_is_known_is_not_looked_for(natural: Prior, clean: Tensor) -> None:
    y = to_model(gaussian_noise(clean, 0.1))
    known = diagnose(natural, y)
    counted = Counted(natural)
    assert diagnose(counted, y, known) == known
    assert counted.nfe == 0
    assert Diagnosis().findings == []


def test_noise_that_depends_on_brightness(natural: Prior, clean: Tensor) -> None:
    noise = found(natural, (clean + (9 / 255**2 + clean / 255).sqrt() * draw(1, 3, 128, 128)).clamp(0, 1))
    assert noise is not None
    assert noise.variance is not None
    assert noise.text.startswith("noise that depends on brightness of")
    # Half of either: the fit is over the middle of the range of brightness, and a and b make up for each other.
    assert noise.evidence["b"] == pytest.approx(1, rel=0.5)
    assert noise.evidence["a"] + 128 * noise.evidence["b"] == pytest.approx(9 + 128, rel=0.4)


def test_noise_of_a_compressed_picture_is_found_and_compression_alone_is_none(natural: Prior, clean: Tensor) -> None:
    noise = found(natural, compress(gaussian_noise(clean, 0.1), 92))
    assert noise is not None
    # 25 of 255, less what the compression and its half of the colours' resolution took.
    assert 15 < noise.level * 127.5 < 27
    for quality in (10, 60):
        assert found(natural, compress(clean, quality)) is None


def test_more_is_removed_of_noise_before_a_compression(natural: Prior) -> None:
    spectrum = Spectrum(torch.linspace(0.01, 0.04, BANDS).repeat(3, 1))

    def told(confidence: float, coded: bool) -> float:
        denoising = Denoising(Noise(spectrum, 0.0, confidence, coded=coded))
        return next(iter(denoising.iterate(draw(1, 3, 32, 32), Counted(natural), Streams([0])))).sigma

    assert told(1.0, coded=True) == pytest.approx(1.12 * told(1.0, coded=False))
    assert told(0.6, coded=True) == told(0.6, coded=False), "not of doubtful noise"


@pytest.mark.parametrize("scale", [1, 2])
def test_more_is_removed_of_undoubted_coarse_noise_in_more_steps(natural: Prior, scale: int) -> None:
    """Coarse is what has hardly any fine waves in the picture that the finding holds for."""

    def first(power: Tensor, confidence: float, colour: float = 1.0) -> list[float]:
        spectrum = Spectrum(power * torch.tensor([1, colour, colour])[:, None] ** 2)
        denoising = Denoising(Noise(spectrum, 0.0, confidence, scale=scale))
        state = next(iter(denoising.iterate(draw(1, 3, 64, 64), Counted(natural), Streams([0]))))
        return [state.sigma, state.total]

    coarse, fine = 0.04 * (-torch.arange(float(BANDS))).exp(), torch.linspace(0.01, 0.04, BANDS)
    top = coarse.max().sqrt().item()
    assert first(coarse, 1.0) == pytest.approx([1.12 * top, 7])
    assert first(coarse, 1.0, 0.2) == pytest.approx([1.2 * top, 7]), "most of grain"
    assert first(coarse, 0.6) == pytest.approx([top, 5]), "not of doubtful noise"
    assert first(fine, 1.0) == pytest.approx([0.2, 5]), "nor of fine noise"


def test_doubtful_noise_is_removed_in_part() -> None:
    white = Spectrum.white(0.1, 3)
    weights = [Noise(white, 0.1, confidence).weight for confidence in (0.46, 0.575, 0.7, 0.99)]
    assert weights == pytest.approx([0.2, 0.5, 1, 1])


def test_strong_noise_is_not_taken_for_a_blur(bundled: dict[str, Tensor]) -> None:
    prior = load_prior("natural")
    for name in bundled:
        clean = to_unit(bundled[name][..., 64:192, 64:192])
        damaged = compress(clean + 25 / 255 * draw(1, 3, 128, 128), 92)
        found = diagnose(prior, to_model(damaged))
        assert (found.blur, found.noise is None) == (None, False)


@pytest.mark.parametrize("size", [(3, 3), (64, 5), (130, 67), (66, 200)])
def test_constant_windows_are_counted_in_strips(size: tuple[int, int]) -> None:
    image = torch.randint(0, 2, (1, 3, *size), generator=torch.Generator().manual_seed(0)).float()
    image[:, :, : size[0] // 2] = 0.25
    spread = F.max_pool2d(image, 3, 1) + F.max_pool2d(-image, 3, 1)
    assert content_of(image).flat == pytest.approx((spread.amax(1) <= 1e-4).double().mean().item(), abs=1e-12)
    assert not content_of(image).grey
    assert content_of(image[:, :1].expand(-1, 3, -1, -1)).grey
