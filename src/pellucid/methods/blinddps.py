r"""BlindDPS: joint sampling of an image and its blur kernel, both pulled by their common residual.

Two chains come down the same ladder, of images with a prior of images and of kernels with a prior of kernels. After
each ancestral step both move against the gradient, through their own prior, of one distance (algorithm 1):

.. math:: x' \leftarrow x' - \zeta \nabla_x r, \quad k' \leftarrow k' - \zeta_k \nabla_k r, \qquad
          r = \| y - \hat k_0(k) * \hat x_0(x) \|_2 + \lambda \sum \hat k_0^{\,0.8}

in variance-preserving latents. The estimated kernel is made non-negative with sum 1. The authors' regularisation is its
sum, which is always 1 and has no gradient; here it is the sum of a power below 1, which makes it sparse. Their prior of
kernels is a network. Here it is a Gaussian fitted to common blurs, unless a network of one channel is given.

References:
    Chung et al., "Parallel Diffusion Models of Operator and Image for Blind Inverse Problems", CVPR 2023.
        https://arxiv.org/abs/2211.10656
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from ..errors import UsageError
from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators.blur import convolve
from ..priors import fit, load_prior
from ..priors.kernels import kernel_prior, to_kernel
from ..priors.prior import Counted, Prior
from .method import PAPERS, Method, State, Stepper, with_gradients


@dataclass(frozen=True)
class BlindDPS(Stepper):
    """Undoes a blur with an unknown kernel (Chung et al., CVPR 2023).

    Costs `steps` evaluations of the prior, each with its gradient, and as many of the kernels' prior, which are not
    counted.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        scale: zeta, the size of the image's pull; 0.3 in the authors' configuration. Their code replaces it by
            sqrt(abar) of the level.
        kernel_scale: zeta_k, of the kernel's.
        kernel: side of the kernel in pixels, odd.
        sparsity: lambda.
        kernel_prior: folder of a prior of one channel, such as `pellucid train` makes of pictures of kernels, white on
            black; None for a Gaussian of common blurs.
        clip: whether estimates of the image are clipped to [-1, 1], as in the authors' code.
    """

    presets = PAPERS

    steps: int = 1000
    scale: float = 0.3
    kernel_scale: float = 0.3
    kernel: int = 33
    sparsity: float = 0.0
    kernel_prior: Path | None = None
    clip: bool = True

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(self.kernel >= 3 and self.kernel % 2 == 1, "kernel", "odd, 3 or more")
        for name in ("scale", "kernel_scale", "sparsity"):
            self.require(0 <= getattr(self, name) < math.inf, name, "0 or more")

    @property
    def through_network(self) -> bool:
        """Always true."""
        return True

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; always rejected, since a blur of pixels is no blur of latents."""
        super().in_latents(known_operator)
        raise UsageError("BlindDPS looks for a blur of pixels, not of latents: take gdp with degradation=kernel")

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level, with the "distance". `found` has the "kernel"."""
        self.require_blind(problem)
        y, kernels = problem.y, self._kernels()
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        x = ladder[0] * rng.like(y)
        k = ladder[0] * rng.like(y.new_empty(len(y), 1, self.kernel, self.kernel))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                # Each kernel in memory of its own: products round by where their numbers lie.
                own = [one.clone().requires_grad_() for one in k.split(1)]
                x0 = prior(x, sigma)
                seen = x0.clamp(-1, 1) if self.clip else x0
                estimates = [kernels(one, sigma) for one in own]
                found = [to_kernel(one) for one in estimates]
                made = [convolve(image, kernel) for image, kernel in zip(seen.split(1), found, strict=True)]
                distance = torch.stack([(a - b).norm() for a, b in zip(y.split(1), made, strict=True)])
                sparse = torch.stack([(one + _TINY).pow(0.8).sum() for one in found])
                pull, *pulls = torch.autograd.grad((distance + self.sparsity * sparse).sum(), (x, *own))
            fresh = math.sqrt(1 - (sigma_next / sigma) ** 2)
            # DDPM's step (renoise), then the pull, both from the latent before it; see DPS for the factor.
            size = math.sqrt((1 + sigma**2) * (1 + sigma_next**2))
            with torch.no_grad():
                k, k0, kernel = (torch.cat(parts) for parts in (own, estimates, found))
                x = renoise(x, seen, sigma, sigma_next, fresh, rng) - self.scale * size * pull.nan_to_num(0.0)
                k = renoise(k, k0, sigma, sigma_next, fresh, rng)
                k = k - self.kernel_scale * size * torch.cat(pulls).nan_to_num(0.0)
            curves = {"distance": tuple(distance.tolist())}
            yield State(
                step, len(ladder) - 1, sigma_next, x, seen.detach(), prior.nfe, curves, found={"kernel": kernel}
            )

    def _kernels(self) -> Prior:
        """Makes the prior of kernels."""
        if self.kernel_prior is None:
            return kernel_prior(self.kernel)
        found = load_prior(self.kernel_prior)
        if found.channels != 1:
            raise UsageError(f"{self.kernel_prior}: a prior of kernels has one channel, not {found.channels}")
        return fit(found, None)


_TINY = 1e-6
