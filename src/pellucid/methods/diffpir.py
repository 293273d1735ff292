r"""DiffPIR: half-quadratic splitting along a diffusion chain.

Each estimate of the prior is moved to the image that also explains the measurement, by DPIR's data step; the remaining
noise of the latent is kept in part, and the rest is fresh (algorithm 1):

.. math::
    \hat x_0 = \arg\min_x \|A x - y\|^2 + \rho \|x - D(x_t, \sigma)\|^2, \qquad \rho = \lambda \sigma_y^2 / \sigma^2 \\
    x_{t-1} = \hat x_0 + \sigma' \left(\sqrt{1 - \zeta}\, (x_t - \hat x_0) / \sigma + \sqrt{\zeta}\, n\right)

The second line is `renoise` with eta = sqrt(zeta). By default all noise is fresh. The data step amplifies the
measurement's noise where A is weak, up to half of sigma. Noise that is kept carries this on from level to level,
coloured, and a network takes it for texture.

References:
    Zhu et al., "Denoising Diffusion Models for Plug-and-Play Image Restoration", CVPR Workshops 2023.
        https://arxiv.org/abs/2305.08995
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..maths.noise import Streams, renoise, strided
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from .dpir import DataStep
from .method import State, Stepper


@dataclass(frozen=True)
class DiffPIR(Stepper):
    """Restores a known linear degradation by data steps within a diffusion chain (Zhu et al., CVPRW 2023).

    Costs `steps` evaluations of the prior. Needs the noise level, which may be 0.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        weight: lambda, the weight of the prior against the measurement; from 1 to 25 in the paper. The authors' code
            has the noise in [0, 1] units beside levels in [-1, 1] units: its lambda is four times this one.
        zeta: share of the noise's variance that is fresh, [0, 1]; the authors' code has 0.1 for blurs. Of two training
            crops with a motion blur and noise of 0.03, 0.1 gives 18.8 dB, 0.5 24.6 and 1 28.1. With a Gaussian blur or
            a reduction, results of 0.5 look sharper, at 0.5 to 1.4 dB less.
        least: least assumed noise of a measurement, in [0, 1] units; the authors' code has 0.001.
        spacing: of the levels in training time: "uniform"; or "quad", denser at low noise, as in the authors' code.
        ends: the resulting estimate: "data", after its data step, or "prior", as in the authors' code.
        inner: conjugate gradients for a data step, if the operator has no decomposition.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"zeta": 0.1}}

    blind: ClassVar[bool] = False

    steps: int = 100
    weight: float = 1.0
    zeta: float = 1.0
    least: float = 0.001
    spacing: Literal["uniform", "quad"] = "uniform"
    ends: Literal["prior", "data"] = "data"
    inner: int = 8

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 < self.weight < math.inf, "weight", "above 0")
        self.require(0 <= self.zeta <= 1, "zeta", "from 0 to 1")
        self.require(0 < self.least < math.inf, "least", "above 0")
        self.require(self.spacing in ("uniform", "quad"), "spacing", "uniform or quad")
        self.require(self.ends in ("prior", "data"), "ends", "prior or data")
        self.require(self.inner >= 1, "inner", "at least 1")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """See `Stepper`; with "quad", training step T - sqrt(i) for i spaced evenly from 0 to T^2."""
        if self.spacing == "uniform":
            return strided(sigmas, self.steps)
        passed = torch.linspace(0, len(sigmas) ** 2, self.steps, dtype=torch.float64).sqrt().long()
        index = (len(sigmas) - 1 - passed).clamp_min(0).unique()
        return torch.cat([sigmas[index.flip(0)], sigmas.new_zeros(1)])

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, sigma_y = self.operator_and_noise(problem)
        data, prior = DataStep(operator, problem.y, self.inner), Counted(prior)
        noise, ladder = max(sigma_y, 2 * self.least), self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(problem.y.new_empty(data.shape))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            x0 = prior(x, sigma)
            if sigma_next or self.ends == "data":
                x0 = data(x0, self.weight * noise**2 / sigma**2)
            x = renoise(x, x0, sigma, sigma_next, math.sqrt(self.zeta), rng)
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)
