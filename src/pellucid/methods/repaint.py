r"""RePaint: known pixels from the measurement and missing ones from the prior at every level, in repeated walks.

.. math::
    x_{t-1} = m \odot (y + \sigma' n_1) + (1 - m) \odot \left(x_0 + \sigma'^2 / \sigma^2 (x_t - x_0) + \dots n_2\right)

(algorithm 1), the second bracket being DDPM's step. To fit the painted part to its surroundings, the chain goes back up
`travel_length` levels by fresh noise and down again, `travel_repeat` times (section 4.2).

The measurement counts as noiseless, as in the paper: known pixels of the result equal those of y, with their noise.

References:
    Lugmayr et al., "RePaint: Inpainting using Denoising Diffusion Probabilistic Models", CVPR 2022.
        https://arxiv.org/abs/2201.09865
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch

from ..errors import UsageError
from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators import Mask
from ..priors.prior import Counted, Prior
from .ddnm import journey
from .method import PAPERS, Effective, State, Stepper, ancestral_spread


@dataclass(frozen=True)
class RePaint(Stepper):
    """Paints missing pixels by resampling, given a mask (Lugmayr et al., CVPR 2022).

    Costs nearly `steps` times `travel_repeat` evaluations of the prior, 2,410 at the defaults. Needs no noise level.

    Attributes:
        steps: levels walked, T, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        travel_length: number of levels of a journey back, j.
        travel_repeat: number of walks over each stretch of that length, r; 1 is without journeys.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False

    effective: ClassVar[Effective] = {
        "travel_length": ("travel_repeat 2 or more", lambda self, _: self.travel_repeat > 1)
    }

    steps: int = 250
    travel_length: int = 10
    travel_repeat: int = 10

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(self.travel_length >= 1, "travel_length", "at least 1")
        self.require(self.travel_repeat >= 1, "travel_repeat", "at least 1")

    def path(self, levels: int) -> list[int]:
        """Positions on a ladder of `levels` moves in the order of their visits."""
        return journey(levels, self.travel_length, self.travel_repeat)

    def nfe(self, prior: Prior) -> int:
        """One evaluation for each move down."""
        return sum(after > before for before, after in pairwise(self.path(super().nfe(prior))))

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state for each move down."""
        operator, y = self.operator_of(problem), problem.y
        if not isinstance(operator, Mask):
            raise UsageError(f"RePaint paints missing pixels: it needs a Mask, not {type(operator).__name__}")
        known, total = operator.known.to(y), self.nfe(prior)
        prior, ladder = Counted(prior), self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(y)
        for before, after in pairwise(self.path(len(ladder) - 1)):
            sigma, sigma_next = ladder[before], ladder[after]
            if after < before:
                # All steps of noise at once: variances add up.
                x = x + math.sqrt(sigma_next**2 - sigma**2) * rng.like(x)
                continue
            x0 = prior(x, sigma)
            x = renoise(x, x0, sigma, sigma_next**2 / sigma)
            x = x + ancestral_spread(sigma, sigma_next) * rng.like(x) if sigma_next else x
            given = y + sigma_next * rng.like(x) if sigma_next else y
            x = known * given + (1 - known) * x
            yield State(prior.nfe, total, sigma_next, x, x0, prior.nfe)
