"""The dots of a print: found, told from texture, and removed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pellucid.degradations import compress, get, printed
from pellucid.degradations.sharpness import gaussian_blur
from pellucid.diagnosis import Content, Diagnosis, Noise, Screen, diagnose, noise_alone, screen
from pellucid.diagnosis.noise import LEAST, search
from pellucid.diagnosis.noise.stationary import Spectrum, to_opponent
from pellucid.diagnosis.screen import narrowed, widened
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto, Denoise
from pellucid.methods.auto import MAKERS
from pellucid.methods.descreen import CALLS, Descreening
from pellucid.methods.method import last
from pellucid.methods.plan import Plan
from pellucid.metrics import psnr
from pellucid.priors import Counted, GaussianPrior, Prior

FLAT = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 1e-6))


def grey(image: Tensor, side: int = 128) -> Tensor:
    """A middle of a photograph without colours, in [0, 1]."""
    top, left = ((size - side) // 2 for size in image.shape[-2:])
    return to_unit(image)[..., top : top + side, left : left + side].mean(1, keepdim=True).expand(-1, 3, -1, -1)


def found(image: Tensor, axes: int = 1) -> Screen:
    seen = screen.estimate(to_model(image), axes)
    assert seen is not None
    return seen


@settings(max_examples=12, derandomize=True)
@given(st.floats(3, 7.2), st.floats(12, 78))
@example(6.0, 13.0)  # Its waves are too near to the axes, so an overtone is found first.
@example(7.0, 76.0)
def test_the_distance_and_the_angle_of_the_dots(period: float, degrees: float) -> None:
    print_of_grey = printed(torch.linspace(0.3, 0.6, 128).expand(1, 1, 128, 128), period, degrees)
    seen = found(
        (print_of_grey + 0.01 * torch.randn(128, 128, generator=torch.Generator().manual_seed(0))).expand(-1, 3, -1, -1)
    )
    assert seen.period == pytest.approx(period, rel=0.06)
    # A lattice of squares has two directions.
    turn = (seen.angle - degrees + 45) % 90 - 45
    assert abs(turn) < 4
    assert seen.confidence > 0.7


def test_dots_are_a_wave_of_known_power() -> None:
    at, tone = torch.arange(128), torch.linspace(0.35, 0.65, 128)
    pair = torch.cos(2 * torch.pi * (at + at[:, None]) / 8) + torch.cos(2 * torch.pi * (at - at[:, None]) / 8)
    waves = 0.2 * (torch.pi * tone).sin() * pair
    faint = 0.01 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(0)) + tone - 0.5
    y = (waves + faint).expand(1, 3, -1, -1)
    seen = found(to_unit(y))
    assert seen.period == pytest.approx(8 / 2**0.5, rel=0.02)
    # The grey axis of equal channels has three times their mean square.
    deviation = seen.deviation(128, 128)
    both = deviation[0].square().sum() + deviation[0, :, 1:-1].square().sum()
    assert both.item() / 128**2 == pytest.approx(3 * waves.square().mean().item(), rel=0.35)
    assert deviation[1:].max() < 1e-5
    left = seen.without(y)
    assert (left - faint).square().mean().sqrt() < 0.2 * waves.square().mean().sqrt()


def test_what_is_widened_is_narrowed_again() -> None:
    for size in ((5, 90), (40, 33)):
        y = torch.rand(1, 3, *size)
        assert torch.equal(narrowed(widened(y), y), y)


def test_photographs_have_no_dots(photographs: dict[str, Tensor], bundled: dict[str, Tensor]) -> None:
    for name, image in {**photographs, **bundled}.items():
        for picture in (image, to_model(compress(to_unit(image), 30))):
            assert screen.estimate(picture, 3) is None, name
        # The spectrum of these falls steeply, which is no peak.
        for damage in ("chroma-noise", "phone"):
            assert screen.estimate(to_model(get(damage)(to_unit(image)[..., :128, :128], 1)), 3) is None, name
    # A program's dots are meant, one wave alone is a blind or a fence, and along the axes are walls and cloth.
    at = torch.arange(96)
    one = 0.3 * torch.cos(2 * torch.pi * (at + at[:, None]) / 7).expand(1, 3, -1, -1)
    wall = 0.3 * (torch.cos(2 * torch.pi * at / 5) + torch.cos(2 * torch.pi * at[:, None] / 5)).expand(1, 3, -1, -1)
    noise = 0.1 * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    for y in (one + noise, wall + noise, noise, torch.zeros(1, 3, 20, 20)):
        assert screen.estimate(y, 3) is None


@pytest.mark.parametrize("period", [3.0, 5.3, 7.0])
def test_texture_carries_no_tones(period: float) -> None:
    side = 128
    at = torch.arange(side)
    light = 0.7 + 0.3 * torch.sin(2 * torch.pi * (at + 0.6 * at[:, None]) / 170)
    along, across = (
        torch.cos(2 * torch.pi * wave / period)
        for wave in (0.87 * at + 0.5 * at[:, None], 0.87 * at[:, None] - 0.5 * at)
    )
    grain = 0.01 * torch.randn(side, side, generator=torch.Generator().manual_seed(0))
    textures = {
        "cloth": light * (0.5 + 0.2 * along * across + 0.1 * (along - across)),
        "mesh": light * torch.where(torch.maximum(along, across) > 0.6, 0.25, 0.8),
        "laid over": 0.6 * light + 0.1 * (along + across),
        "a plain tint": 0.5 + 0.1 * (along + across),
    }
    half = torch.where(at < 80, textures["cloth"], 0.6 * light)
    for name, texture in {**textures, "half": half}.items():
        y = to_model(texture + grain).expand(1, 3, -1, -1)
        assert screen.estimate(y, 1) is None, name
    # The same lattice as dots that grow with the tone belongs to a print.
    dots = 0.6 * light + 0.12 * (torch.pi * 0.6 * light).sin() * (along + across)
    assert found((dots + grain).expand(1, 3, -1, -1)).period == pytest.approx(period, rel=0.06)


@pytest.mark.parametrize("period", [3.0, 4.5])
def test_dots_keep_step_and_threads_do_not(period: float) -> None:
    side = 224
    at = torch.arange(side)
    tone = 0.5 + 0.3 * torch.sin(2 * torch.pi * (at + 0.6 * at[:, None]) / 170)
    grain = 0.01 * torch.randn(side, side, generator=torch.Generator().manual_seed(0))

    def lattice(bend: float) -> Tensor:
        bent = bend * period * (torch.sin(at / 19) + torch.sin(at[:, None] / 23))
        along, across = (0.87 * at + 0.5 * at[:, None] + bent, 0.87 * at[:, None] - 0.5 * at + bent)
        waves = torch.cos(2 * torch.pi * along / period) + torch.cos(2 * torch.pi * across / period)
        # Their power follows the law of dots, so that only the bend can tell.
        return to_model(tone + 0.12 * (torch.pi * tone).sin() * waves + grain).expand(1, 3, -1, -1)

    assert screen.estimate(lattice(0), 1) is not None
    assert screen.estimate(lattice(0.02), 1) is not None
    assert screen.estimate(lattice(0.35), 1) is None
    # The picture's middle, too, and a strip of it.
    assert screen.estimate(lattice(0.35)[..., 40:168, :], 1) is None


def lattice(period: float, degrees: float, side: int) -> tuple[Tensor, Tensor]:
    """Places in the cells of a turned lattice, from 0 to 1."""
    at, turn = torch.arange(side).float(), torch.deg2rad(torch.tensor(degrees))
    down, right = at[:, None], at[None]
    ways = (right * turn.cos() + down * turn.sin(), down * turn.cos() - right * turn.sin())
    return ways[0] / period % 1, ways[1] / period % 1


@pytest.mark.parametrize("pattern", ["lamps", "fence"])
def test_a_pattern_of_dark_tones_in_proportion_to_light_is_no_print(bundled: dict[str, Tensor], pattern: str) -> None:
    light = grey(bundled["coffee"], 160)
    across, along = lattice(5, 30, 160)
    lamps = light * (-((across - 0.5) ** 2 + (along - 0.5) ** 2) / 0.08).exp()
    fence = torch.where(torch.minimum(across, along) < 0.22, 0.05, 0.7 * light)
    assert screen.estimate(to_model(lamps if pattern == "lamps" else fence), 1) is None
    dark_print = printed(0.6 * light[:, :1], 5, 30).expand(-1, 3, -1, -1)
    assert screen.estimate(to_model(dark_print), 1) is not None


@pytest.mark.parametrize("period", [4.1, 5.0, 6.2])
def test_light_bars_and_joints_are_no_print(bundled: dict[str, Tensor], period: float) -> None:
    light = grey(bundled["coffee"], 160)
    across, along = lattice(period, 35, 160)
    bars = torch.minimum(across, along) < 0.25
    grain = 0.01 * torch.randn(160, 160, generator=torch.Generator().manual_seed(0))
    patterns = {"white fence": torch.where(bars, 0.9, light), "wall": torch.where(bars, 0.85, 0.3 + 0.4 * light)}
    for name, pattern in patterns.items():
        assert screen.estimate(to_model(gaussian_blur(pattern, 0.5) + grain), 1) is None, name
    # The same picture, printed with the same lattice.
    assert found(printed(light, period, 35)).period == pytest.approx(period, rel=0.06)


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_an_ordered_dither_in_colours_is_no_print(bundled: dict[str, Tensor], levels: int) -> None:
    order = torch.tensor([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]).repeat(40, 40)
    for name, image in bundled.items():
        dither = ((levels - 1) * to_unit(image)[..., :160, :160] + (order + 0.5) / 16).floor() / (levels - 1)
        assert screen.estimate(to_model(dither), 3) is None, name


def test_what_the_dots_leave_is_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    y = 0.2 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    faint = Noise(Spectrum.white(0.9 * LEAST, 3), 0.0, 0.9)
    doubtful = Noise(Spectrum.white(0.1, 3), 0.0, 0.05)
    content = Content(0.0, False)
    for seen, expected in ((doubtful, replace(doubtful, confidence=0.7)), (faint, None), (None, None)):
        monkeypatch.setattr(search, "examined", lambda *_, seen=seen, **__: seen)
        assert search.estimate(FLAT, y, content, printed=True) == expected
        assert search.estimate(FLAT, y, content) is None


@pytest.mark.parametrize("coloured", [False, True])
def test_the_dots_are_removed_and_the_rest_stays(
    natural: Prior, photographs: dict[str, Tensor], coloured: bool
) -> None:
    image = next(iter(photographs.values()))
    truth = to_unit(image)[..., :128, :128] if coloured else grey(image)
    damaged = printed(truth, 4.4)
    y = to_model(damaged)
    diagnosis = diagnose(natural, y)
    assert diagnosis.screen is not None
    plan = Auto().plan(diagnosis)
    assert plan.note.startswith("dots of a print, ")
    state = last(plan.iterate(y, Counted(natural), Streams([0])))
    assert psnr(to_unit(state.x), truth).item() > psnr(damaged, truth).item() + (4 if coloured else 7)
    stage = Descreening(diagnosis.screen, diagnosis.inner.grey)
    *_, alone = stage.iterate(y, Counted(natural), Streams([0]))
    assert alone.nfe == stage.nfe == CALLS
    if not coloured:
        assert torch.equal(alone.x, alone.x[:, :1].expand_as(y))
        assert to_opponent(alone.x - y)[:, 1:].abs().max() < 1e-5
    # Who says noise means the dots, too.
    *_, task = Denoise().iterate(Problem(y), natural, Streams([0]))
    assert task.notes[0].startswith("dots of a print, ")


def test_a_print_is_no_jpeg_to_undo_first(natural: Prior, photographs: dict[str, Tensor]) -> None:
    damaged = compress(printed(grey(next(iter(photographs.values()))), 4), 75)
    diagnosis = diagnose(natural, to_model(damaged))
    assert diagnosis.compression is not None
    stages = Plan.of(diagnosis, MAKERS).stages
    assert isinstance(stages[0], Descreening)
    assert noise_alone(natural, to_model(damaged)).screen is None
    assert not Plan.of(Diagnosis(screen=diagnosis.screen), MAKERS, fidelity=1).stages
