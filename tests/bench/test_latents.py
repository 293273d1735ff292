from __future__ import annotations

import pytest
import torch

from pellucid.bench.latents import Latents
from pellucid.maths.problem import Problem
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2), torch.tensor(0.3))
Y = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_gain_is_exact_for_a_gaussian() -> None:
    sigma, moved = 0.7, Y + 0.3
    latents = Latents(PRIOR)
    latents(Y, 0.5)
    latents(Y, sigma)
    latents(moved, sigma)

    def log_density(x: torch.Tensor) -> float:
        return (-0.5 * (x - 0.2).double().square() / (0.3 + sigma**2)).mean().item()

    assert latents.levels == [sigma]
    assert latents.gains == [pytest.approx(log_density(moved) - log_density(Y), abs=1e-6)]


def test_dreamclean_has_one_for_each_correction_and_its_result_stays() -> None:
    latents = Latents(PRIOR)
    method = DreamClean(strength=200, steps=20, corrections=2)
    assert torch.equal(method(Problem(Y), latents, 1), method(Problem(Y), PRIOR, 1))
    levels = method.ladder(PRIOR.sigmas)[:-1].tolist()
    assert latents.levels == [level for level in levels for _ in range(2)]


def test_corrections_without_noise_climb() -> None:
    latents = Latents(PRIOR)
    DreamClean(strength=300, schedule="none", gamma=0.3)(Problem(Y), latents, 0)
    assert min(latents.gains) > 0
