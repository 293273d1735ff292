r"""PiGDM: guidance by the pseudo-inverse, through the network.

At level sigma the clean image is taken as Gaussian around the prior's estimate with a variance r^2 that every pixel
shares. The additional information of the measurement, m, then has a closed form, and the network's derivative J carries
it to the latent (eq. 7, 8):

.. math::
    m = A^T (A A^T + \tfrac{\sigma_y^2}{r^2} I)^{-1} (y - A \hat x_0), \qquad
    g = J^T m, \qquad r^2 = \frac{c\, \sigma^2}{c + \sigma^2}

which is A^+ (y - A x0) without noise. Algorithm 1 adds sqrt(abar) times the gradient at the
variance-preserving latent to DDIM's step; in this library's coordinates that is g / sqrt(abar'). The paper's r^2 is the
one of data with variance c = 1. With `guidance="score"` the estimate moves by sigma^2 / r^2 g before the step, as the
posterior's score requires; for a Gaussian prior of variance c this is exact.

References:
    Song, Vahdat, Mardani, Kautz, "Pseudoinverse-Guided Diffusion Models for Inverse Problems", ICLR 2023.
        https://openreview.net/forum?id=9_gsMA8MRKQ
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators import Operator
from ..priors.prior import Counted, Prior
from .dpir import DataStep
from .method import PAPERS, State, Stepper, with_gradients


@dataclass(frozen=True)
class PiGDM(Stepper):
    """Restores a known degradation with a pseudo-inverse, guided through the network (Song et al., ICLR 2023).

    Costs `steps` evaluations of the prior, each with its gradient. Operators that are not linear need a pseudo-inverse
    (JPEG's decoder, for example) and count as noiseless, as in the paper.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        eta: share of an ancestral step's noise: 1 is DDPM's, the paper's; 0 is deterministic.
        spread: standard deviation of clean images in [-1, 1] units, the square root of c; the paper's is 1.
        guidance: "step" adds the guidance to the step, as published; "score" moves the estimate before it.
        inner: conjugate gradients for a step, if the operator has no decomposition.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False

    steps: int = 100
    eta: float = 1.0
    spread: float = 1.0
    guidance: Literal["step", "score"] = "step"
    inner: int = 8

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.eta <= 1, "eta", "from 0 to 1")
        self.require(0 < self.spread < math.inf, "spread", "above 0")
        self.require(self.guidance in ("step", "score"), "guidance", "step or score")
        self.require(self.inner >= 1, "inner", "at least 1")

    @property
    def through_network(self) -> bool:
        """Always true."""
        return True

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, sigma_y = self.operator_and_noise(problem)
        data = DataStep(operator, problem.y, self.inner) if operator.linear else None
        prior, ladder = Counted(prior), self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(problem.y.new_empty(operator.image_shape(tuple(problem.y.shape))))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            # sigma_y^2 / r^2, and sigma^2 / r^2.
            excess = 1 + sigma**2 / self.spread**2
            weight = sigma_y**2 / sigma**2 * excess
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                x0 = prior(x, sigma)
                (pull,) = torch.autograd.grad(x0, x, self.beyond(problem, operator, data, x0.detach(), weight))
            x0 = x0.detach()
            moved = x0 + excess * pull if self.guidance == "score" else x0
            x = renoise(x.detach(), moved, sigma, sigma_next, self.eta * math.sqrt(1 - (sigma_next / sigma) ** 2), rng)
            if self.guidance == "step":
                x = x + math.sqrt(1 + sigma_next**2) * pull
            yield State(step, len(ladder) - 1, sigma_next, x, moved, prior.nfe)

    @staticmethod
    @torch.no_grad()
    def beyond(problem: Problem, operator: Operator, data: DataStep | None, x0: Tensor, weight: float) -> Tensor:
        """Additional information of the measurement: m, (B, C, H, W), for `weight` = sigma_y^2 / r^2."""
        if data is not None:
            return data(x0, weight) - x0
        if weight:
            raise UsageError(
                f"PiGDM takes {type(operator).__name__}, which is not linear, without noise alone: noise=0"
            )
        return operator.pinv(problem.y) - operator.pinv(operator.A(x0))
