r"""ReSample: hard data consistency in latents, and a way back onto the chain.

A DDIM chain whose estimate is replaced, at every `every`-th level, by latents that explain the measurement (algorithm
1). In the chain's second third they are optimised in pixels, without the decoder, and encoded; in the last third they
are optimised in latents, which keeps the image sharp (section 3.3). The first third stays unchanged. The optimised
z0(y) and the chain's next latent z' are the means of two Gaussians. The new latent is drawn from their product
(proposition 1):

.. math::
    z \sim N\left(\frac{r^2 z_0(y) + \sigma'^2 z'}{r^2 + \sigma'^2}, \frac{r^2 \sigma'^2}{r^2 + \sigma'^2}\right) \\
    r^2 = \frac{\gamma}{\bar\alpha'} \frac{1 - \bar\alpha'}{\bar\alpha} (1 - \bar\alpha / \bar\alpha')

in this library's coordinates. The authors' code differs in three ways: it pulls each latent as DPS does, looks five
DDIM steps ahead before it optimises, and optimises the last latent once more. Only the last is available here
(`polish`).

References:
    Song et al., "Solving Inverse Problems with Latent Diffusion Models via Hard Data Consistency", ICLR 2024.
        https://arxiv.org/abs/2307.08123
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from .method import PAPERS, State, Stepper, with_gradients
from .psld import decoder_of


@dataclass(frozen=True)
class ReSample(Stepper):
    """Restores a known degradation in latents by optimising and resampling (Song et al., ICLR 2024).

    Costs `steps` evaluations of the prior, without gradients; and up to `iterations` decoders with their gradients at
    every `every`-th level of the last third. Needs any differentiable operator.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        every: levels from one optimisation to the next.
        gamma: weight of the optimised latents, 40 in the paper.
        iterations: largest number of Adam's iterations in latents; four times as many in pixels, which need no decoder.
        rate: Adam's learning rate in latents; twice that in pixels.
        tolerance: root mean square of the residual at which to stop, in [-1, 1] units; as in the paper, at least the
            noise of the measurement.
        polish: whether the last latents are optimised once more, as in the authors' code.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True
    latents_only: ClassVar[bool] = True

    steps: int = 500
    every: int = 10
    gamma: float = 40.0
    iterations: int = 500
    rate: float = 5e-3
    tolerance: float = 1e-3
    polish: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "every", "iterations"):
            self.require(getattr(self, name) >= 1, name, "at least 1")
        self.require(0 < self.gamma < math.inf, "gamma", "above 0")
        self.require(0 < self.rate < math.inf, "rate", "above 0")
        self.require(0 <= self.tolerance < math.inf, "tolerance", "0 or more")

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level, of latents."""
        operator, y = decoder_of(self, problem), problem.y
        prior, ladder = Counted(prior), self.ladder(prior.sigmas).tolist()
        enough, total = max(self.tolerance, problem.sigma_y or 0.0), len(ladder) - 1
        z = ladder[0] * rng.like(y.new_empty(operator.image_shape(tuple(y.shape))))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            with torch.no_grad():
                z0 = prior(z, sigma)
                z = renoise(z, z0, sigma, sigma_next)
            left = total - step
            if 0 < left <= total - total // 3 and left % self.every == 0:
                if left >= total // 3 and operator.encode is not None:
                    with torch.no_grad():
                        image = operator.decode(z0)
                    image = self._fitted(operator.pixels.A, image, y, enough, 4 * self.iterations, 2 * self.rate)
                    with torch.no_grad():
                        z0 = operator.encode(image)
                else:
                    z0 = self._fitted(operator.A, z0, y, enough, self.iterations, self.rate)
                z = self.resampled(z, z0, sigma, sigma_next, rng)
            if not left and self.polish:
                z = self._fitted(operator.A, z, y, enough, self.iterations, self.rate)
            yield State(step, total, sigma_next, z, z0, prior.nfe)

    def resampled(self, z: Tensor, z0: Tensor, sigma: float, sigma_next: float, rng: Streams) -> Tensor:
        """Draws from the product of the optimised latents, `z0`, and the chain's next latent, `z`."""
        kept = (1 + sigma_next**2) / (1 + sigma**2)
        # (1 - abar') / abar = sigma'^2 / kept, and 1 / abar' = 1 + sigma'^2.
        trust = self.gamma * (1 + sigma_next**2) * sigma_next**2 / kept * (1 - kept)
        both = trust + sigma_next**2
        spread = math.sqrt(trust * sigma_next**2 / both)
        return (trust * z0 + sigma_next**2 * z) / both + spread * rng.like(z)

    @staticmethod
    def _fitted(
        measure: Callable[[Tensor], Tensor], start: Tensor, y: Tensor, enough: float, iterations: int, rate: float
    ) -> Tensor:
        """Fits the measurement by Adam from a start, each image until its residual is small enough."""
        v = start.detach().clone()
        adam = torch.optim.Adam([v], lr=rate)
        for _ in range(iterations):
            with torch.enable_grad():
                seen = v.detach().requires_grad_()
                misfit = (measure(seen) - y).square().flatten(1).mean(1)
                (v.grad,) = torch.autograd.grad(misfit.sum(), seen)
            going = misfit > enough**2
            if not going.any():
                break
            before = v.clone()
            adam.step()
            v.copy_(torch.where(going.view(-1, 1, 1, 1), v, before))
        return v
