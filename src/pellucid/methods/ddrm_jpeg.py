r"""DDRM for JPEG: the compressible part of an estimate is replaced by that of the measurement.

Compression with decompression, J, is no linear map, but like `pinv(A) A` it is idempotent. So the estimate is corrected
as in DDNM and DDRM without noise (section 3.2),

.. math:: x_0' = x_0 - J(x_0) + J(y), \quad
          x' = \eta_b x_0' + (1 - \eta_b) x_0 + \eta \sigma' n + (1 - \eta) \sigma' (x - x_0) / \sigma

with the weights eta and 1 - eta of fresh and kept noise, as in the released code, not eta and sqrt(1 - eta^2).

References:
    Kawar et al., "JPEG Artifact Correction using Denoising Diffusion Restoration Models", 2022.
        https://arxiv.org/abs/2209.11888
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, strided
from ..maths.problem import Problem
from ..operators import Jpeg
from ..priors.prior import Counted, Prior
from .method import PAPERS, State, Stepper


@dataclass(frozen=True)
class DDRMJpeg(Stepper):
    """Repairs one pass of JPEG compression of known quality (Kawar et al., 2022).

    Costs `steps` evaluations if steps divides the part of the ladder below `strength`. Takes `Jpeg` operators; y
    is the decompressed image.

    Attributes:
        strength: starting level, in thousandths of the ladder, (0, 1000].
        steps: levels walked, equally spaced in training steps; a few more if they do not divide those.
        eta: share of fresh noise, [0, 1].
        eta_b: share of the corrected estimate, [0, 1].
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    takes_decoded: ClassVar[bool] = True

    strength: float = 300
    steps: int = 20
    eta: float = 1.0
    eta_b: float = 0.4

    def __post_init__(self) -> None:
        self.require(0 < self.strength <= 1000, "strength", "above 0, at most 1000")
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.eta <= 1, "eta", "from 0 to 1")
        self.require(0 <= self.eta_b <= 1, "eta_b", "from 0 to 1")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """The levels walked: descending, then 0; 285, 270, ..., 0 of 1,000 training steps at the defaults."""
        return strided(sigmas[: max(1, round(self.strength / 1000 * len(sigmas)))], self.steps)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator = self.operator_of(problem)
        if not isinstance(operator, Jpeg):
            raise UsageError(f"DDRMJpeg undoes Jpeg, not {type(operator).__name__}")
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        kept_of_truth = operator.A(problem.y)
        x = problem.y + ladder[0] * rng.like(problem.y)
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            x0 = prior(x, sigma)
            corrected = x0 + self.eta_b * (kept_of_truth - operator.A(x0))
            noise = self.eta * rng.like(x) + (1 - self.eta) * (x - x0) / sigma
            x = corrected + sigma_next * noise
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)
