r"""Rain, snow and haze; the generators are ours, except the model of haze.

.. math:: y = t x + (1 - t) A, \quad t = e^{-\beta d}

References:
    Koschmieder, "Theorie der horizontalen Sichtweite", 1924: haze of light A and density beta in front of a scene at
    distance d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..operators.blur import gaussian, motion
from .chance import streams
from .sharpness import alone, blur


def rain(
    image: Tensor,
    amount: float = 0.004,
    length: float = 20.0,
    degrees: float = 80.0,
    light: float = 0.6,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Draws streaks of rain over the image: random points of light, drawn out along one direction.

    Args:
        image: (B, C, H, W) in [0, 1].
        amount: share of pixels with the middle of a streak, from 0 to 1.
        length: of a streak in pixels, above 0.
        degrees: its direction, anticlockwise from right.
        light: of a streak, from 0 to 1.
        seed: image i has the rain of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.rain(torch.rand(1, 3, 32, 32), amount=0.01).shape
        torch.Size([1, 3, 32, 32])
    """
    _check("rain", amount, light)
    if not 0 < length <= 500 or not math.isfinite(degrees):
        raise UsageError(f"rain takes a length above 0, at most 500 pixels, and an angle, not {length} and {degrees}")
    return _over(image, motion(length, degrees), amount, light, streams(image, seed))


def snow(
    image: Tensor,
    amount: float = 0.002,
    size: float = 1.5,
    light: float = 0.9,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Draws flakes of snow over the image: random soft white points of three sizes, fewer of the larger ones.

    Args:
        image: (B, C, H, W) in [0, 1].
        amount: share of pixels with the middle of a medium flake, from 0 to 1.
        size: the middle size in pixels, the standard deviation of a Gaussian, above 0.
        light: of a flake, from 0 to 1.
        seed: image i has the snow of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.snow(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """
    _check("snow", amount, light)
    if not 0 < size <= 50:
        raise UsageError(f"snow takes a size above 0, at most 50 pixels, not {size}")
    rng = streams(image, seed)
    for larger in (0.5, 1.0, 2.0):
        # A flake four times as large in area is a quarter as frequent.
        image = _over(image, gaussian(larger * size), amount / larger**2, light, rng)
    return image


def haze(image: Tensor, density: float = 1.5, light: float = 0.9) -> Tensor:
    """Puts haze in front of a landscape: the upper edge is far, the lower one near.

    Args:
        image: (B, C, H, W) in [0, 1].
        density: beta, where d goes from 1 at the upper edge to 0.2 at the lower one; 0 or more.
        light: A, from 0 to 1.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.haze(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= density < math.inf and 0 <= light <= 1):
        raise UsageError(f"haze takes a density of 0 or more and a light from 0 to 1, not {density} and {light}")
    distance = torch.linspace(1, 0.2, image.shape[-2], dtype=torch.float64, device=image.device)
    seen = torch.exp(-density * distance).to(image).view(-1, 1)
    return (seen * image + (1 - seen) * light).clamp(0, 1)


def _over(image: Tensor, kernel: Tensor, amount: float, light: float, rng: Streams) -> Tensor:
    """Draws white points, each in the shape of a kernel, at a share of the pixels."""
    shape = kernel / kernel.max()

    def veiled(one: Tensor, noise: Tensor) -> Tensor:
        points = (torch.special.ndtr(noise) < amount).to(one)
        return one.lerp(torch.ones_like(one), light * blur(points, shape))

    return alone(veiled, image, rng.like(image[:, :1]))


def _check(what: str, amount: float, light: float) -> None:
    if not (0 <= amount <= 1 and 0 <= light <= 1):
        raise UsageError(f"{what} takes an amount and a light from 0 to 1, not {amount} and {light}")
