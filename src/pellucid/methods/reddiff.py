r"""RED-diff: variational sampling, which amounts to regularisation by denoising along a chain.

The posterior is approximated by a point mu, optimised by Adam down the ladder (algorithm 1). With fresh noise n at
level sigma, x = mu + sigma n, the loss

.. math:: \|y - A(\mu)\|^2 + \lambda \sigma\, (\hat\epsilon(x) - n)^T \mu

does not differentiate the network. Its noise is eps = (x - D(x)) / sigma, so that the second term's gradient is
lambda (mu - D(mu + sigma n)): RED's, of a noisy image, with the weight 1 / SNR that the paper recommends (section 4.3).

References:
    Mardani, Song, Kautz, Vahdat, "A Variational Perspective on Solving Inverse Problems with Diffusion Models",
        ICLR 2024. https://arxiv.org/abs/2305.04391
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Operator
from ..priors.prior import Counted, Prior
from .method import PAPERS, State, Stepper, with_gradients


@dataclass(frozen=True)
class REDDiff(Stepper):
    """Restores any known differentiable degradation by descent to one image (Mardani et al., ICLR 2024).

    Costs `steps` evaluations of the prior, without gradients. It starts from the pseudo-inverse, clipped to [-1, 1]
    since that of a blur is mostly amplified noise, or from grey without a pseudo-inverse. The result is an estimate
    rather than a sample.

    Attributes:
        steps: levels walked, one step of Adam at each; a few more if they do not divide the training ladder.
        weight: lambda, 0.25 in the paper.
        rate: Adam's learning rate, 0.1 in the paper; its betas are 0.9 and 0.99.
        norm: "sum" as in the paper; or "mean", half a mean over the measurement and a mean over the image, as in the
            authors' code: for equal sizes the two differ by a factor.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True

    steps: int = 1000
    weight: float = 0.25
    rate: float = 0.1
    norm: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.weight < math.inf, "weight", "0 or more")
        self.require(0 < self.rate < math.inf, "rate", "above 0")
        self.require(self.norm in ("sum", "mean"), "norm", "sum or mean")

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        operator, y = self.operator_of(problem), problem.y
        prior, ladder = Counted(prior), self.ladder(prior.sigmas).tolist()[:-1]
        mu = self._start(operator, y)
        adam = torch.optim.Adam([mu], lr=self.rate, betas=(0.9, 0.99))
        for step, sigma in enumerate(ladder, 1):
            with torch.no_grad():
                x0 = prior(mu + sigma * rng.like(mu), sigma)
            with torch.enable_grad():
                seen = mu.detach().requires_grad_()
                misfit = (operator.A(seen) - y).square()
                total = misfit.sum() if self.norm == "sum" else misfit.sum() / (2 * y[0].numel())
                (slope,) = torch.autograd.grad(total, seen)
            share = self.weight if self.norm == "sum" else self.weight / mu[0].numel()
            mu.grad = slope + share * (mu - x0)
            adam.step()
            yield State(step, len(ladder), 0.0, mu.clone(), x0, prior.nfe)

    @staticmethod
    def _start(operator: Operator, y: Tensor) -> Tensor:
        try:
            return operator.pinv(y).detach().clamp(-1, 1)
        except UsageError:
            return y.new_zeros(operator.image_shape(tuple(y.shape)))
