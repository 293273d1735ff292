r"""DAPS: annealing by samples of the clean image, each independent of the previous chain.

At each level the clean image is drawn given both the latent and the measurement, and fresh noise takes it to the next
level (algorithm 1). Given the latent alone, it is Gaussian around the end of the probability-flow ODE; the paper sets
its width to sigma. Langevin steps draw the sample:

.. math::
    x \leftarrow x - \eta \left(\frac{x - \hat x_0}{\sigma^2} + \nabla_x \frac{\|A(x) - y\|^2}{2 \beta^2}\right)
    + \sqrt{2 \eta}\, n, \qquad \eta = \eta_0 (\delta + (1 - \delta)\, i / N)

from x0 on (eq. 9). For a linear operator that distribution is Gaussian, and `draw="exact"` samples it by one data step
from perturbed ends: x = argmin |A x - y - beta n1|^2 + beta^2 / sigma^2 |x - x0 - sigma n2|^2.

References:
    Zhang et al., "Improving Diffusion Inverse Problem Solving with Decoupled Noise Annealing", CVPR 2025.
        https://arxiv.org/abs/2407.01521
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..maths.noise import Streams, karras_ladder, renoise
from ..maths.problem import Problem
from ..operators import Operator
from ..priors.prior import Counted, Prior
from .dpir import DataStep
from .method import PAPERS, Effective, State, Stepper, with_gradients


@dataclass(frozen=True)
class DAPS(Stepper):
    """Restores any known differentiable degradation by decoupled annealing (Zhang et al., CVPR 2025).

    Costs `steps` times `flow` evaluations of the prior, without gradients, and as many gradients of the degradation as
    there are Langevin steps.

    Attributes:
        steps: levels of the annealing, spaced as EDM's.
        flow: Euler steps of the ODE at each.
        top: the first level; the training ladder's if that is lower.
        bottom: the last level.
        langevin: steps at each level.
        rate: eta_0, their size at the highest level; the authors tune it by task, about 0.0001.
        floor: delta, the share of it at the lowest level.
        beta: assumed noise of the measurement, in [-1, 1] units; None for the actual level.
        draw: "langevin", the paper's, or "exact" for linear operators.
        width: assumed standard deviation of the clean image, in sigmas; 1 in the paper. Langevin's small steps hardly
            spread so far. Exact draws do, and leave the latent noisier than the given level; with a network, a fifth
            suits them.
        inner: conjugate gradients for an exact draw, if the operator has no decomposition.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True

    effective: ClassVar[Effective] = {
        **{name: ("draw langevin", lambda self, _: self.draw == "langevin") for name in ("langevin", "rate", "floor")},
        "inner": ("draw exact", lambda self, _: self.draw == "exact"),
    }

    steps: int = 200
    flow: int = 5
    top: float = 100.0
    bottom: float = 0.1
    langevin: int = 100
    rate: float = 1e-4
    floor: float = 0.01
    beta: float | None = 0.01
    draw: Literal["langevin", "exact"] = "langevin"
    width: float = 1.0
    inner: int = 8

    def __post_init__(self) -> None:
        for name in ("steps", "flow", "langevin", "inner"):
            self.require(getattr(self, name) >= 1, name, "at least 1")
        self.require(0 < self.bottom <= self.top < math.inf, "top", "at least bottom, which is above 0")
        self.require(0 < self.rate < math.inf, "rate", "above 0")
        self.require(0 <= self.floor <= 1, "floor", "from 0 to 1")
        self.require(self.beta is None or 0 < self.beta < math.inf, "beta", "above 0, or None")
        self.require(0 < self.width < math.inf, "width", "above 0")
        self.require(self.draw in ("langevin", "exact"), "draw", "langevin or exact")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """The levels of the annealing: descending, then 0."""
        first, last = sigmas[0].item(), sigmas[-1].item()
        top = min(self.top, last)
        return karras_ladder(self.steps, min(max(self.bottom, first), top), top)

    def nfe(self, prior: Prior) -> int:
        """`flow` evaluations a level."""
        return super().nfe(prior) * self.flow

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level. Its x0 is what was drawn."""
        operator, y = self.operator_of(problem), problem.y
        beta = self.operator_and_noise(problem)[1] if self.beta is None else self.beta
        prior, ladder = Counted(prior), self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(y.new_empty(operator.image_shape(tuple(y.shape))))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            with torch.no_grad():
                x0 = self.flowed(prior, x, sigma)
            left, width = (self.steps - step) / self.steps, self.width * sigma
            if self.draw == "exact":
                with torch.no_grad():
                    x0 = self._exactly(operator, y + beta * rng.like(y), x0 + width * rng.like(x0), beta / width)
            else:
                rate = self.rate * (self.floor + (1 - self.floor) * left)
                x0 = self._by_langevin(operator, y, x0, width, beta, rate, rng)
            x = x0 + sigma_next * rng.like(x0) if sigma_next else x0
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)

    def flowed(self, prior: Prior, x: Tensor, sigma: float) -> Tensor:
        """End of the probability-flow ODE from a latent of level sigma, (B, C, H, W)."""
        least = min(prior.sigmas[0].item(), sigma)
        for level, after in pairwise(karras_ladder(self.flow, least, sigma).tolist()):
            x = renoise(x, prior(x, level), level, after)
        return x

    def _exactly(self, operator: Operator, y: Tensor, x0: Tensor, ratio: float) -> Tensor:
        return DataStep(operator, y, self.inner)(x0, ratio**2)

    def _by_langevin(
        self, operator: Operator, y: Tensor, x0: Tensor, width: float, beta: float, rate: float, rng: Streams
    ) -> Tensor:
        x = x0
        for _ in range(self.langevin):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                misfit = (operator.A(x) - y).square().sum() / (2 * beta**2)
                (slope,) = torch.autograd.grad(misfit, x)
            x = x.detach() - rate * (slope + (x.detach() - x0) / width**2) + math.sqrt(2 * rate) * rng.like(x0)
        return x
