r"""GDP: an unconditional chain whose mean is pushed by a loss on the estimate.

At each ancestral step the mean moves against the gradient of the mean squared error between the measurement and what
the estimate would have measured, both in [0, 1] (algorithm 1). The gradient is with respect to the estimate x0, not
through the network:

.. math:: x' \sim N(\mu - \zeta \nabla_{x_0} L(A(x_0), y),\ \Sigma), \quad
          L(a, y) = \mathrm{mean}\left((a_{01} - y_{01})^2\right)

for variance-preserving latents. The guidance is not multiplied by Sigma: the released code does not, and its scales are
made for that; since the loss is a mean they are large. `guide="xt"` takes the latent itself for the estimate (algorithm
2), which suffers from comparing it, noise and all, with a measurement that has no noise of its level.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement", CVPR 2023.
        https://arxiv.org/abs/2304.01247
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..noise import Streams, renoise
from ..operators import Operator
from ..priors.prior import Counted, Prior
from ..problem import Problem, to_zero_one
from .method import State, Stepper


@dataclass(frozen=True)
class GDP(Stepper):
    """Restoration with any known differentiable degradation by guided sampling (Fei et al., CVPR 2023).

    Costs `steps` evaluations, without gradients. The noise level is not used.

    Attributes:
        steps: levels walked; 250 is the paper's shorter setting.
        scale: zeta. The released code has 2,000 for super-resolution by 4, 4,000 for inpainting and 6,000 for
            deblurring and colours, at 1,000 steps of 256x256 images.
        guide: "x0" or "xt", what the loss compares with the measurement.
        variance: of an ancestral step, of the two that bound it (DDPM, section 3.2): "posterior", of x' given x and x0,
            or "beta", that of the forward step. The variance that some networks have learnt lies between them.
        clip: whether estimates are clipped to [-1, 1], as in the released code.
    """

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False

    steps: int = 1000
    scale: float = 2000
    guide: Literal["x0", "xt"] = "x0"
    variance: Literal["posterior", "beta"] = "posterior"
    clip: bool = True

    def __post_init__(self) -> None:
        self._require(self.steps >= 1, "steps", "at least 1")
        self._require(0 <= self.scale < math.inf, "scale", "0 or more")
        self._require(self.guide in ("x0", "xt"), "guide", "x0 or xt")
        self._require(self.variance in ("posterior", "beta"), "variance", "posterior or beta")

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, y = self._operator(problem), problem.y
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(y.new_empty(operator.image_shape(tuple(y.shape))))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            x0 = prior(x, sigma)
            if self.clip:
                x0 = x0.clamp(-1, 1)
            # The variance-preserving latent is what "the latent" means to the authors.
            compared = x0 if self.guide == "x0" else x / math.sqrt(1 + sigma**2)
            push = self.scale * math.sqrt(1 + sigma_next**2) * gradient(operator, compared, y)
            # The posterior's mean, mu, on which no noise is left that is not fresh.
            mean = renoise(x, x0, sigma, sigma_next**2 / sigma)
            x = mean - push + self.spread(sigma, sigma_next) * rng.like(x)
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)

    def spread(self, sigma: float, sigma_next: float) -> float:
        """The fresh noise of a step's standard deviation; 0 at the last."""
        if not sigma_next:
            return 0.0
        added = math.sqrt(sigma**2 - sigma_next**2)
        if self.variance == "posterior":
            return sigma_next / sigma * added
        # sqrt(beta) of the variance-preserving chain, beta = 1 - abar / abar', in this library's coordinates.
        return math.sqrt((1 + sigma_next**2) / (1 + sigma**2)) * added


def gradient(operator: Operator, x: Tensor, y: Tensor) -> Tensor:
    """The gradient at x of each image's mean squared error in [0, 1] between A x and y, (B, C, H, W)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        error = (to_zero_one(operator.A(x)) - to_zero_one(y)).square().flatten(1).mean(1)
        (slope,) = torch.autograd.grad(error.sum(), x)
    return slope
