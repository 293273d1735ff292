"""Too little light.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement" (GDP), CVPR 2023: low light
        as a factor. https://arxiv.org/abs/2304.01247
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ..errors import UsageError
from .noise import gaussian_noise
from .sharpness import alone


def low_light(
    image: Tensor, exposure: float = 0.25, gamma: float = 1.5, noise: float = 0.02, seed: int | Sequence[int] = 0
) -> Tensor:
    r"""Darkens an image as a camera that was exposed too briefly, and adds its noise.

    .. math:: y = f x^\gamma + \sigma n

    The papers take dark photographs as they are; this curve is ours, and its factor f GDP's model of them.

    Args:
        image: (B, C, H, W) in [0, 1].
        exposure: f, of white, from 0 to 1.
        gamma: above 0; more than 1 takes more from shadows than from lights.
        noise: sigma, in [0, 1] units, 0 or more.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The dark images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.
    """
    if not (0 <= exposure <= 1 and 0 < gamma < math.inf):
        raise UsageError(f"low light takes an exposure from 0 to 1 and a gamma above 0, not {exposure} and {gamma}")
    dark = alone(lambda one: exposure * one.clamp(0, 1) ** gamma, image)
    return gaussian_noise(dark, noise, seed).clamp(0, 1)
