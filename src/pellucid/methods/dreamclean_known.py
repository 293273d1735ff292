"""DreamClean with a known degradation: Variance Preservation Sampling in the null space.

The paper calls it "Ours*" (section 3.5 and A.6). The latent starts from the measurement with noise added (eq. 2), not
from inversion, and the measured part of the image comes from the measurement. The paper places the sampling in the null
space and leaves open which quantity is projected; both readings are here:

- `null_space="estimate"`: the measured part of each estimate is replaced by the measurement, and the whole latent
  moves;
- `null_space="increment"`: the correction moves the null space alone.

With noise, component i of the measurement (DDNM+, in spectral coordinates) counts as null space while its noise,
sigma_y / s_i, is above the latent's. Otherwise the latent is the measurement plus the noise that is missing to sigma.
Steps down the ladder are DDRM's with eta = 0 (`Measured.step`), whose noise in components noisier than the latent is
that of y. Components with noise above the first level are not used: their noise would be the same at every step, its
effect would grow, and corrections could not renew it.

References:
    Xiao et al., "DreamClean: Restoring Clean Image Using Deep Diffusion Prior", ICLR 2024.
    Wang et al., "Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model", ICLR 2023.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from .dreamclean import Descent
from .method import PAPERS, State
from .spectral import Measured


@dataclass(frozen=True)
class DreamCleanKnown(Descent):
    """Restoration by Variance Preservation Sampling with a known linear degradation (Xiao et al., ICLR 2024).

    Costs n (1 + M) evaluations with n = floor(strength / 1000 * steps) levels and M corrections, 60 at the defaults.
    Needs an operator with a singular value decomposition, and the noise level.

    Attributes:
        strength: tau, the starting level on the ladder, in thousandths of it, (0, 1000].
        steps: DDIM steps of the whole ladder, of which those up to `strength` are walked.
        gamma: size of a correction, [0, 1].
        corrections: M, corrections at each level.
        null_space: the projected quantity, "estimate" or "increment".
    """

    presets = PAPERS

    null_space: Literal["estimate", "increment"] = "estimate"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.null_space in ("estimate", "increment"), "null_space", "estimate or increment")

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        known = self.operator_and_noise(problem)
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        measured = Measured(problem, *known, "DreamClean with a known degradation", faintest=ladder[0])
        z = measured.start(ladder[0], rng.like(measured.y))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            for _ in range(self.corrections):
                z = self.correct(measured, z, measured.Vt(prior(measured.V(z), sigma)), sigma, rng.like(z))
            x0 = prior(measured.V(z), sigma)
            z = measured.step(z, measured.Vt(x0), sigma, sigma_next, rng.like(z), eta=0.0)
            yield State(step, len(ladder) - 1, sigma_next, measured.V(z), x0, prior.nfe)

    def correct(self, measured: Measured, z: Tensor, x0: Tensor, sigma: float, n: Tensor) -> Tensor:
        """One correction in spectral coordinates: around the measurement if it is clear, else the estimate."""
        clear = measured.level <= sigma
        centre = torch.where(clear, measured.y, x0)
        # The measurement's own noise stays in the latent, so that much less is left to be exchanged.
        spread = torch.where(clear, (sigma**2 - measured.level**2).clamp_min(0).sqrt(), sigma)
        moved = centre + (1 - self.gamma) * (z - centre) + math.sqrt(self.gamma * (2 - self.gamma)) * spread * n
        return moved if self.null_space == "estimate" else torch.where(clear, z, moved)
