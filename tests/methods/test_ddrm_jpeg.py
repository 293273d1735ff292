from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DDRMJpeg
from pellucid.operators import Denoise, Jpeg
from pellucid.priors import Counted, GaussianPrior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2).double(), variance=torch.full((3, 1, 1), 0.3).double())


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def test_the_grid_is_the_published_one() -> None:
    sigmas = linear_ladder()
    assert DDRMJpeg().ladder(sigmas).tolist() == [*sigmas[:286:15].flip(0).tolist(), 0.0]
    assert DDRMJpeg().nfe(PRIOR) == 20


def test_one_step_as_released() -> None:
    """sqrt(abar') (eta_b x0' + (1 - eta_b) x0) + eta sqrt(1 - abar') z + (1 - eta) sqrt(1 - abar') epsilon."""
    operator, method = Jpeg(20), DDRMJpeg(eta=0.7)
    y = operator.A(draw(0, 1, 3, 16, 16))
    first, second = list(method.iterate(Problem(y, operator), PRIOR, Streams.of(0, 1)))[:2]
    rng = Streams.of(0, 1)
    for _ in range(2):
        rng.like(first.x)  # the start, the first step
    z = rng.like(first.x)
    sigma, after = method.ladder(linear_ladder()).tolist()[1:3]
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    x, x0 = math.sqrt(a) * first.x, PRIOR(first.x, sigma)
    epsilon = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
    corrected = x0 - operator.A(x0) + operator.A(y)
    expected = math.sqrt(a_next) * (0.4 * corrected + 0.6 * x0)
    expected = expected + math.sqrt(1 - a_next) * (0.7 * z + 0.3 * epsilon)
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected, rtol=1e-6, atol=1e-6)


def test_laws() -> None:
    operator = Jpeg(30)
    y = operator.A(draw(0, 2, 3, 16, 24))
    before, prior = y.clone(), Counted(PRIOR)
    both = DDRMJpeg()(Problem(y, operator), prior, seed=5)
    assert prior.nfe == 20
    assert torch.equal(y, before)
    for i in range(2):
        assert torch.equal(DDRMJpeg()(Problem(y[i : i + 1], operator), PRIOR, seed=5 + i), both[i : i + 1])


@pytest.mark.parametrize("fields", [{"strength": 0}, {"steps": 0}, {"eta": 2}, {"eta_b": -1}])
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(fields))):
        DDRMJpeg(**fields)
    with pytest.raises(UsageError, match="undoes Jpeg, not Denoise"):
        DDRMJpeg()(Problem(draw(0, 1, 3, 8, 8), Denoise()), PRIOR)
