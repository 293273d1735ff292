"""DreamClean for phase retrieval."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DreamCleanPhase
from pellucid.methods.dreamclean_phase import agree
from pellucid.operators import Denoise, PhaseRetrieval
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.full((2, 1, 1), 0.1).double(), variance=torch.full((2, 1, 1), 0.2).double())
FAST = DreamCleanPhase(strength=50, restarts=2, iterations=30)


def image(*shape: int, seed: int = 0) -> Tensor:
    """Smooth and within the range, as photographs are."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (3 * torch.nn.functional.avg_pool2d(noise, 3, 1, 1)).clamp(-1, 1)


def misfit(x: Tensor, y: Tensor) -> float:
    return float((PhaseRetrieval().A(x) - y).norm() / y.norm())


def test_channels_agree_with_the_first() -> None:
    x = image(2, 1, 6, 5)
    tuned = torch.cat([x, 0.5 * x, 0.7 * x + 0.01, x**3], 1)
    spoilt = torch.stack([tuned[:, 0], -tuned[:, 1], tuned[:, 2].flip(1, 2), -tuned[:, 3].flip(1, 2)], 1)
    torch.testing.assert_close(agree(spoilt), tuned)


def test_the_classical_solution_is_found_and_kept() -> None:
    """A small image without noise: the start nearly fits, and each restart can only make it fit better."""
    x = image(1, 1, 8, 8)
    y = PhaseRetrieval().A(x)
    fits = []
    for restarts in (1, 4, 16):
        method = replace(FAST, restarts=restarts, iterations=300)
        fits.append(misfit(method.start(PhaseRetrieval(), y, Streams([0])), y))
    assert fits[0] >= fits[1] >= fits[2]
    assert fits[-1] < 0.02


def test_one_step_is_a_projection_then_ddim_in_the_papers_notation() -> None:
    """No corrections, one level: forward noise, the estimate projected onto the magnitudes, DDIM to the clean end."""
    x, operator = image(1, 2, 8, 8), PhaseRetrieval()
    y = operator.A(x)
    method = DreamCleanPhase(strength=50, steps=20, corrections=0, restarts=1, iterations=0)
    sigma = method.ladder(linear_ladder())[0].item()
    rng = Streams([3])
    start = method.start(operator, y, rng)
    noisy = start + sigma * rng.like(start)
    f = torch.fft.fft2(torch.nn.functional.pad(PRIOR(noisy, sigma), (4, 4, 4, 4)))
    expected = torch.fft.ifft2(16 * y * f / f.abs()).real[..., 4:12, 4:12]
    torch.testing.assert_close(method(Problem(y, operator, 0.0), PRIOR, seed=3), expected)


@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_a_run_in_plain_arithmetic(sigma_y: float) -> None:
    x, operator = image(1, 2, 8, 8), PhaseRetrieval()
    y = operator.A(x)
    method = replace(FAST, gamma=0.3, corrections=2)
    ladder = method.ladder(linear_ladder()).tolist()
    rng = Streams([0])
    z = method.start(operator, y, rng)
    z = z + ladder[0] * rng.like(z)
    for sigma, after in pairwise(ladder):
        for last in (False, False, True):
            x0 = PRIOR(z, sigma)
            share = 1.0 if not sigma_y else min(1.0, sigma / sigma_y)
            x0 = (1 - share) * x0 + share * operator.project(x0, y)
            if last:
                z = x0 + after / sigma * (z - x0)
            else:
                z = x0 + 0.7 * (z - x0) + math.sqrt(1 - 0.49) * sigma * rng.like(z)
    out = method(Problem(y, operator, sigma_y), PRIOR, seed=0)
    torch.testing.assert_close(out, z)


def test_laws() -> None:
    x, operator = image(2, 2, 7, 5), PhaseRetrieval()
    y = operator.A(x)
    before = y.clone()
    out = FAST(Problem(y, operator, 0.1), PRIOR, seed=4)
    assert torch.equal(y, before)
    assert out.shape == x.shape
    assert torch.equal(out, FAST(Problem(y, operator, 0.1), PRIOR, seed=4))
    one = FAST(Problem(y[1:], operator, 0.1), PRIOR, seed=5)
    assert torch.equal(out[1:], one)
    states = list(FAST.iterate(Problem(y, operator, 0.1), PRIOR, Streams([4, 5])))
    assert states[-1].nfe == FAST.nfe(PRIOR) == 10
    assert states[-1].step == states[-1].total == len(states)


def test_refuses_other_operators() -> None:
    with pytest.raises(UsageError, match="is for PhaseRetrieval, not for Denoise"):
        FAST(Problem(torch.zeros(1, 3, 4, 4), Denoise(), 0.1), PRIOR)
    with pytest.raises(UsageError, match="needs the degradation"):
        FAST(Problem(torch.zeros(1, 3, 4, 4)), PRIOR)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strength", 0),
        ("steps", 0),
        ("gamma", 2),
        ("corrections", -1),
        ("restarts", 0),
        ("iterations", -1),
        ("relaxation", 0),
    ],
)
def test_refuses_values_out_of_range(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=field):
        DreamCleanPhase(**{field: value})  # type: ignore[arg-type]
