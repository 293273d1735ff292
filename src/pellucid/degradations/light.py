"""Low light, and several exposures.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement" (GDP), CVPR 2023: low light
        as a factor, and one image of several exposures. https://arxiv.org/abs/2304.01247
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from .noise import gaussian_noise
from .sharpness import alone


def exposures(
    image: Tensor, gains: Sequence[float] = (0.4, 1.0, 2.5), noise: float = 0.0, seed: int | Sequence[int] = 0
) -> Tensor:
    """Makes several exposures of one scene, for methods that merge them; too bright values become white.

    GDP uses photographs; this is their model, a factor and a limit.

    Args:
        image: (B, C, H, W) in [0, 1].
        gains: factor of light of each exposure, above 0.
        noise: standard deviation of each exposure's noise in [0, 1] units, 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`, different for each exposure.

    Returns:
        The exposures one after the other along the channels, (B, n C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range, or there is no gain.

    Example:
        >>> degradations.exposures(torch.rand(1, 3, 32, 32), gains=(0.5, 1.0, 2.0)).shape
        torch.Size([1, 9, 32, 32])
    """
    if not gains or not all(0 < gain < math.inf for gain in gains):
        raise UsageError(f"exposures take gains above 0, not {list(gains)}")
    lit = torch.cat([(gain * image).clamp(0, 1) for gain in gains], 1)
    return gaussian_noise(lit, noise, seed).clamp(0, 1)


def low_light(
    image: Tensor, exposure: float = 0.25, gamma: float = 1.5, noise: float = 0.02, seed: int | Sequence[int] = 0
) -> Tensor:
    r"""Darkens an image like a camera that exposed too briefly, and adds its noise.

    .. math:: y = f x^\gamma + \sigma n

    The papers use dark photographs; this curve is ours, and its factor f is GDP's model of them.

    Args:
        image: (B, C, H, W) in [0, 1].
        exposure: f, the value of white, from 0 to 1.
        gamma: above 0; more than 1 darkens shadows more than lights.
        noise: sigma, in [0, 1] units, 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The dark images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.low_light(torch.rand(1, 3, 32, 32), exposure=0.25).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= exposure <= 1 and 0 < gamma < math.inf):
        raise UsageError(f"low light takes an exposure from 0 to 1 and a gamma above 0, not {exposure} and {gamma}")
    dark = alone(lambda one: exposure * one.clamp(0, 1) ** gamma, image)
    return gaussian_noise(dark, noise, seed).clamp(0, 1)


def faded(
    image: Tensor, contrast: float = 0.55, black: float = 0.25, cast: Sequence[float] = (1.05, 1.0, 0.85)
) -> Tensor:
    """Fades an image like a print in light: black becomes grey, contrast falls, and the colour balance shifts.

    Args:
        image: (B, C, H, W) in [0, 1].
        contrast: difference between white and black, from 0 to 1.
        black: new value of black, from 0 to 1.
        cast: factor of each channel, above 0; grey images have the mean of all.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.faded(torch.rand(1, 3, 32, 32), contrast=0.5).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= contrast <= 1 and 0 <= black <= 1):
        raise UsageError(f"a faded image has a contrast and a black from 0 to 1, not {contrast} and {black}")
    if not cast or not all(0 < factor < math.inf for factor in cast):
        raise UsageError(f"a cast is a factor above 0 for each channel, not {list(cast)}")
    channels = image.shape[1]
    factors = list(cast) if len(cast) == channels else [sum(cast) / len(cast)] * channels
    balance = torch.tensor(factors).to(image).view(1, channels, 1, 1)
    return ((black + contrast * image.clamp(0, 1)) * balance).clamp(0, 1)
