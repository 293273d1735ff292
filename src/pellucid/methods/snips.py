r"""SNIPS: annealed Langevin dynamics in the spectral coordinates of the degradation.

At each level sigma of a geometric ladder a few Langevin steps x + alpha g + sqrt(2 alpha) n are made in each spectral
component. Here g is the gradient of the log-posterior of a latent whose noise is tied to that of the measurement
(section 3.3): with y = (measured component) / s, l = sigma_y / s its level and score = (x0 - x) / sigma^2,

.. math::
    l = \infty:\quad & \alpha = c \sigma^2, & g &= \mathrm{score} \\
    l > \sigma:\quad & \alpha = c \sigma^2 (1 - \sigma^2 / l^2), & g &= \mathrm{score} + (y - x) / (l^2 - \sigma^2) \\
    l < \sigma:\quad & \alpha = c (\sigma^2 - l^2), & g &= (y - x) / (\sigma^2 - l^2)

A latent that follows a falling ladder by Langevin steps lags behind: its noise is above sigma, by 18 % at the defaults.
The authors' networks infer the noise level themselves; a network that uses the given level would leave the excess in
the image, and the latent would keep it. So the prior gets the latent's level in the null space, which follows
:math:`v \leftarrow (1 - c)^2 v + 2 c \sigma^2`; `calibrate=False` gives it sigma.

References:
    Kawar, Vaksman and Elad, "SNIPS: Solving Noisy Inverse Problems Stochastically", NeurIPS 2021.
        https://arxiv.org/abs/2105.14951
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from .method import Method, State
from .spectral import Measured


@dataclass(frozen=True)
class SNIPS(Method):
    """Restoration with a known linear degradation by annealed Langevin dynamics (Kawar et al., NeurIPS 2021).

    Costs `levels` times `repeats` evaluations, 1,000 at the defaults. Needs an operator with a singular value
    decomposition and a noise level above 0. The result is the last latent's estimate.

    Attributes:
        levels: number of noise levels, geometric from the training ladder's last to `final`.
        repeats: Langevin steps at each.
        rate: c, the size of a step relative to the squared level; the authors' 3.3e-6 / 0.01^2.
        final: the last level, in [-1, 1] units.
        calibrate: whether the prior gets the latent's noise level instead of the ladder's.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"levels": 500, "calibrate": False}}

    blind: ClassVar[bool] = False

    levels: int = 200
    repeats: int = 5
    rate: float = 0.033
    final: float = 0.02
    calibrate: bool = True

    def __post_init__(self) -> None:
        self.require(self.levels >= 2, "levels", "at least 2")
        self.require(self.repeats >= 1, "repeats", "at least 1")
        self.require(0 < self.rate <= 1, "rate", "above 0, at most 1")
        self.require(0 < self.final < 1, "final", "between 0 and 1")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """The levels, descending."""
        ends = (sigmas[-1].log().item(), torch.tensor(self.final, dtype=torch.float64).log().item())
        return torch.linspace(*ends, self.levels, dtype=torch.float64).exp()

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step."""
        return self.levels * self.repeats

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, sigma_y = self.operator_and_noise(problem)
        if not sigma_y:
            raise UsageError("SNIPS needs a noise level above 0")
        measured = Measured(problem, operator, sigma_y, "SNIPS")
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        z = ladder[0] * rng.like(measured.y)
        variance = ladder[0] ** 2
        for step, sigma in enumerate(ladder, 1):
            towards_y, towards_x0, spread = self.coefficients(measured.level, sigma)
            for _ in range(self.repeats):
                x0 = prior(measured.V(z), math.sqrt(variance) if self.calibrate else sigma)
                moved = z + towards_y * (measured.y - z)
                z = moved.add_((measured.Vt(x0) - z).mul_(towards_x0)).add_(rng.like(z).mul_(spread))
                variance = (1 - self.rate) ** 2 * variance + 2 * self.rate * sigma**2
            last = step == len(ladder)
            yield State(step, len(ladder), 0.0 if last else sigma, x0 if last else measured.V(z), x0, prior.nfe)

    def coefficients(self, level: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """Factors of y - z, x0 - z and fresh noise in a Langevin step at level sigma, given y's levels."""
        beyond = level > sigma
        # alpha over sigma^2: c where nothing is measured, less the nearer the two levels are.
        share = torch.where(beyond, 1 - (sigma / level).square(), 1 - (level / sigma).square())
        # alpha g, written so that neither infinite nor equal levels divide by zero.
        towards_y = self.rate * torch.where(beyond, (sigma / level).square(), 1)
        towards_x0 = self.rate * torch.where(beyond, share, 0)
        return towards_y, towards_x0, (2 * self.rate * sigma**2 * share).sqrt()
