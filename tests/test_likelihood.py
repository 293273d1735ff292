"""Latents beside the clean image."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from pellucid.maths.noise import Streams, abar_of, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DreamClean, dreamclean
from pellucid.methods.likelihood import Beside, expected, log_q
from pellucid.methods.method import last
from pellucid.priors import Counted, GaussianPrior

SIGMAS = linear_ladder()
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 0.3))


@pytest.mark.parametrize("sigma", [0.1, 1.0, 20.0])
def test_the_density_is_the_normal_distributions(sigma: float) -> None:
    abar = abar_of(torch.tensor(sigma, dtype=torch.float64)).item()
    rng = torch.Generator().manual_seed(0)
    truth, x = torch.randn(2, 3, 4, 4, generator=rng, dtype=torch.float64).split(1)
    normal = torch.distributions.Normal(math.sqrt(abar) * truth, math.sqrt(1 - abar))
    found = normal.log_prob(math.sqrt(abar) * x).mean().item()
    assert log_q(x, truth, sigma) == pytest.approx(found, abs=1e-6)


def test_latents_drawn_from_q_have_what_is_expected() -> None:
    truth = torch.zeros(1, 3, 128, 128)
    x = truth + 0.7 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    assert log_q(x, truth, 0.7) == pytest.approx(expected(0.7), abs=0.01)


def test_dreamcleans_latents_are_seen() -> None:
    truth = PRIOR.sample((8, 8), Streams.of(0, 1))
    y = truth + 0.3 * Streams.of(1, 1).like(truth)
    beside = Beside(truth, SIGMAS)
    method = DreamClean(strength=100, steps=50, gamma=0.3)
    last(method.iterate(Problem(y), PRIOR, Streams.of(0, 1)), beside.see)
    steps = [one.t for one in beside.down]
    assert steps == [100, 80, 60, 40, 20]
    assert [one.t for one in beside.up] == steps[::-1]
    for one in beside.down:
        assert one.densities["clean"] == expected(one.sigma)
        assert math.isfinite(one.densities["before"] + one.densities["after"])
    # The first latent on the way down is the last on the way up, before correction.
    assert beside.down[0].densities["before"] == pytest.approx(beside.up[-1].densities["damaged"])
    sheet = beside.sheet(3)
    assert sheet is not None
    # Three rows of three cells, beside each row's t and below the columns' heads.
    assert sheet.size == (36 + 3 * 40 + 2 * 4, 14 + 3 * 12 + 2 * 4)
    for row in range(3):
        cell = sheet.crop((0, 14 + 16 * row, 36, 26 + 16 * row))
        assert min(cell.convert("L").tobytes()) < 255, "a row has its t"


def test_without_corrections_there_is_nothing_to_see() -> None:
    truth = torch.zeros(1, 3, 4, 4)
    beside = Beside(truth, SIGMAS)
    last(DreamClean(strength=50, steps=20, corrections=0).iterate(Problem(truth), PRIOR, Streams.of(0, 1)), beside.see)
    assert not beside.down
    assert beside.sheet() is None


def test_a_noisy_image_is_seen_from_its_own_level_on() -> None:
    truth = PRIOR.sample((32, 32), Streams.of(0, 1))
    y = truth + 0.3 * Streams.of(1, 1).like(truth)
    beside = Beside(truth, SIGMAS)
    method = DreamClean(strength=200, steps=50, start="noise")
    last(method.walk(y, Counted(PRIOR), Streams.of(0, 1), noise=0.3), beside.see)
    assert [one.t for one in beside.up] == [100, 120, 140, 160, 180, 200]  # sigma is 0.27 at 80, 0.34 at 100
    assert beside.up[0].densities["damaged"] == pytest.approx(beside.up[0].densities["clean"], abs=0.2)


def test_so_it_is_with_an_automatic_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(noise=0.3, strength=100.0)
    monkeypatch.setattr(dreamclean, "evidence", lambda prior, y: [found] * len(y))
    truth = PRIOR.sample((8, 8), Streams.of(0, 1))
    beside = Beside(truth, SIGMAS)
    y = truth + 0.3 * Streams.of(1, 1).like(truth)
    last(DreamClean().iterate(Problem(y), PRIOR, Streams.of(0, 1)), beside.see)
    assert [one.t for one in beside.up] == [90, 100]
