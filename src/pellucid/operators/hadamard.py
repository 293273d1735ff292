"""Compressed sensing by a randomised Walsh-Hadamard transform."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape, Svd, by_image


class Hadamard(Operator):
    """Measures a random share of the Walsh-Hadamard coefficients of each channel, (B, C, H, W) -> (B, C, m).

    Pixels get random signs first: without them the first few coefficients hold nearly all of a photograph.

    Args:
        height: of the images; height times width is a power of 2.
        width: of the images.
        share: m / (H W), the share of measured coefficients.
        seed: seed of the signs and the selection.

    Raises:
        UsageError: the number of pixels is no power of 2, or share is not above 0 and at most 1.

    Example:
        >>> operators.Hadamard(16, 16, 0.25).A(torch.ones(1, 3, 16, 16)).shape
        torch.Size([1, 3, 64])
    """

    keeps_grey = False

    def __init__(self, height: int, width: int, share: float = 0.5, seed: int = 0) -> None:
        pixels = height * width
        if pixels < 1 or pixels & (pixels - 1):
            raise UsageError(f"Hadamard takes images whose pixels are a power of 2 in number, not {height}x{width}")
        if not 0 < share <= 1:
            raise UsageError(f"the share of measured coefficients is above 0 and at most 1, not {share}")
        rng = torch.Generator().manual_seed(seed)
        self._size = (height, width)
        self._signs = (torch.randint(0, 2, (height, width), generator=rng) * 2 - 1).float()
        self._rows = torch.randperm(pixels, generator=rng)[: max(1, round(share * pixels))].sort().values

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))
        return self._transform(x).flatten(2)[..., self._rows]

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`; also the pseudo-inverse, since all singular values are 1 or 0."""
        return self._back(self._place(y))

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        return self.At(y)

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (*measured[:2], *self._size)

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`."""
        self._check(shape)
        s = torch.zeros(self._size).flatten()
        s[self._rows] = 1

        return Svd(
            s.view(1, 1, *self._size),
            self._back,
            self._transform,
            lambda z: z.flatten(2)[..., self._rows],
            self._place,
        )

    def _transform(self, x: Tensor) -> Tensor:
        return walsh_hadamard(x * self._signs.to(x))

    def _back(self, z: Tensor) -> Tensor:
        return walsh_hadamard(z).mul_(self._signs.to(z))

    def _place(self, y: Tensor) -> Tensor:
        """Measurements as spectral coordinates, 0 at unmeasured ones."""
        z: Tensor = y.new_zeros(*y.shape[:2], self._size[0] * self._size[1])
        z.index_copy_(-1, self._rows.to(y.device), y)
        return z.view(*y.shape[:2], *self._size)

    def _check(self, shape: Shape) -> None:
        if tuple(shape[-2:]) != self._size:
            raise UsageError(f"this Hadamard was made for {self._size[0]}x{self._size[1]} images, not {shape[-2:]}")


def walsh_hadamard(x: Tensor) -> Tensor:
    """Orthonormal Walsh-Hadamard transform over the last two axes as one; its own inverse and transpose."""
    pixels = x.shape[-2] * x.shape[-1]
    # The matrix of 2^n pixels is a Kronecker product of small ones, applied one after the other.
    return by_image(lambda image: _product(image, pixels), x).view_as(x)


def _product(image: Tensor, pixels: int) -> Tensor:
    """Transforms one image's channels, (C, H, W) -> (C, H W)."""
    bits = pixels.bit_length() - 1
    factors = max(1, math.ceil(bits / _BITS))
    h, left = image.reshape(len(image), pixels), pixels
    for i in range(factors):
        # As even as can be, for small matrices waste time.
        matrix = _matrix(2 ** (bits // factors + (i < bits % factors))).to(h)
        left //= len(matrix)
        parts = h.reshape(-1, len(matrix), left) if left > 1 else h.reshape(-1, len(matrix))
        h = matrix @ parts if left > 1 else parts @ matrix
    return h.reshape(len(image), pixels)


_BITS = 5
"""Binary logarithm of the largest factor's rows."""


@lru_cache(maxsize=8)
def _matrix(side: int) -> Tensor:
    """Orthonormal Walsh-Hadamard matrix (Sylvester's) for a power of 2."""
    h = torch.ones(1, 1, dtype=torch.float64)
    while len(h) < side:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)]) / 2**0.5
    return h
