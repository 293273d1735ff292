"""Lost detail: blur, and reduction with enlargement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..operators import Blur
from ..operators.blur import anisotropic, disk, gaussian, motion, uniform
from .noise import gaussian_noise


def alone(damage: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """Damages images one by one: convolutions, powers and more round differently in a batch.

    Args:
        damage: function of an image (1, ...) of each batch.
        batches: (B, ...) each, the images and their parameters.

    Returns:
        The damaged images, (B, ...).
    """
    return torch.cat([damage(*one) for one in zip(*(batch.split(1) for batch in batches), strict=True)])


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolves with a kernel; the border replicates the edge.

    Args:
        image: (B, C, H, W) in [0, 1].
        kernel: (h, w), of sum 1; `pellucid.operators.blur` has the papers' kernels.

    Returns:
        The blurred images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: the kernel is no (h, w) of finite numbers.

    Example:
        >>> degradations.blur(torch.rand(1, 3, 32, 32), operators.blur.gaussian(1.5)).shape
        torch.Size([1, 3, 32, 32])
    """
    return alone(Blur(kernel, "replicate").A, image).clamp(0, 1)


def gaussian_blur(image: Tensor, std: float = 2.0) -> Tensor:
    """Blurs with a Gaussian, like a lens that is out of focus.

    Args:
        image: (B, C, H, W) in [0, 1].
        std: standard deviation of the kernel in pixels, 0 or more.

    Returns:
        The blurred images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: std is out of range.

    Example:
        >>> degradations.gaussian_blur(torch.rand(1, 3, 32, 32), std=1.5).shape
        torch.Size([1, 3, 32, 32])
    """
    if not 0 <= std <= 100:
        raise UsageError(f"a Gaussian blur takes a spread from 0 to 100 pixels, not {std}")
    if not std:
        return image.clone()
    # One row after one column cost less than their product.
    row = gaussian(std).sum(0, keepdim=True)
    return blur(blur(image, row), row.T)


def disk_blur(image: Tensor, radius: float = 3.0) -> Tensor:
    """Averages over a disk around each pixel, like a lens that is out of focus.

    Args:
        image: (B, C, H, W) in [0, 1].
        radius: of the disk in pixels, above 0.

    Returns:
        The blurred images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: radius is out of range.

    Example:
        >>> degradations.disk_blur(torch.rand(1, 3, 32, 32), radius=3.0).shape
        torch.Size([1, 3, 32, 32])
    """
    if not 0 < radius <= 100:
        raise UsageError(f"a disk blur takes a radius above 0, at most 100 pixels, not {radius}")
    return blur(image, disk(radius, 2 * math.ceil(radius + 0.5) + 1))


def uniform_blur(image: Tensor, size: int = 9) -> Tensor:
    """Averages over a square around each pixel.

    Args:
        image: (B, C, H, W) in [0, 1].
        size: side of the square in pixels, 1 or more.

    Returns:
        The blurred images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: size is out of range.

    Example:
        >>> degradations.uniform_blur(torch.rand(1, 3, 32, 32), size=5).shape
        torch.Size([1, 3, 32, 32])
    """
    if not 1 <= size <= 500:
        raise UsageError(f"a uniform blur takes a size from 1 to 500 pixels, not {size}")
    return blur(image, uniform(size))


def anisotropic_blur(image: Tensor, std: float = 4.0, other: float = 1.0, degrees: float = 45.0) -> Tensor:
    """Blurs more along one direction than across it.

    Args:
        image: (B, C, H, W) in [0, 1].
        std: standard deviation along the direction in pixels, above 0.
        other: standard deviation across it in pixels, above 0.
        degrees: the direction, anticlockwise from right.

    Returns:
        The blurred images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.anisotropic_blur(torch.rand(1, 3, 32, 32), std=4.0, other=1.0).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 < std <= 100 and 0 < other <= 100 and math.isfinite(degrees)):
        raise UsageError(
            f"an anisotropic blur takes spreads above 0, at most 100 pixels, and an angle, not {std, other, degrees}"
        )
    return blur(image, anisotropic(std, other, degrees))


def motion_blur(image: Tensor, length: float = 15.0, degrees: float = 0.0) -> Tensor:
    """Blurs like a camera that moves in a straight line.

    Args:
        image: (B, C, H, W) in [0, 1].
        length: of the movement in pixels, above 0.
        degrees: its direction, anticlockwise from right.

    Returns:
        The blurred images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.motion_blur(torch.rand(1, 3, 32, 32), length=9.0).shape
        torch.Size([1, 3, 32, 32])
    """
    if not 0 < length <= 500 or not math.isfinite(degrees):
        raise UsageError(
            f"a motion blur takes a length above 0, at most 500 pixels, and an angle, not {length, degrees}"
        )
    return blur(image, motion(length, degrees))


def reduce(
    image: Tensor,
    factor: int = 4,
    noise: float = 0.0,
    enlarge: Literal["nearest", "bicubic"] = "nearest",
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Reduces an image to the means of blocks and enlarges it again: the input of blind super-resolution.

    Blind methods return images of their input's size, so this enlarges the small image again. Blocks at the edge are
    smaller if the factor does not divide the size.

    Args:
        image: (B, C, H, W) in [0, 1].
        factor: side of a block in pixels, 1 or more.
        noise: standard deviation of the small image's noise, in [0, 1] units; the papers have 0 or 0.05.
        enlarge: "nearest" repeats each mean over its block; "bicubic" interpolates.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.reduce(torch.rand(1, 3, 32, 32), factor=4).shape
        torch.Size([1, 3, 32, 32])
    """
    if factor < 1:
        raise UsageError(f"reduction is by a whole number from 1 up, not {factor}")
    if enlarge not in ("nearest", "bicubic"):
        raise UsageError(f"enlarge must be nearest or bicubic, not {enlarge!r}")
    small = alone(lambda one: F.avg_pool2d(one, factor, ceil_mode=True), image)
    small = gaussian_noise(small, noise, seed)
    height, width = image.shape[-2:]
    if enlarge == "nearest":
        large = small.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    else:
        size = (small.shape[-2] * factor, small.shape[-1] * factor)
        large = alone(lambda one: F.interpolate(one, size, mode="bicubic"), small)
    return large[..., :height, :width].clamp(0, 1)
