r"""MMPS: the posterior by matching the prior's moments.

At level sigma the prior gives the mean x0 of the clean image and, by its derivative, the covariance V = sigma^2 dx0/dx
(Tweedie's second-order formula). For a Gaussian clean image with these moments, the mean given both the latent and y =
A x0 + sigma_y n is

.. math:: \hat x_0 = x_0 + V A^T (\sigma_y^2 I + A V A^T)^{-1} (y - A x_0)

(eq. 11-13), solved by a few conjugate gradients, each of which costs one vector-Jacobian product. An ancestral walk
down the ladder with it samples the posterior; for a Gaussian prior it does so exactly in the limit of small steps. So
this method is the reference for the others.

References:
    Rozet et al., "Learning Diffusion Priors from Observations by Expectation Maximization", NeurIPS 2024, section 4.
        https://arxiv.org/abs/2405.13712
    Boys et al., "Tweedie Moment Projected Diffusions for Inverse Problems", TMLR 2024. https://arxiv.org/abs/2310.06721
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, karras_ladder, renoise
from ..maths.problem import Problem
from ..operators import Operator
from ..operators.operator import conjugate_gradients
from ..priors.prior import Counted, Prior
from .method import PAPERS, State, Stepper, with_gradients


@dataclass(frozen=True)
class MMPS(Stepper):
    """Samples the posterior of a known linear degradation with noise (Rozet et al., NeurIPS 2024).

    Costs `steps` evaluations of the prior, and `iterations + 1` products with its derivative at each. A product takes
    about as long as two evaluations.

    Attributes:
        steps: levels walked.
        iterations: conjugate gradients at each level.
        eta: share of an ancestral step's noise: 1 samples, 0 is deterministic.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False

    steps: int = 100
    iterations: int = 3
    eta: float = 1.0

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(self.iterations >= 1, "iterations", "at least 1")
        self.require(0 <= self.eta <= 1, "eta", "from 0 to 1")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """Levels of the walk, EDM's between the ends of a training ladder: descending, then 0.

        They are denser than DDPM's at low noise, which decides the posterior. At 100 steps and noise of 0.1 they lose
        half as much of a Gaussian posterior's variance.
        """
        return karras_ladder(self.steps, sigmas[0].item(), sigmas[-1].item())

    @property
    def through_network(self) -> bool:
        """Always true."""
        return True

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, sigma_y = self.operator_and_noise(problem)
        if not operator.linear or not sigma_y:
            raise UsageError("MMPS needs a linear operator and a noise level above 0")
        y, prior = problem.y, Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(y.new_empty(operator.image_shape(tuple(y.shape))))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            x0 = self.posterior_mean(operator, y, sigma_y, prior, x, sigma)
            eta = self.eta * math.sqrt(1 - (sigma_next / sigma) ** 2)
            x = renoise(x, x0, sigma, sigma_next, eta, rng)
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)

    def posterior_mean(
        self, operator: Operator, y: Tensor, sigma_y: float, prior: Prior, x: Tensor, sigma: float
    ) -> Tensor:
        """Mean of the clean image given the latent and the measurement, (B, C, H, W)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            x0 = prior(x, sigma)

        def covariance(v: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(x0, x, v, retain_graph=True)
            return sigma**2 * product

        with torch.no_grad():
            residual = y - operator.A(x0)
            weights = conjugate_gradients(
                lambda v: sigma_y**2 * v + operator.A(covariance(operator.At(v))), residual, self.iterations
            )
            return x0.detach() + covariance(operator.At(weights))
