r"""DPS: an unconditional chain, guided towards the measurement through the network.

After each ancestral step the latent moves against a gradient through the network: that of the distance between the
measurement and the measured estimate (algorithm 1, whose step zeta' over that distance multiplies the gradient of its
square):

.. math:: x' \leftarrow x' - \zeta \, \nabla_{x} \| y - A(\hat x_0(x)) \|_2

written for variance-preserving latents. This zeta is that of the authors' code, and twice the paper's zeta' for the
same move. In this library's coordinates, x_vp = sqrt(abar) x, the move is zeta / (sqrt(abar) sqrt(abar')) times the
gradient at x. The norm is per image, not over the batch.

References:
    Chung et al., "Diffusion Posterior Sampling for General Noisy Inverse Problems", ICLR 2023.
        https://arxiv.org/abs/2209.14687
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators import Operator
from ..priors.prior import Counted, Evaluation, Prior, learned
from .method import PAPERS, Method, State, Stepper, ancestral_spread, with_gradients


@dataclass(frozen=True)
class DPS(Stepper):
    """Restoration with any known differentiable degradation, linear or not (Chung et al., ICLR 2023).

    Costs `steps` evaluations of the prior, each with its gradient: two to three times an evaluation's time, and
    memory for one evaluation's activations. The noise level enters only through the choice of `scale`.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        scale: zeta, the size of the guidance. The authors' code has 0.3 for super-resolution and blur, 0.5 for random
            inpainting and 1 for phase retrieval, at 1,000 steps.
        clip: whether estimates are clipped to [-1, 1], as in the authors' code; clipped values have no gradient.
        variance: of an ancestral step: "posterior"; or "learned", from the network, as in the authors' code, without
            further evaluations (`VPNetwork.learned`).
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True

    steps: int = 1000
    scale: float = 0.3
    clip: bool = True
    variance: Literal["posterior", "learned"] = "posterior"

    def __post_init__(self) -> None:
        self.require(self.variance in ("posterior", "learned"), "variance", "posterior or learned")
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.scale < math.inf, "scale", "0 or more")

    @property
    def through_network(self) -> bool:
        """Always true."""
        return True

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; latents are not within [-1, 1]."""
        return replace(self, clip=False), ""

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, y = self.operator_of(problem), problem.y
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(y.new_empty(operator.image_shape(tuple(y.shape))))
        evaluate = learned(prior) if self.variance == "learned" else prior
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            x0, pull, *share = self._pull(operator, y, evaluate, x, sigma)
            # DDPM's step, then the pull, both from the latent before it.
            mean = renoise(x, x0, sigma, sigma_next**2 / sigma)
            moved = mean + ancestral_spread(sigma, sigma_next, self.variance, *share) * rng.like(x)
            x = moved - self.scale * math.sqrt((1 + sigma**2) * (1 + sigma_next**2)) * pull
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)

    def pull(self, operator: Operator, y: Tensor, prior: Prior, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """The estimate, and the gradient of each image's distance to its measurement, both (B, C, H, W)."""
        x0, gradient = self._pull(operator, y, prior, x, sigma)
        return x0, gradient

    def _pull(self, operator: Operator, y: Tensor, evaluate: Evaluation, x: Tensor, sigma: float) -> tuple[Tensor, ...]:
        """The same with the share of the learned variance, if the evaluation has one."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            x0, *share = evaluate(x, sigma).split(x.shape[1], 1)
            if self.clip:
                x0 = x0.clamp(-1, 1)
            distance = self.distance(y - operator.A(x0), y)
            # Where an image fits exactly the norm has no gradient, and nothing is to be pulled.
            (gradient,) = torch.autograd.grad(distance.sum(), x)
        return x0.detach(), gradient.nan_to_num(0.0), *(one.detach() for one in share)

    def distance(self, residual: Tensor, y: Tensor) -> Tensor:
        """Norm of each image's residual, (B,); `y` is the measurement, for variants with weights from it."""
        # One by one: the rounding of a sum over an axis depends on how many there are.
        return torch.stack([one.norm() for one in residual])
