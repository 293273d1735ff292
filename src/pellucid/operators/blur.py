"""Convolution with a kernel, and the kernels of the papers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape, Svd, least_squares

# Frequencies that a kernel passes by less than this share of its strongest are rounding errors of zero.
_ZERO = 1e-6

# Kernels of fewer pixels are faster as sums than as products of Fourier transforms (at 64 to 512 pixels on a CPU).
_LARGE = 81


class Blur(Operator):
    r"""Convolution of each channel with one kernel: y(p) = sum_q k(q) x(p - q), q counted from the kernel's middle.

    With a circular border it is diagonal in Fourier space, and its singular value decomposition real by the Hartley
    transform cas = cos + sin: with the kernel's transfer function K = |K| e^{i phi}, A is the zero-phase filter |K|,
    which the Hartley transform diagonalises, followed by the phase.

    Args:
        kernel: (h, w); the middle of an even side is the later of the two.
        border: continuation beyond the edge: "circular", the opposite edge; "replicate", the edge repeated. Photographs
            need the second; it has no decomposition, and its pseudo-inverse is iterative.

    Raises:
        UsageError: the kernel is no (h, w), or border is unknown.

    Example:
        >>> operators.Blur(operators.blur.gaussian(2)).A(torch.ones(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """

    pictures = True

    def __init__(self, kernel: Tensor, border: Literal["circular", "replicate"] = "circular") -> None:
        if kernel.ndim != 2 or not kernel.numel() or not kernel.isfinite().all():
            raise UsageError(f"a blur's kernel is (h, w), of finite numbers, not {tuple(kernel.shape)}")
        if border not in ("circular", "replicate"):
            raise UsageError(f"a blur's border is circular or replicate, not {border!r}")
        self.kernel = kernel.to(torch.float64)
        self.border = border
        # A method asks for the same transform again and again.
        self._made: dict[tuple[int, int, torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        if self.border == "circular":
            return _filter(x, self._transfers(x)[0])
        height, width = self.kernel.shape
        sides = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)  # left, right, top, bottom
        padded = F.pad(x, sides, mode="replicate")
        if self.kernel.numel() >= _LARGE:
            canvas = extended(padded)
            blurred = _filter(canvas, self._transfers(canvas)[0])
            return blurred[..., sides[2] : sides[2] + x.shape[-2], sides[0] : sides[0] + x.shape[-1]]
        weight = self.kernel.flip(0, 1).to(x).expand(x.shape[1], 1, -1, -1)
        return F.conv2d(padded, weight, groups=x.shape[1])

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        if self.border == "circular":
            return _filter(y, self._transfers(y)[0].conj())
        pull: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(self.A, torch.zeros_like(y))[1]
        return pull(y)[0]

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        if self.border != "circular":
            return least_squares(self, y)
        return _filter(y, self._transfers(y)[1])

    def svd(self, shape: Shape) -> Svd | None:
        """See `Operator`; None with a replicated border."""
        if self.border != "circular":
            return None
        return svd_of_filter(self._transfers(torch.empty(shape[-2:], dtype=torch.float64))[0][None, None], shape[-1])

    def _transfers(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Fourier transform of the kernel at the size of an image, in rfft2's layout, and its pseudo-inverse."""
        height, width = like.shape[-2:]
        key = (height, width, like.dtype, like.device)
        if key not in self._made:
            spread = torch.zeros(height, width, dtype=torch.float64)
            rows = (torch.arange(self.kernel.shape[0]) - self.kernel.shape[0] // 2) % height
            columns = (torch.arange(self.kernel.shape[1]) - self.kernel.shape[1] // 2) % width
            # A kernel larger than the image wraps around it more than once.
            spread.index_put_((rows[:, None], columns[None]), self.kernel.cpu(), accumulate=True)
            transfer = torch.fft.rfft2(spread)
            power = transfer.abs().square()
            inverse = torch.where(power > _ZERO**2 * power.max(), transfer.conj() / power.clamp_min(1e-300), 0)
            kind = torch.complex128 if like.dtype == torch.float64 else torch.complex64
            # Of many sizes one after the other the old are not needed again.
            self._made = dict(list(self._made.items())[-3:])
            self._made[key] = (transfer.to(like.device, kind), inverse.to(like.device, kind))
        return self._made[key]


def svd_of_filter(transfer: Tensor, width: int) -> Svd:
    """Decomposition of a circular convolution.

    Args:
        transfer: the kernel's Fourier transform at the size of the image as rfft2 gives it, (1, 1 or C, H, W // 2 + 1).
        width: W.
    """
    gain = transfer.abs()
    kept = gain > _ZERO * gain.max()
    phase = torch.where(kept, transfer / gain.clamp_min(1e-300), 0).to(torch.complex64)
    # The Hartley transform needs all frequencies, of which rfft2 gives the first half of the last axis.
    return Svd(
        _all_frequencies(torch.where(kept, gain, 0), width).float(),
        hartley,
        hartley,
        lambda z: _filter(hartley(z), phase),
        lambda y: hartley(_filter(y, phase.conj())),
    )


def convolve(x: Tensor, kernels: Tensor, border: Literal["circular", "replicate"] = "replicate") -> Tensor:
    """Convolves each image with its own kernel, differentiable in both; `Blur` has one kernel for all.

    Args:
        x: (B, C, H, W).
        kernels: (B, 1, h, w); the middle of an even side is the later of the two. Not larger than the image for a
            circular border.
        border: see `Blur`.
    """
    (height, width), (h, w) = x.shape[-2:], kernels.shape[-2:]
    top, left = 0, 0
    if border == "replicate":
        top, left = (h - 1) // 2, (w - 1) // 2
        x = F.pad(x, (left, w // 2, top, h // 2), mode="replicate")
    # One by one: a gradient's sum over the channels may round differently in a batch.
    made = [
        _filter(image, torch.fft.rfft2(around_zero(kernel, *x.shape[-2:])))
        for image, kernel in zip(x.split(1), kernels.split(1), strict=True)
    ]
    return torch.cat(made)[..., top : top + height, left : left + width]


def around_zero(kernels: Tensor, height: int, width: int) -> Tensor:
    """Kernels (..., h, w) on a larger canvas, with the middle at its first pixel, wrapped around the edges."""
    h, w = kernels.shape[-2:]
    return F.pad(kernels, (0, width - w, 0, height - h)).roll((-(h // 2), -(w // 2)), (-2, -1))


def hartley(x: Tensor) -> Tensor:
    """Orthonormal two-dimensional Hartley transform over the last two axes; its own inverse and transpose."""
    f: Tensor = torch.fft.rfft2(x, norm="ortho")
    return _all_frequencies(f.real - f.imag, x.shape[-1], f.real + f.imag)


def _filter(x: Tensor, transfer: Tensor) -> Tensor:
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * transfer.to(x.device), s=x.shape[-2:])
    return filtered


def _all_frequencies(half: Tensor, width: int, opposite: Tensor | None = None) -> Tensor:
    """Extends a quantity from half of the last axis' frequencies to all; `opposite` has the values at -f."""
    mirrored = (half if opposite is None else opposite)[..., 1 : (width + 1) // 2].flip(-1)
    if half.shape[-2] > 1:
        mirrored = torch.cat([mirrored[..., :1, :], mirrored[..., 1:, :].flip(-2)], -2)
    return torch.cat([half, mirrored], -1)


def extended(x: Tensor) -> Tensor:
    """Appends zeros up to sides whose Fourier transform is fast: that of 683 pixels takes three times as long."""
    bottom, right = (_fast(size) - size for size in x.shape[-2:])
    return F.pad(x, (0, right, 0, bottom)) if bottom or right else x


@lru_cache(maxsize=64)
def _fast(size: int) -> int:
    """The least number from a size on without a prime factor above 5."""
    rest = size
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return size if rest == 1 else _fast(size + 1)


# --- kernels --------------------------------------------------------------------------------------------------------


def gaussian(std: float, size: int | None = None) -> Tensor:
    """A Gaussian of this standard deviation in pixels, (size, size), with sum 1; by default the size covers 4 std."""
    return anisotropic(std, std, 0.0, size)


def anisotropic(std: float, other: float, degrees: float = 0.0, size: int | None = None) -> Tensor:
    """A Gaussian with two standard deviations in pixels, the first along a direction counted anticlockwise from right.

    Raises:
        UsageError: a standard deviation or the size is not above 0.
    """
    if not (std > 0 and other > 0) or (size is not None and size < 1):
        raise UsageError(f"a Gaussian kernel needs a spread and a size above 0, not {std}, {other}, {size}")
    size = 2 * math.ceil(4 * max(std, other)) + 1 if size is None else size
    position = torch.arange(size, dtype=torch.float64) - size // 2
    down, right = torch.meshgrid(position, position, indexing="ij")
    angle = math.radians(degrees)
    along = right * math.cos(angle) - down * math.sin(angle)
    across = right * math.sin(angle) + down * math.cos(angle)
    kernel = torch.exp(-0.5 * ((along / std) ** 2 + (across / other) ** 2))
    return kernel / kernel.sum()


def uniform(size: int) -> Tensor:
    """A mean over size x size pixels."""
    if size < 1:
        raise UsageError(f"a uniform kernel needs a size above 0, not {size}")
    return torch.full((size, size), 1 / size**2, dtype=torch.float64)


def disk(radius: float, size: int) -> Tensor:
    """A lens out of focus: a disk with an edge of one pixel, (size, size), with sum 1."""
    place = torch.arange(size, dtype=torch.float64) - size // 2
    kernel = (radius + 0.5 - (place[:, None] ** 2 + place**2).sqrt()).clamp(0, 1)
    return kernel / kernel.sum()


def motion(length: float, degrees: float = 0.0) -> Tensor:
    """A straight movement of the camera by `length` pixels in a direction, anticlockwise from right.

    Raises:
        UsageError: length is not above 0.
    """
    if not length > 0:
        raise UsageError(f"a motion kernel needs a length above 0, not {length}")
    radius = math.ceil(length / 2)
    side = 2 * radius + 1
    # The path in many short pieces, each divided among the four pixels around it.
    path = (np.arange(64 * radius) + 0.5) / (64 * radius) - 0.5
    right = path * length * math.cos(math.radians(degrees)) + radius
    down = -path * length * math.sin(math.radians(degrees)) + radius
    rows, columns = down.astype(int), right.astype(int)
    down, right = down - rows, right - columns
    places = rows * side + columns
    # A row and a column more take the shares of 0 beyond the end.
    spread = np.zeros(side * (side + 1) + 1)
    for by, share in (
        (0, (1 - down) * (1 - right)), (1, (1 - down) * right), (side, down * (1 - right)), (side + 1, down * right),
    ):  # fmt: skip
        spread += np.bincount(places + by, share, len(spread))
    kernel = torch.from_numpy(spread[: side * side]).view(side, side)
    return kernel / kernel.sum()


def read(path: str | Path) -> Tensor:
    """Reads a kernel from an image file and scales its sum to 1.

    Raises:
        UsageError: the image is black.
    """
    from .. import images

    kernel = images.read(Path(path)).tensor(1)[0, 0].to(torch.float64)
    if not kernel.sum() > 0:
        raise UsageError(f"{path}: is black, and no kernel")
    return kernel / kernel.sum()
