"""Orthonormal cosine transform (DCT-II) of any length, by a Fourier transform of the same length.

References:
    Makhoul, "A fast cosine transform in one and two dimensions", 1980. https://doi.org/10.1109/TASSP.1980.1163351
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .operator import by_image


def dct(x: Tensor) -> Tensor:
    """Transforms the last axis; the inverse and transpose of `idct`."""
    n = x.shape[-1]
    f = torch.fft.rfft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1)) * _turn(n, x.dtype, x.device)
    return torch.cat([f.real, -f.imag[..., 1 : (n + 1) // 2].flip(-1)], -1)


def idct(z: Tensor) -> Tensor:
    """Transforms the last axis; the inverse and transpose of `dct`."""
    n = z.shape[-1]
    half = n // 2 + 1
    # z(n - k) is minus the imaginary part at frequency k; there is none at 0, and z(n / 2) is both parts.
    mirrored = F.pad(z[..., (n + 1) // 2 :].flip(-1), (1, 0))
    x = torch.fft.irfft(torch.complex(z[..., :half], -mirrored) / _turn(n, z.dtype, z.device), n=n)
    there = torch.empty_like(x)
    there[..., ::2], there[..., 1::2] = x[..., : (n + 1) // 2], x[..., (n + 1) // 2 :].flip(-1)
    return there


def dct2(x: Tensor) -> Tensor:
    """Transforms the last two axes of images (B, C, H, W)."""
    if max(x.shape[-2:]) > _SMALL:
        return dct(dct(x).mT).mT
    down, across = (_matrix(n).to(x) for n in x.shape[-2:])
    return by_image(lambda image: down @ image @ across.T, x)


def idct2(z: Tensor) -> Tensor:
    """Transforms the last two axes of images (B, C, H, W); the inverse and transpose of `dct2`."""
    if max(z.shape[-2:]) > _SMALL:
        return idct(idct(z).mT).mT
    down, across = (_matrix(n).to(z) for n in z.shape[-2:])
    return by_image(lambda image: down.T @ image @ across, z)


_SMALL = 128
"""Length up to which a product with a matrix is faster."""


@lru_cache(maxsize=16)
def _matrix(n: int) -> Tensor:
    """Matrix of the transform of n numbers, (n, n)."""
    return dct(torch.eye(n, dtype=torch.float64)).T


@lru_cache(maxsize=16)
def _turn(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Factor of each frequency: a shift by a quarter of its period, and the norm."""
    angle = torch.arange(n // 2 + 1, dtype=torch.float64) * (-math.pi / (2 * n))
    turn = torch.polar(torch.full_like(angle, math.sqrt(2 / n)), angle)
    turn[0] /= math.sqrt(2)
    return turn.to(device, torch.complex128 if dtype == torch.float64 else torch.complex64)
