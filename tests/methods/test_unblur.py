"""Unblur: a canvas beyond the border, gains on photographs, and nothing done to what is not blurred."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pellucid.degradations import blur as convolved
from pellucid.diagnosis import Content, Diagnosis, Noise, diagnose
from pellucid.diagnosis.blur import Blur
from pellucid.diagnosis.kernels import Shape
from pellucid.diagnosis.noise.stationary import Spectrum
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto, Unblur
from pellucid.methods.plan import Plan
from pellucid.methods.unblur import Unblurring, noise_treatment, treatment
from pellucid.metrics import psnr
from pellucid.operators.window import Window
from pellucid.priors import Counted, GaussianPrior, Prior

LENS = Shape("disk", 2.6)
FLAT = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 1e-6))


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_a_windows_adjoint(down: int, across: int, height: int, width: int, seed: int) -> None:
    window = Window(draw(seed, 2 * down + 1, 2 * across + 1))
    y = draw(seed + 1, 2, 3, height, width)
    x = draw(seed + 2, *window.image_shape(tuple(y.shape)))
    assert window.A(x).shape == y.shape
    assert (window.A(x) * y).sum().item() == pytest.approx((x * window.At(y)).sum().item(), abs=1e-9)


def test_a_window_is_the_convolution_where_all_of_it_is_known() -> None:
    kernel, x = draw(0, 3, 5), draw(1, 1, 2, 9, 11)
    expected = torch.nn.functional.conv2d(x, kernel.flip(0, 1).expand(2, 1, -1, -1), groups=2)
    window = Window(kernel)
    torch.testing.assert_close(window.A(x), expected)
    assert torch.equal(window.inside(window.around(expected)), expected)
    with pytest.raises(UsageError, match="odd sides"):
        Window(draw(0, 2, 3))


def test_a_lens_blur_is_undone_and_nothing_else(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192])
    blurred = (convolved(to_unit(bundled["coffee"]), LENS.kernel())[..., 64:192, 64:192] * 255).round() / 255
    *_, state = Auto().iterate(Problem(to_model(blurred)), natural, Streams([0]))
    assert state.notes == ("lens blur of radius 2.6 pixels undone",)
    assert psnr(to_unit(state.x), clean).item() > psnr(blurred, clean).item() + 4
    assert state.nfe <= Auto().nfe(natural)
    # A batch is its pictures, one by one.
    both = torch.cat([to_model(clean), to_model(blurred)])
    *_, batch = Unblur().iterate(Problem(both), natural, Streams([0, 1]))
    assert torch.equal(batch.x, torch.cat([to_model(clean), state.x]))
    assert batch.notes == ("no blur found, left unchanged", "lens blur of radius 2.6 pixels undone")
    assert batch.found["kernel"].shape == (2, 1, *LENS.kernel().shape)
    assert batch.found["kernel"].sum((2, 3)).flatten().tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("grey", [False, True])
def test_noise_that_only_the_blur_shows_is_not_sharpened(
    natural: Prior, bundled: dict[str, Tensor], grey: bool
) -> None:
    whole = to_unit(bundled["coffee"])
    whole = whole.mean(1, keepdim=True) if grey else whole
    clean = whole[..., 64:192, 64:192]
    blurred = convolved(whole, LENS.kernel())[..., 64:192, 64:192]
    noisy = ((blurred + 1.8 / 255 * draw(3, *clean.shape).float()).clamp(0, 1) * 255).round() / 255
    y = to_model(noisy).expand(1, 3, -1, -1)
    found = diagnose(natural, y)
    assert found.noise is None
    assert found.blur is not None

    def gain(blur: Blur) -> float:
        stage = Unblurring.of(found, blur, Unblur())
        *_, state = stage.iterate(y, Counted(natural), Streams([0]))
        return psnr(to_unit(state.x), clean.expand_as(y)).item() - psnr(noisy, clean).item()

    own = gain(found.blur)
    assert own > 3
    # In a grey picture a channel's own level is too weak, too.
    assert own > gain(replace(found.blur, noise=found.blur.noise / 3**0.5 if grey else 0.0)) + 0.5


def test_noise_of_a_grey_blurred_picture_is_that_of_one_axis(natural: Prior, bundled: dict[str, Tensor]) -> None:
    """A prior that is told a channel's level keeps the noise, and sharpens it."""
    clean = to_unit(bundled["coffee"]).mean(1, keepdim=True)
    blurred = convolved(clean, LENS.kernel()) + 0.03 * draw(0, *clean.shape).float()
    clean, blurred = (one[..., 64:128, 64:128].expand(-1, 3, -1, -1) for one in (clean, (blurred * 255).round() / 255))
    noise = Noise(Spectrum.white(0.06 * math.sqrt(3), 3, 1), 0.06 * math.sqrt(3), 1.0)
    found = Diagnosis(Content(0.0, True), noise=noise, blur=Blur(LENS, 100.0, 100.0))
    stage = treatment(found, 1.0)
    assert stage is not None
    assert stage.note == "lens blur of radius 2.6 pixels with noise of 7.6 undone"
    *_, state = stage.iterate(to_model(blurred), Counted(natural), Streams([0]))
    assert psnr(to_unit(state.x), clean).item() > psnr(blurred, clean).item() + 1


def test_noise_that_is_not_white_goes_before_a_blur() -> None:
    grain = Noise(Spectrum(0.01 * torch.tensor([[1.0, 1, 1, 0.5, 0.2, 0.1, 0.1, 0.1, 0.1]]).expand(3, -1)), 0.0, 1.0)
    white = Noise(Spectrum.white(0.1, 3), 0.1, 1.0)
    found = Diagnosis(Content(0.0, False), noise=grain, blur=Blur(LENS, 100.0, 100.0))
    first, second = Plan.of(found, (noise_treatment, treatment)).stages
    assert first == noise_treatment(replace(found, blur=None), 1.0)
    assert isinstance(second, Unblurring)
    assert second.noise == pytest.approx(grain.level / 2)
    (alone,) = Plan.of(replace(found, noise=white), (noise_treatment, treatment)).stages
    assert isinstance(alone, Unblurring)
    assert alone.noise == 0.1


def test_what_it_does_not_explain_is_left_alone() -> None:
    """A prior that knows nothing but grey gives an image that, blurred again, is not the picture."""
    y = 0.5 * draw(0, 1, 3, 20, 20).float()
    stage = Unblurring(Blur(LENS, 100.0, 100.0), 0.01)
    assert stage.note.endswith("undone")
    *_, state = stage.iterate(y, Counted(FLAT), Streams([0]))
    assert torch.equal(state.x, y)
    assert state.notes == ("lens blur of radius 2.6 pixels does not explain the picture, left unchanged",)


def test_a_prior_that_breaks_is_an_error(bundled: dict[str, Tensor]) -> None:
    blurred = convolved(to_unit(bundled["coffee"][..., 64:192, 64:192]), LENS.kernel())
    broken = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((1, 1, 1), float("nan")))
    with pytest.raises(PellucidError, match="not finite"):
        Unblur()(Problem(to_model(blurred)), broken)


@pytest.mark.parametrize("field", ["steps", "inner", "strength", "weight", "doubt"])
def test_hyper_parameters_have_ranges(field: str) -> None:
    with pytest.raises(UsageError, match=field):
        Unblur(**{field: 0})
    with pytest.raises(UsageError, match="blind"):
        Unblur()(Problem(torch.zeros(1, 3, 8, 8), None, 0.1), FLAT)


@pytest.mark.parametrize("sharp", ["frame", "caption", "in focus"])
def test_a_blurred_picture_with_something_sharp_is_not_made_worse(
    natural: Prior, bundled: dict[str, Tensor], sharp: str
) -> None:
    clean = to_unit(bundled["coffee"])
    blurred = (convolved(clean, LENS.kernel())[..., 96:160, 96:160] * 255).round() / 255
    if sharp == "frame":  # Not of one tone, so that it is part of the picture.
        blurred[..., :2, :] = torch.linspace(0.1, 0.2, 64)
    elif sharp == "caption":
        blurred[..., 50:57, 20:50:3] = 1.0
    else:
        blurred[..., 20:44, 20:44] = clean[..., 116:140, 116:140]
    stage = Unblurring(Blur(LENS, 100.0, 100.0), 0.3 / 127.5)
    *_, state = stage.iterate(to_model(blurred), Counted(natural), Streams([0]))
    assert state.notes == ("lens blur of radius 2.6 pixels does not explain the picture, left unchanged",)
    assert torch.equal(state.x, to_model(blurred))
