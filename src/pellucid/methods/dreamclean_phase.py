r"""DreamClean for phase retrieval: from a classical solution, within the images of the measured magnitudes.

The measurement is `|F x|`, x with zeros around it. The start is hybrid input-output ([HIO]): alternately the measured
magnitudes are imposed in Fourier space and, outside the image's place and range, the feedback

.. math:: u \leftarrow P u \ \text{where it is inside}, \quad u \leftarrow u - \beta P u \ \text{elsewhere}

drives unwanted values to zero. The best of several random starts gets noise of strength tau (eq. 2 of
[DreamClean]), and Variance Preservation Sampling and DDIM steps bring it down, each estimate first projected onto the
measured magnitudes (section 3.5). With noise the projection is scaled by sigma / sigma_y, as in DDNM+: below the
measurement's noise the prior is more accurate. The paper publishes no further details of its procedure.

References:
    [DreamClean] Xiao et al., "DreamClean: Restoring Clean Image Using Deep Diffusion Prior", ICLR 2024.
    [HIO] Fienup, "Phase retrieval algorithms: a comparison", Applied Optics 21(15), 1982.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators import PhaseRetrieval
from ..priors.prior import Counted, Prior
from .dreamclean import Descent
from .method import PAPERS, State

_POLISH = 50
"""Iterations without feedback at the end of a start, which only refine the solution."""


@dataclass(frozen=True)
class DreamCleanPhase(Descent):
    """Phase retrieval by hybrid input-output and Variance Preservation Sampling (Xiao et al., ICLR 2024, section 3.5).

    Costs n (1 + M) evaluations with n = floor(strength / 1000 * steps) levels and M corrections, 60 at the defaults.
    Before them there are `restarts` times `iterations` pairs of Fourier transforms. Needs the operator
    `PhaseRetrieval`. Magnitudes leave the image's sign and a turn by 180 degrees open. Channels are retrieved
    separately and aligned with the first.

    Attributes:
        strength: tau, the starting level on the ladder, in thousandths of it, (0, 1000].
        steps: DDIM steps of the whole ladder, of which those up to `strength` are walked.
        gamma: size of a correction, [0, 1].
        corrections: M, corrections at each level.
        restarts: random starts; each channel keeps the best fit.
        iterations: of hybrid input-output, for each.
        relaxation: beta, the feedback, (0, 1].
    """

    presets = PAPERS

    restarts: int = 4
    iterations: int = 200
    relaxation: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.restarts >= 1, "restarts", "at least 1")
        self.require(self.iterations >= 0, "iterations", "0 or more")
        self.require(0 < self.relaxation <= 1, "relaxation", "above 0, at most 1")

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level, after the classical solution at the first level."""
        operator, sigma_y = self.operator_and_noise(problem)
        if not isinstance(operator, PhaseRetrieval):
            raise UsageError(f"DreamCleanPhase is for PhaseRetrieval, not for {type(operator).__name__}")
        # Noise can make a magnitude negative, which no image has.
        y = problem.y.clamp_min(0)

        def fit(x0: Tensor, sigma: float) -> Tensor:
            return x0.lerp(operator.project(x0, y), min(1.0, sigma / sigma_y) if sigma_y else 1.0)

        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        eta = math.sqrt(self.gamma * (2 - self.gamma))
        x = self.start(operator, y, rng)
        x = x + ladder[0] * rng.like(x)
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            for _ in range(self.corrections):
                x = renoise(x, fit(prior(x, sigma), sigma), sigma, sigma, eta, rng)
            x0 = fit(prior(x, sigma), sigma)
            x = renoise(x, x0, sigma, sigma_next)
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)

    def start(self, operator: PhaseRetrieval, y: Tensor, rng: Streams) -> Tensor:
        """Classical solution: for each channel the best of `restarts`, turned to agree with the first channel."""
        best = error = None
        for _ in range(self.restarts):
            x = self._retrieve(operator, y, rng)
            misfit = (operator.A(x) - y).square().sum((2, 3), keepdim=True)
            if best is None or error is None:
                best, error = x, misfit
            else:
                best, error = torch.where(misfit < error, x, best), torch.minimum(misfit, error)
        assert best is not None
        return agree(best)

    def _retrieve(self, operator: PhaseRetrieval, y: Tensor, rng: Streams) -> Tensor:
        """One run of hybrid input-output from noise."""
        inside = operator.pad(torch.ones(operator.image_shape(tuple(y.shape)), dtype=y.dtype, device=y.device)) > 0
        u = torch.where(inside, 0.3 * rng.like(y), 0)
        for _ in range(self.iterations):
            fitted = operator.impose(u, y)
            u = torch.where(inside & (fitted.abs() <= 1), fitted, u - self.relaxation * fitted)
        x = operator.crop(u)
        for _ in range(_POLISH if self.iterations else 0):
            x = operator.project(x, y).clamp(-1, 1)
        return x


def agree(x: Tensor) -> Tensor:
    """Chooses the sign and the turn of each channel, (B, C, H, W), for which it is most similar to the first.

    All four have the same magnitudes; a photograph's channels resemble each other.
    """
    first = x[:, :1]
    ways = torch.stack([x, -x, x.flip(2, 3), -x.flip(2, 3)])
    choice = (ways * first).sum((3, 4), keepdim=True).argmax(0, keepdim=True)
    return ways.gather(0, choice.expand(1, *x.shape))[0]
