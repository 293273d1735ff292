"""Rain and snow; both generators are ours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from ..noise import Streams
from ..operators.blur import gaussian, motion
from .sharpness import blur


def rain(
    image: Tensor,
    amount: float = 0.004,
    length: float = 20.0,
    degrees: float = 80.0,
    light: float = 0.6,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Streaks of rain: points of light at random, drawn out along one direction, over the image.

    Args:
        image: (B, C, H, W) in [0, 1].
        amount: share of the pixels at which a streak has its middle, from 0 to 1.
        length: of a streak in pixels, above 0.
        degrees: its direction, anticlockwise from right.
        light: of a streak, from 0 to 1.
        seed: image i has the rain of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.
    """
    _check("rain", amount, light)
    if not 0 < length <= 500 or not math.isfinite(degrees):
        raise UsageError(f"rain takes a length above 0, at most 500 pixels, and an angle, not {length} and {degrees}")
    kernel = motion(length, degrees)
    points = _points(image, amount, Streams.of(seed, len(image)))
    return _over(image, blur(points, kernel / kernel.max()), light)


def snow(
    image: Tensor,
    amount: float = 0.002,
    size: float = 1.5,
    light: float = 0.9,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Flakes of snow: soft white points of three sizes at random, the larger the fewer, over the image.

    Args:
        image: (B, C, H, W) in [0, 1].
        amount: share of the pixels at which a flake of the middle size has its middle, from 0 to 1.
        size: the middle size in pixels, the standard deviation of a Gaussian, above 0.
        light: of a flake, from 0 to 1.
        seed: image i has the snow of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.
    """
    _check("snow", amount, light)
    if not 0 < size <= 50:
        raise UsageError(f"snow takes a size above 0, at most 50 pixels, not {size}")
    rng = Streams.of(seed, len(image))
    for larger in (0.5, 1.0, 2.0):
        kernel = gaussian(larger * size)
        # A flake four times as large in area is a quarter as frequent.
        points = _points(image, amount / larger**2, rng)
        image = _over(image, blur(points, kernel / kernel.max()), light)
    return image


def _points(image: Tensor, amount: float, rng: Streams) -> Tensor:
    """White points on black at a share of the pixels, (B, 1, H, W)."""
    uniform: Tensor = torch.special.ndtr(rng.like(image[:, :1]))
    return (uniform < amount).to(image)


def _over(image: Tensor, veil: Tensor, light: float) -> Tensor:
    """The image behind something white: veil (B, 1, H, W) says how much of it covers each pixel."""
    return image.lerp(torch.ones_like(image), light * veil)


def _check(what: str, amount: float, light: float) -> None:
    if not (0 <= amount <= 1 and 0 <= light <= 1):
        raise UsageError(f"{what} takes an amount and a light from 0 to 1, not {amount} and {light}")
