r"""Automatic restoration: a diagnosis of the picture, and the repair of the diagnosed damage only.

Each picture gets its `Diagnosis`. Every finding with a treatment becomes a stage: compression with its noise, then
a print's dots, noise and blur. A picture without a finding stays unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .. import diagnosis
from ..diagnosis import Diagnosis, diagnose
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from . import descreen, jpeg, unblur, walk
from .dreamclean import DreamClean
from .method import Method, State
from .onebyone import Run, each, one_by_one
from .plan import Maker, Plan

MAKERS: Sequence[Maker] = (jpeg.treatment, descreen.treatment, unblur.noise_treatment, unblur.treatment)
"""Makers of the treatments in the order of their application."""


@dataclass(frozen=True)
class Auto(Method):
    """Restores unknown damage: diagnoses each picture, repairs the diagnosed damage only, and reports it.

    Costs at most 10 evaluations to find out, of large pictures of a part. Noise takes at most 7 more, one where it is
    white; compression takes 7, from quality 75 on 3; a print's dots take 5; a blur takes 8. Nothing more is spent where
    nothing is found.

    Attributes:
        fidelity: closeness to the picture, [0, 1]; 0.5 has the least error on average, 1 changes nothing.
    """

    diagnoses: ClassVar[bool] = True

    fidelity: float = 0.5

    def __post_init__(self) -> None:
        self.require(0 <= self.fidelity <= 1, "fidelity", "from 0 to 1")

    def nfe(self, prior: Prior) -> int:
        """Largest number of evaluations: dots rule out a JPEG and a blur, and a blur all noise that needs a walk."""
        return diagnosis.CALLS + max(descreen.CALLS + walk.CALLS, jpeg.CALLS + walk.CALLS, jpeg.CALLS + unblur.CALLS)

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; a diagnosis needs pixels, so latents get DreamClean."""
        return (
            super().in_latents(known_operator)
            if known_operator
            else DreamClean("auto", fidelity=self.fidelity).in_latents(known_operator)
        )

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the states of each picture's plan, whose `notes` say it."""
        self.require_blind(problem)
        yield from one_by_one(problem, rng, each(problem, lambda _, y, known: self._run(prior, y, known)))

    def _run(self, prior: Prior, y: Tensor, known: Diagnosis) -> Run:
        counted = Counted(prior)
        plan = self.plan(diagnose(counted, y, known) if self.fidelity < 1 else Diagnosis())
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, plan.note)

    def plan(self, found: Diagnosis) -> Plan:
        """Treatments of a picture with a given diagnosis."""
        return Plan.of(found, MAKERS, self.fidelity)
