from __future__ import annotations

import pytest
import torch

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import DDRM, Colorize
from pellucid.methods.method import last
from pellucid.operators import AveragePool, Grayscale
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.tensor([0.2, 0.0, -0.1]).view(3, 1, 1).double(), torch.tensor(0.3).double())


def problem(sigma_y: float = 0.0) -> Problem:
    y = torch.rand(2, 1, 12, 14, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    return Problem(y, Grayscale(), sigma_y)


def test_the_light_is_kept_exactly() -> None:
    known = problem()
    state = last(Colorize(draws=3, steps=5).iterate(known, PRIOR, Streams([1, 2])))
    torch.testing.assert_close(Grayscale().A(state.x), known.y)
    assert (state.step, state.total, state.nfe) == (15, 15, Colorize(draws=3, steps=5).nfe(PRIOR))


def test_one_sample_without_smoothing_is_ddrm() -> None:
    known = problem(0.1)
    own = last(Colorize(draws=1, steps=7, smooth=0).iterate(known, PRIOR, Streams([1, 2])))
    theirs = last(DDRM(7).iterate(known, PRIOR, Streams([1, 2])))
    torch.testing.assert_close(own.x, theirs.x)


def test_the_mean_of_many_is_the_posteriors() -> None:
    # Pixels are independent of each other here: the colours' mean is the prior's, less what its mean light is.
    known = problem()
    state = last(Colorize(draws=60, steps=20, smooth=0).iterate(known, PRIOR, Streams([1, 2])))
    mean = PRIOR.mean - PRIOR.mean.mean()
    colours = state.x - state.x.mean(1, keepdim=True)
    torch.testing.assert_close(colours.mean((0, 2, 3)), mean.flatten(), atol=0.02, rtol=0)
    one = last(Colorize(draws=60, steps=20, smooth=3).iterate(known, PRIOR, Streams([1, 2])))
    assert (one.x - one.x.mean(1, keepdim=True)).std() < colours.std()


def test_wrong_uses() -> None:
    with pytest.raises(UsageError, match="Colorize undoes Grayscale, not AveragePool"):
        last(Colorize().iterate(Problem(torch.zeros(1, 3, 4, 4), AveragePool(2), 0.0), PRIOR, Streams([1])))
    with pytest.raises(UsageError, match="draws"):
        Colorize(draws=0)
