"""How noisy an image is, from the image alone, or from the image and what a prior says about it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .priors.prior import Prior

# The median of |n| for n ~ N(0, 1).
_MEDIAN = 0.6744897501960817


def noise_level(image: Tensor, known: Tensor | None = None) -> float:
    """Estimates the standard deviation of white noise.

    The median of the absolute diagonal differences of 2x2 blocks, the finest Haar coefficients, over that of white
    noise (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994, section 4.2): edges are too few
    to move a median. Fine texture all over the image counts as noise.

    Args:
        image: (B, C, H, W), in any units; the result is in the same.
        known: 1 where a pixel counts, broadcastable to the image; None for all.

    Returns:
        One level for the whole batch; 0 where there is no whole block.
    """
    height, width = (size // 2 * 2 for size in image.shape[-2:])
    blocks = image[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    diagonal = (blocks[..., 0, :, 0] - blocks[..., 0, :, 1] - blocks[..., 1, :, 0] + blocks[..., 1, :, 1]) / 2
    if known is not None:
        counts = known.expand_as(image)[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
        diagonal = diagonal[(counts > 0).all(-1).all(-2)]
    return diagonal.abs().median().item() / _MEDIAN if diagonal.numel() else 0.0


_LOWEST, _HIGHEST = 0.01, 2.0
_WHOLE = 0.95
"""What a prior takes away, over what it was told is there, at the level where all of that is noise."""


@torch.no_grad()
def noise_seen(prior: Prior, y: Tensor, calls: int = 8) -> Tensor:
    """The level of white noise at which a prior takes from images as much as it was told that there is.

    Told a level sigma that an image does not have, a denoiser takes less than sigma from it (from clean photographs
    at most 0.4 sigma with the embedded prior, whatever sigma); told less than it has, more. Halving the range, on a
    logarithmic scale, finds where |y - prior(y, sigma)| is 0.95 sigma, a little under 1 because some noise looks like
    texture. Unlike `noise_level` it is not deceived by texture, which the prior knows.

    Args:
        prior: the prior.
        y: images, (B, C, H, W) in [-1, 1].
        calls: evaluations; 8 find the level to 2 %.

    Returns:
        Levels in [-1, 1] units, from 0.01 (no noise, or so little) to 2, (B,).
    """
    low = torch.full((len(y),), math.log(_LOWEST), dtype=y.dtype, device=y.device)
    high = torch.full_like(low, math.log(_HIGHEST))
    for _ in range(calls):
        middle = (low + high) / 2
        sigma = middle.exp()
        taken = (y - prior(y, sigma)).square().flatten(1).mean(1).sqrt()
        noisy = taken >= _WHOLE * sigma
        low, high = torch.where(noisy, middle, low), torch.where(noisy, high, middle)
    # What was never seen to be noisy is not: the middle of the last range would say that it is, a little.
    return torch.where(low > math.log(_LOWEST), (low + high) / 2, low).exp()
