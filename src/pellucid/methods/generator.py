r"""A few deterministic DDIM steps as a generator of images, g(z), which DIIP and BIRD invert.

References:
    Song, Meng, Ermon, "Denoising Diffusion Implicit Models", ICLR 2021, eq. 12 with sigma_t = 0.
        https://arxiv.org/abs/2010.02502
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ..maths.noise import renoise
from ..priors.prior import Checkpointed, Counted, Prior
from .method import Stepper


class Generator(Stepper):
    """Base of methods that search the noise of an image; it has fields `steps` and `gradient`.

    `gradient` is "exact", through all steps, each of which is computed again for it, so that the memory is that of one
    step. Or it is "straight-through", which treats the predicted noise as independent of the latent.
    """

    gradient: Literal["exact", "straight-through"]

    def counted(self, prior: Prior) -> Counted:
        """Prior as the generator calls it."""
        # Counted from outside: what is computed again for a gradient is part of the gradient's cost.
        return Counted(Checkpointed(prior) if self.gradient == "exact" else prior)

    def generate(self, prior: Prior, z: Tensor, ladder: list[float]) -> Tensor:
        """Makes the image of a noise, g(z), (B, C, H, W), differentiable.

        Args:
            prior: the diffusion prior.
            z: N(0, I) of the first level's variance-preserving latent, (B, C, H, W).
            ladder: `ladder`'s levels.
        """
        x = z * math.sqrt(1 + ladder[0] ** 2)
        for sigma, sigma_next in pairwise(ladder):
            if self.gradient == "exact":
                x = renoise(x, prior(x, sigma), sigma, sigma_next)
            else:
                with torch.no_grad():
                    noise = (x - prior(x, sigma)) / sigma
                x = x + (sigma_next - sigma) * noise
        return x


@torch.no_grad()
def to_sphere(z: Tensor) -> None:
    """Scales each image's noise, in place, to the length sqrt(C H W) of Gaussian noise."""
    z *= math.sqrt(z[0].numel()) / z.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
