"""Methods that take gradients do so whatever the caller has switched off."""

from __future__ import annotations

import pytest
import torch

from pellucid.errors import UsageError
from pellucid.maths.problem import Problem
from pellucid.methods import BIRD, DGP, DIIP, DIP, DPS, GDP, MMPS, BlindDPS, Method
from pellucid.operators import Mask
from pellucid.priors import GaussianPrior

METHODS = [
    BIRD(steps=2, iterations=2),
    BlindDPS(steps=2, kernel=3),
    DGP(candidates=2, iterations=1),
    DIIP(steps=2, iterations=2),
    DIP(iterations=2),
    DPS(steps=2),
    GDP(steps=2),
    MMPS(steps=2),
]
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((1, 1, 1), 0.3))


def problem(method: Method) -> Problem:
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = Mask.random(16, 16)
    return Problem(y) if method.blind else Problem(mask.A(y), mask, 0.1)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_no_grad_changes_nothing(method: Method) -> None:
    expected = method(problem(method), PRIOR)
    with torch.no_grad():
        assert torch.equal(method(problem(method), PRIOR), expected)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_inference_mode_is_refused(method: Method) -> None:
    with torch.inference_mode(), pytest.raises(UsageError, match=r"outside torch\.inference_mode"):
        method(problem(method), PRIOR)
