"""Strengths and methods chosen from the image, image by image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from pellucid.degradations import compress, gaussian_noise
from pellucid.diagnosis import Diagnosis, Exposure, diagnose
from pellucid.diagnosis.estimate import EVIDENCE, Evidence, evidence
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto, DreamClean, Method, State
from pellucid.methods.onebyone import Run, left_alone, one_by_one
from pellucid.methods.plan import Framing, Plan
from pellucid.metrics import psnr
from pellucid.operators import Denoise as Nothing
from pellucid.priors import Counted, GaussianPrior, Prior

FLAT = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 1e-6))
CALM = DreamClean("auto", corrections=3, schedule="none")
MILD, RESTLESS = Evidence(0, 0.3, 1, 1.5), Evidence(0, 0.9, 0, 1.5)
NOISY, DULL = Evidence(0.2, 1, 1, 1.5), Evidence(0, 0.3, 1, 0.5)


def white(sigma: float, *shape: int) -> Tensor:
    return sigma * torch.randn(shape, generator=torch.Generator().manual_seed(0))


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


def test_dreamclean_at_the_chosen_strength(natural: Prior, bundled: dict[str, Tensor]) -> None:
    y = bundled["coffee"][..., :64, :64]
    *_, state = CALM.iterate(Problem(y), natural, Streams([0]))
    (found,) = evidence(natural, y)
    chosen = replace(CALM, strength=found.strength)
    # The strength itself is the top, which DDIM's grid would round to a multiple of ten.
    *_, walked = chosen.walk(y, Counted(natural), Streams([0]), ladder=chosen.evenly(natural.sigmas))
    assert torch.equal(state.x, walked.x)
    assert state.notes == (f"dreamclean at strength {found.strength:.0f}",)
    assert state.nfe == EVIDENCE + walked.nfe <= CALM.nfe(natural)


def test_white_noise_is_left_to_one_call(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., :64, :64])
    for sigma in (0.03, 0.1, 0.2):
        y = to_model(gaussian_noise(clean, sigma))
        *_, state = Auto().iterate(Problem(y), natural, Streams([0]))
        found = diagnose(natural, y).noise
        assert found is not None
        assert found.white / 2 == pytest.approx(sigma, rel=0.2)
        assert torch.equal(state.x, natural(y, found.white))
        assert state.notes == (f"{found.text} removed",)
        assert state.nfe == 4 + 1


def test_grain_is_walked_down(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192])
    noisy = (clean + white(0.06, 1, 1, 128, 128)).clamp(0, 1)
    *_, state = Auto().iterate(Problem(to_model(noisy)), natural, Streams([0]))
    assert "grain of" in state.notes[0]
    assert psnr(to_unit(state.x), clean).item() > psnr(noisy, clean).item() + 2
    assert state.nfe <= Auto().nfe(natural)


def test_grey_stays_grey(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192]).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    noisy = (clean + white(0.1, 1, 1, 128, 128)).clamp(0, 1)
    out = to_unit(Auto()(Problem(to_model(noisy)), natural))
    assert torch.equal(out[:, 0], out[:, 1])
    assert torch.equal(out[:, 0], out[:, 2])
    assert psnr(out, clean).item() > psnr(noisy, clean).item() + 6


def test_fidelity_moves_auto_monotonically(natural: Prior, bundled: dict[str, Tensor]) -> None:
    y = to_model(gaussian_noise(to_unit(bundled["coffee"][..., :64, :64]), 0.1))
    moved = [(Auto(fidelity=f)(Problem(y), natural) - y).norm().item() for f in (0.0, 0.3, 0.5, 0.8, 1.0)]
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] == 0
    assert moved[3] == pytest.approx(0.4 * moved[2], rel=1e-4)


def test_fidelity_one_changes_nothing(natural: Prior, bundled: dict[str, Tensor]) -> None:
    y = to_model(compress(to_unit(bundled["coffee"][..., :64, :64]), 10))
    for method in (Auto(fidelity=1), replace(CALM, fidelity=1)):
        *_, state = method.iterate(Problem(y), natural, Streams([0]))
        assert torch.equal(state.x, y)
        assert state.notes == ("fidelity 1, left unchanged",)


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
        compressed = compress(clean, 90)
        mended = to_unit(Auto()(Problem(to_model(compressed)), natural))
        assert psnr(mended, clean).item() > psnr(compressed, clean).item() - 0.05
        for untouched in (clean, compress(clean, 95)):
            *_, state = Auto().iterate(Problem(to_model(untouched)), natural, Streams([0]))
            assert psnr(to_unit(state.x), untouched).item() > 45
        noisy = gaussian_noise(clean, 0.1)
        better = psnr(to_unit(Auto()(Problem(to_model(noisy)), natural)), clean).item()
        assert better > psnr(noisy.clamp(0, 1), clean).item() + 6


def test_stages_follow_one_another() -> None:
    @dataclass(frozen=True)
    class Shift:
        by: float
        frame: Framing = "left out"
        note: str = "shifted"
        nfe: int = 0

        def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
            for step in (1, 2):
                yield State(step, 2, 0.0, y + step * self.by, y, 0)

    makers = [lambda found, strength: Shift(1.0), lambda found, strength: None, lambda found, strength: Shift(10.0)]
    y = torch.zeros(1, 3, 2, 2)
    plan = Plan.of(Diagnosis(), makers, fidelity=0.75)
    states = list(plan.iterate(y, Counted(FLAT), Streams([0])))
    assert [state.step for state in states] == [1, 2, 3, 4]
    assert states[-1].total == 4
    assert plan.note == "shifted, then shifted; 50.0 % of the change is kept"
    # Half of each stage's change is kept.
    torch.testing.assert_close(states[1].x, y + 1)
    torch.testing.assert_close(states[-1].x, y + 11)
    assert Plan.of(Diagnosis(), makers, fidelity=1).note == "fidelity 1, left unchanged"
    # What is found and not repaired is not said to be nothing.
    dark = Exposure(0.1, 0.3, 0.0, 1.0)
    assert Plan.of(Diagnosis(exposure=dark), ()).note == "left unchanged; dark: not changed, --task lowlight does it"


def test_ranges() -> None:
    for method in (Auto, DreamClean):
        with pytest.raises(UsageError, match="fidelity must be from 0 to 1"):
            method(fidelity=1.5)
    with pytest.raises(UsageError, match="strength must be above 0, at most 1000, or auto"):
        DreamClean(strength=0)
    with pytest.raises(UsageError, match="blind"):
        Auto()(Problem(white(1, 1, 3, 4, 4), Nothing(), 0.1), FLAT)
