"""Strengths and methods chosen from the image, image by image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pellucid.degradations import compress, gaussian_noise
from pellucid.errors import UsageError
from pellucid.estimate import EVIDENCE, Evidence, evidence, noise_seen
from pellucid.methods import Auto, Denoise, DreamClean, Method, State
from pellucid.methods.onebyone import Run, left_alone, one_by_one
from pellucid.metrics import psnr
from pellucid.noise import Streams
from pellucid.operators import Denoise as Nothing
from pellucid.priors import Counted, GaussianPrior, Prior, load_prior
from pellucid.problem import Problem, to_model, to_unit

FLAT = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 1e-6))
CALM = DreamClean("auto", corrections=3, schedule="none")
MILD, RESTLESS = Evidence(0, 0.3, 1, 1.5), Evidence(0, 0.9, 0, 1.5)
NOISY, GRAINY, DULL = Evidence(0.2, 1, 1, 1.5), Evidence(0.05, 0.5, 1, 1.5), Evidence(0, 0.3, 1, 0.5)


def white(sigma: float, *shape: int) -> Tensor:
    return sigma * torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def natural() -> Prior:
    return load_prior("natural")


def test_the_strength_of_an_image() -> None:
    assert CALM.chosen(MILD) == replace(CALM, strength=18)
    assert CALM.chosen(RESTLESS) == replace(CALM, strength=70)
    assert CALM.chosen(NOISY) == replace(CALM, strength=30, start="noise")
    assert CALM.chosen(DULL) is None
    assert replace(CALM, start="forward").chosen(NOISY) == replace(CALM, strength=30, start="forward")


def test_fidelity_moves_it_monotonically() -> None:
    strengths = []
    for fidelity in (0, 0.2, 0.5, 0.8, 1):
        method = replace(CALM, fidelity=fidelity).chosen(RESTLESS)
        strengths.append(0.0 if method is None else method.strength)
    assert strengths == pytest.approx([140, 112, 70, 28, 0])


def test_auto_is_dreamclean_at_the_chosen_strength(natural: Prior, bundled: dict[str, Tensor]) -> None:
    y = bundled["coffee"][..., :64, :64]
    *_, state = CALM.iterate(Problem(y), natural, Streams([0]))
    (found,) = evidence(natural, y)
    chosen = replace(CALM, strength=found.strength)
    # The strength itself is the top, which DDIM's grid would round to a multiple of ten.
    *_, walked = chosen.walk(y, Counted(natural), Streams([0]), ladder=chosen.evenly(natural.sigmas))
    assert torch.equal(state.x, walked.x)
    assert state.notes == (f"dreamclean at strength {found.strength:.0f}",)
    assert state.nfe == EVIDENCE + walked.nfe <= CALM.nfe(natural)


def test_noise_is_left_to_the_denoiser_or_begun_from(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., :64, :64])
    grainy, noisy = (to_model(gaussian_noise(clean, sigma)) for sigma in (0.03, 0.1))
    *_, state = Auto().iterate(Problem(grainy), natural, Streams([0]))
    level = noise_seen(natural, grainy)
    assert torch.equal(state.x, natural(grainy, level.item()))
    assert state.notes == (f"denoised, noise of {level.item() / 2:.3f}",)
    assert state.nfe == EVIDENCE + 1
    *_, state = Auto().iterate(Problem(noisy), natural, Streams([0]))
    assert torch.equal(state.x, replace(CALM, strength=30, start="noise")(Problem(noisy), natural))
    level = noise_seen(natural, noisy)
    assert level.item() / 2 == pytest.approx(0.1, rel=0.05)
    assert f"from the noise of {level.item() / 2:.3f}" in state.notes[0]


def test_fidelity_one_changes_nothing(natural: Prior, bundled: dict[str, Tensor]) -> None:
    y = to_model(compress(to_unit(bundled["coffee"][..., :64, :64]), 10))
    for method in (Auto(fidelity=1), replace(CALM, fidelity=1)):
        *_, state = method.iterate(Problem(y), natural, Streams([0]))
        assert torch.equal(state.x, y)
        assert state.notes == ("nothing found to repair, left as it is",)


def test_what_is_chosen() -> None:
    prior = Counted(FLAT)
    assert "denoised, noise of 0.025" in Auto().choose(prior, GRAINY).note
    assert "strength 30, from the noise of 0.100" in Auto().choose(prior, NOISY).note
    assert "strength 18" in Auto().choose(prior, MILD).note
    assert "left as it is" in Auto().choose(prior, DULL).note
    assert "left as it is" in Auto(fidelity=1).choose(prior, GRAINY).note


@pytest.mark.parametrize("method", [Auto(), CALM, replace(CALM, schedule="preserving")])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_laws(method: Method, size: tuple[int, int]) -> None:
    """In a batch of which one is noise to the prior and one is nearly nothing."""
    y = torch.cat([white(0.4, 1, 3, *size), white(0.001, 1, 3, *size), white(0.06, 1, 3, *size)])
    before, counted = y.clone(), Counted(FLAT)
    states = list(method.iterate(Problem(y), counted, Streams([3, 4, 5])))
    out = states[-1].x
    assert torch.equal(y, before)
    assert out.shape == y.shape
    for i in range(3):
        assert torch.equal(out[i : i + 1], method(Problem(y[i : i + 1]), FLAT, seed=3 + i))
    assert [state.step for state in states] == list(range(1, len(states) + 1))
    assert states[-1].total == len(states)
    assert states[-1].nfe <= method.nfe(FLAT)
    assert len(states[-1].notes) == 3


def test_one_after_the_other() -> None:
    def run(y: Tensor, rng: Streams) -> Iterator[State]:
        for step in (1, 2):
            y = y + rng.like(y)
            yield State(step, 2, 0.5, y, y, step)

    y = torch.zeros(2, 1, 2, 2)
    runs = [Run(run, 3, "first"), left_alone("second", 4)]
    states = list(one_by_one(Problem(y), Streams([1, 2]), runs))
    own = Streams([1])
    expected = own.like(y[:1]) + own.like(y[:1])
    torch.testing.assert_close(states[-1].x, torch.cat([expected, y[1:]]))
    assert not states[0].x[1:].any()
    assert [(state.step, state.total, state.nfe) for state in states] == [(1, 3, 4), (2, 3, 5), (3, 3, 5)]
    assert states[0].notes == ("first", "second")


def test_it_does_no_harm_and_some_good(natural: Prior, bundled: dict[str, Tensor]) -> None:
    for image in bundled.values():
        clean = to_unit(image[..., 64:192, 64:192])
        assert psnr(to_unit(Auto()(Problem(to_model(clean)), natural)), clean).item() > 38
        for damaged, gain in ((gaussian_noise(clean, 0.1), 6.0), (compress(clean, 15), 0.2)):
            better = psnr(to_unit(Auto()(Problem(to_model(damaged)), natural)), clean).item()
            assert better > psnr(damaged.clamp(0, 1), clean).item() + gain
        noisy = to_model(gaussian_noise(clean, 0.03))
        one = psnr(to_unit(Denoise()(Problem(noisy), natural)), clean).item()
        assert psnr(to_unit(Auto()(Problem(noisy), natural)), clean).item() == pytest.approx(one, abs=0.1)


def test_ranges() -> None:
    for method in (Auto, DreamClean):
        with pytest.raises(UsageError, match="fidelity must be from 0 to 1"):
            method(fidelity=1.5)
    with pytest.raises(UsageError, match="strength must be above 0, at most 1000, or auto"):
        DreamClean(strength=0)
    with pytest.raises(UsageError, match="blind"):
        Auto()(Problem(white(1, 1, 3, 4, 4), Nothing(), 0.1), FLAT)
