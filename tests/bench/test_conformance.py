"""The true posterior is covered as it should be, and too narrow a one is not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pellucid.bench.conformance import MEAN, METHODS, VARIANCE, compare, coverage, markdown
from pellucid.bench.summary import of_rows
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import Method
from pellucid.methods.method import State
from pellucid.operators import Mask
from pellucid.priors import Prior


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


@pytest.mark.parametrize("label", ["DDRM, 20 steps", "DDNM+, 100 steps", "DPIR, 8 steps", "RED, 50 iterations"])
def test_the_documentations_rows_are_what_is_measured(label: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text().splitlines()
    rows = list(compare({label: METHODS[label]}))
    for line in markdown(of_rows(rows)).splitlines()[2:]:
        assert line in page


def test_draws_have_intervals_and_are_kept(tmp_path: Path) -> None:
    first = list(compare({"own": Posterior()}, (0.4,), range(3), tmp_path))
    kept = (tmp_path / "conformance.jsonl").read_text()
    assert list(compare({"own": Posterior()}, (0.4,), range(3), tmp_path)) == first
    assert (tmp_path / "conformance.jsonl").read_text() == kept
    (line,) = of_rows(first)
    assert line.images == 3
    assert line.cells["seen_ratio"].mean == pytest.approx(1, abs=0.1)
    assert 0 < line.cells["seen_ratio"].half < 0.1
    assert markdown([line]).splitlines()[2].count("±") == 6
    # Another width is another method, whatever it is called.
    other = list(compare({"own": Posterior(width=0.5)}, (0.4,), (0,), tmp_path))
    assert other[0].figures["seen_ratio"] < 0.5
