"""Power of a picture's blocks by colour and frequency, and the bound of the noise that the calmest ones set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ...maths.few import median
from .signs import SIDE, SLOW, STRIDE
from .stationary import BANDS, EDGES, Spectrum, to_opponent

_CALMEST = 0.1
LEAST_POWER = 1e-8
WHOLE = 0.97
"""Share of noise that a prior removes, if it is told a level a quarter above: some noise looks like texture."""
_AT_ONCE = 8
GREY_MOST = 4.0
"""Most power of the grey axis before a compression, of that of slow waves of colour, which is low in calm blocks."""


def blocks(x: Tensor, *, centred: bool = True) -> Tensor:
    """Mean power of overlapping 16x16 blocks by colour and band, (N, C, BANDS).

    Args:
        x: one image, (1, C, H, W), of 16x16 or more.
        centred: whether to subtract each block's mean first.
    """
    planes, waves, member = to_opponent(x)[0].contiguous(), _waves().to(x), _members().to(x)
    means, across = _means(planes) if centred else None, waves.T.contiguous()
    edge, number = waves[:2].sum(1), (planes.shape[1] - SIDE) // STRIDE + 1
    found = []
    # A few rows of blocks at a time stay in a processor's cache.
    for top in range(0, number, _AT_ONCE):
        end = min(top + _AT_ONCE, number)
        strip = planes[:, STRIDE * top : STRIDE * (end - 1) + SIDE]
        down = waves @ strip.unfold(1, SIDE, STRIDE).mT
        windows = down.unfold(3, SIDE, STRIDE).transpose(2, 3)
        both = (windows.reshape(-1, SIDE) @ across).view(windows.shape)
        if means is not None:
            # A constant times the window is in its two slowest waves alone.
            both[..., :2, :2] -= means[:, top:end, :, None, None] * (edge[:, None] * edge)
        found.append(F.linear(both.square_().flatten(-2), member))
    power: Tensor = torch.cat(found, 1).flatten(1, 2).transpose(0, 1).contiguous().cpu().float()
    return power


def _means(planes: Tensor) -> Tensor:
    """Mean of each block of planes, (C, H, W) to (C, rows, columns)."""
    planes = planes[:, : planes.shape[1] // STRIDE * STRIDE, : planes.shape[2] // STRIDE * STRIDE]
    sums = planes.unflatten(2, (-1, STRIDE)).sum(3).unflatten(1, (-1, STRIDE)).sum(2)
    down = sums[:, 1:] + sums[:, :-1]
    means: Tensor = (down[..., 1:] + down[..., :-1]) / SIDE**2
    return means


@lru_cache(maxsize=1)
def _waves() -> Tensor:
    """Orthonormal cosines, then sines, times the window, (SIDE, SIDE), one a row.

    Their squares, summed as `_members` does, are those of a Fourier transform, which takes half as long again.
    """
    at, half = torch.arange(SIDE, dtype=torch.float64), SIDE // 2
    turns = 2 * math.pi / SIDE * torch.arange(half + 1, dtype=torch.float64)[:, None] * at
    waves = math.sqrt(2 / SIDE) * torch.cat([turns.cos(), turns[1:-1].sin()])
    waves[[0, half]] /= math.sqrt(2)
    window = torch.hann_window(SIDE, dtype=torch.float64)
    return waves * window / window.square().mean().sqrt()


@lru_cache(maxsize=1)
def _members() -> Tensor:
    """Share of each pair of waves of a block in each band, (BANDS, SIDE * SIDE)."""
    frequency = torch.cat([torch.arange(SIDE // 2 + 1), torch.arange(1, SIDE // 2)]) / SIDE
    at = torch.hypot(frequency[:, None], frequency).flatten()
    band = torch.bucketize(at, torch.tensor(EDGES[1:-1]), right=True)
    member = (band == torch.arange(BANDS)[:, None]).float()
    return member / member.sum(1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Taken:
    """A prior's estimate and the part of a picture that it takes, by block; each number is computed once.

    Attributes:
        y: the picture, (1, C, H, W).
        x0: the estimate.
    """

    y: Tensor
    x0: Tensor

    @cached_property
    def power(self) -> Tensor:
        """Power of the part that is taken; see `blocks`."""
        return blocks(self.y - self.x0, centred=False)

    @cached_property
    def activity(self) -> Tensor:
        """Activity of the estimate in each block, (N,): the least is the flattest."""
        return blocks(self.x0).sum((1, 2))


def calmest(y: Tensor, kept: Tensor, axes: int, compressed: bool = False) -> Spectrum:
    """Mean power of the calmest blocks: an upper bound of the noise's power.

    Args:
        y: one picture, (1, C, H, W) in [-1, 1].
        kept: blocks that count, (N,); clipped ones have less noise, and would be the calmest.
        axes: colour axes that count.
        compressed: whether it was a JPEG; see `limited`.
    """
    return limited(calm_of(blocks(y)[kept], axes), axes, GREY_MOST if compressed else None)


def calm_of(power: Tensor, axes: int) -> Spectrum:
    """Mean power of the calmest of blocks, (N, C, BANDS); see `calmest`."""
    activity = (power / median(power).clamp_min(LEAST_POWER)).sum((1, 2))
    calmest = activity.argsort()[: max(4, int(len(activity) * _CALMEST))]
    bound = power[calmest].mean(0)
    bound[:, 0] = bound[:, 1]
    return Spectrum(only(bound, axes))


def limited(noise: Spectrum, axes: int, most: float | None) -> Spectrum:
    """Limits noise from before a JPEG compression: its grey axis by the slow waves of the others.

    A sensor's noise has as much power on each axis, and JPEG reduces the fine detail of colours only. Texture that is
    alike in all directions and Gaussian after compression, such as sand, is grey.

    Args:
        noise: the spectrum.
        axes: colour axes that count; a single one has no limit.
        most: largest ratio of the powers; None for a picture that was no JPEG.
    """
    if most is None or axes == 1:
        return noise
    power = noise.power.clone()
    power[0] = power[0].clamp_max(most * power[1:axes, :SLOW].mean().item())
    return Spectrum(power)


def only(power: Tensor, axes: int) -> Tensor:
    """Keeps the power on the first axes, and nearly none on the others."""
    power = power.clamp_min(LEAST_POWER)
    power[axes:] = LEAST_POWER
    return power
