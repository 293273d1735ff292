"""Noise removal before another treatment: the common part of methods for light and for colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import diagnosis
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from . import walk
from .method import Method, State
from .onebyone import Run, one_by_one, shared
from .plan import Plan, Treatment


@dataclass(frozen=True)
class NoiseFirst(Method):
    """Removes the noise of a picture as `Denoise` does, then applies a treatment without a prior."""

    def treatment(self) -> Treatment:
        """Treatment of the denoised picture."""
        raise NotImplementedError

    def nfe(self, prior: Prior) -> int:
        """Largest number of evaluations."""
        return diagnosis.CALLS + walk.CALLS

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the `notes` say which noise was removed."""
        self.require_blind(problem)
        yield from one_by_one(problem, rng, shared(problem.y, lambda i: self._run(prior, problem.y[i : i + 1])))

    def _run(self, prior: Prior, y: Tensor) -> Run:
        counted = Counted(prior)
        found = diagnosis.noise_alone(counted, y)
        noise = walk.treatment(found, 1.0)
        plan = Plan([self.treatment()] if noise is None else [noise, self.treatment()], frame=found.frame)
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, plan.note)
