"""A method from its paper in forty lines: SDEdit, which adds noise to a picture and removes it with the prior.

    pellucid restore photo.jpg -o edited.png -m examples/sdedit.py:SDEdit --set top=0.3

References:
    Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations", ICLR 2022.
        https://arxiv.org/abs/2108.01073
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch

from pellucid import Problem
from pellucid.maths.noise import Streams, renoise, strided
from pellucid.methods import Method, State
from pellucid.priors import Counted, Prior


@dataclass(frozen=True)
class SDEdit(Method):
    """Adds noise up to a level, then samples down from there (Meng et al., ICLR 2022, algorithm 1).

    Attributes:
        top: noise level of the start, in [-1, 1] units; higher repairs and invents more.
        steps: levels of the whole ladder.
        eta: share of fresh noise in a step, [0, 1].
    """

    top: float = 0.3
    steps: int = 200
    eta: float = 1.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        self.require(self.top > 0, "top", "above 0")
        self.require(0 <= self.eta <= 1, "eta", "in [0, 1]")

    def _ladder(self, prior: Prior) -> list[float]:
        """The levels below the top, from the start to 0."""
        below = [level for level in strided(prior.sigmas, self.steps).tolist() if level < self.top]
        return [self.top, *below]

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step."""
        return len(self._ladder(prior)) - 1

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`."""
        self.require_blind(problem)
        prior = Counted(prior)
        ladder = self._ladder(prior)
        x = problem.y + self.top * rng.like(problem.y)
        for step, (sigma, below) in enumerate(pairwise(ladder), 1):
            x0 = prior(x, sigma)
            x = renoise(x, x0, sigma, below, self.eta, rng)
            yield State(step, len(ladder) - 1, below, x, x0, prior.nfe)
