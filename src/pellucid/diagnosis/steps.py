r"""Evidence for the steps of a JPEG in cosine coefficients.

The cosine coefficients of a decoded JPEG are multiples of its steps, except for the rounding of pixels. So for each
possible step t, every coefficient c that is not rounded to 0 gives a likelihood ratio: that of its distance r from the
nearest multiple to chance,

.. math:: \log\big((1 - \epsilon)\, t\, \mathcal N(r; 0, s^2) + \epsilon\big)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .coefficients import some, standard_tables

EVIDENCE = 60.0
"""Log-likelihood ratio to no compression that counts."""

_SIGMA, _OTHERS = 0.3, 0.05
_NEAR = 3 * _SIGMA
_STEPS, _BEST = 160, 97
_KNOWN = 6.0


@dataclass(frozen=True)
class Comb:
    """Evidence of one component's coefficients for each step, (64, steps): log-likelihoods and counts."""

    logarithm: Tensor
    used: Tensor
    near: Tensor

    def _of(self, values: Tensor, table: tuple[int, ...]) -> float:
        steps = torch.tensor(table).clamp(max=_STEPS) - 1
        return values.gather(1, steps[:, None]).sum().item()

    def counted(self, table: tuple[int, ...]) -> float:
        """Number of coefficients that a table rounds to a number other than 0."""
        return self._of(self.used, table)

    def share(self, table: tuple[int, ...]) -> float:
        """Share of them that lie near a multiple of its steps."""
        return self._of(self.near, table) / max(self.counted(table), 1.0)

    def standard(self, component: int) -> tuple[tuple[int, ...], float]:
        """Likeliest standard table, and its log-likelihood ratio to no compression."""
        tables = standard_tables(component)[:_BEST].clamp(max=_STEPS).long()
        scores = self.logarithm.T.gather(0, tables - 1).sum(1)
        best = int(scores.argmax())
        return tuple(standard_tables(component)[best].long().tolist()), scores[best].item()

    def own(self, table: tuple[int, ...], score: float) -> tuple[int, ...]:
        """Table with separately estimated steps, if much likelier than the standard one; else the standard one."""
        best = self.logarithm.max(1)
        if best.values.sum().item() < 1.25 * score + EVIDENCE:
            return table
        sure = best.values > _KNOWN
        steps = best.indices + 1
        ratio = (steps[sure] / torch.tensor(table)[sure]).median()
        others = (torch.tensor(table) * ratio).round().clamp(1, 255)
        return tuple(int(step) for step in torch.where(sure, steps, others))


def comb_of(coefficients: Tensor, clear: Tensor) -> Comb:
    """Evidence of (N, 64) coefficients for every step."""
    coefficients = some(coefficients, clear)
    logarithm, used, near = (torch.zeros(64, _STEPS) for _ in range(3))
    # Those that a step rounds to 0 count for no larger one, either, and soon they are nearly all.
    places, values = torch.arange(64).expand_as(coefficients).flatten(), coefficients.flatten()
    for step in range(1, _STEPS + 1):
        large = values.abs() > step / 2
        places, values = places[large], values[large]
        one, close = _evidence(values, step)
        logarithm[:, step - 1] = torch.bincount(places, one.double(), 64)
        used[:, step - 1] = torch.bincount(places, minlength=64)
        near[:, step - 1] = torch.bincount(places[close], minlength=64)
    return Comb(logarithm, used, near)


def evidence_of(coefficients: Tensor, clear: Tensor, table: tuple[int, ...]) -> tuple[float, float]:
    """Log-likelihood of one table, and the share of coefficients near a multiple."""
    coefficients, steps = some(coefficients, clear), torch.tensor(table).float()
    used = coefficients.abs() > steps / 2
    logarithm, near = _evidence(coefficients[used], steps.expand_as(coefficients)[used])
    return logarithm.sum().item(), near.sum().item() / max(len(near), 1.0)


def _evidence(coefficients: Tensor, step: Tensor | float) -> tuple[Tensor, Tensor]:
    """Log-likelihood ratio of a step for each coefficient, and marks of those near a multiple of it."""
    off = (coefficients - step * (coefficients / step).round()).abs()
    peak = (1 - _OTHERS) * step / (_SIGMA * math.sqrt(2 * math.pi)) * (-0.5 * (off / _SIGMA).square()).exp()
    return (peak + _OTHERS).log(), off < _NEAR
