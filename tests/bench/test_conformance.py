"""The true posterior is covered as it should be, and too narrow a one is not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pellucid.bench.conformance import MEAN, VARIANCE, coverage
from pellucid.methods import Method
from pellucid.methods.method import State
from pellucid.noise import Streams
from pellucid.operators import Mask
from pellucid.priors import Prior
from pellucid.problem import Problem


@dataclass(frozen=True)
class Posterior(Method):
    """Samples the posterior in closed form, its spread times `width`."""

    width: float = 1.0

    def nfe(self, prior: Prior) -> int:
        return 0

    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        assert isinstance(problem.operator, Mask)
        assert problem.sigma_y is not None
        known = problem.operator.known.expand_as(problem.y)
        share = known * VARIANCE / (VARIANCE + problem.sigma_y**2)
        mean, spread = share * problem.y + (1 - share) * MEAN, (VARIANCE * (1 - share)).sqrt()
        x = mean + self.width * spread * rng.like(problem.y)
        yield State(1, 1, 0.0, x, x, 0)


@pytest.mark.parametrize("noise", [0.1, 0.4])
def test_the_posterior_is_covered_in_nine_of_ten_cases(noise: float) -> None:
    error = math.sqrt(0.09 / 1536)
    for share in coverage(Posterior(), noise):
        assert share == pytest.approx(0.9, abs=4 * error)
    for share in coverage(Posterior(width=0.5), noise):
        assert share < 0.7
    assert max(coverage(Posterior(width=0.0), noise)) < 0.01
