"""Power of a picture's blocks by colour and frequency, and the bound of the noise that the calmest ones set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from .signs import SIDE, SLOW, STRIDE
from .stationary import BANDS, EDGES, Spectrum, radius, to_opponent

_CALMEST = 0.1
LEAST_POWER = 1e-8
_AT_ONCE = 8
_GREY_MOST = 4.0
"""Most power of the grey axis before a compression, of that of slow waves of colour, which is low in calm blocks."""


def blocks(x: Tensor, *, centred: bool = True) -> Tensor:
    """Mean power of overlapping 16x16 blocks by colour and band, (N, C, BANDS).

    Args:
        x: one image, (1, C, H, W), of 16x16 or more.
        centred: whether to subtract each block's mean first.
    """
    windows = to_opponent(x)[0].unfold(1, SIDE, STRIDE).unfold(2, SIDE, STRIDE).permute(1, 2, 0, 3, 4)
    slope = torch.hann_window(SIDE, dtype=x.dtype, device=x.device)
    window = slope[:, None] * slope
    window = window / window.square().mean().sqrt()
    member = _members().to(windows)
    # For the real and the imaginary part of each coefficient, one band a row.
    member = (member / member.sum(0)).repeat_interleave(2, 0).T.contiguous()

    def mean(own: Tensor) -> Tensor:
        own = own.flatten(0, 1)
        if centred:
            own = own - own.mean((-2, -1), keepdim=True)
        parts = torch.view_as_real(torch.fft.rfft2(own * window, norm="ortho"))
        return F.linear(parts.square_().flatten(2), member)

    # A few rows of blocks at a time stay in a processor's cache.
    return torch.cat([mean(rows) for rows in windows.split(_AT_ONCE)]).cpu().float()


def _members() -> Tensor:
    """Weight of each coefficient of a block in each band, (coefficients, BANDS)."""
    at = torch.bucketize(radius(SIDE, SIDE), torch.tensor(EDGES[1:-1]), right=True)
    twice = torch.full((SIDE // 2 + 1,), 2.0)
    twice[0] = twice[-1] = 1.0
    return torch.stack([((at == band) * twice).flatten() for band in range(BANDS)], 1)


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
    return calm_of(blocks(y)[kept], axes, compressed)


def calm_of(power: Tensor, axes: int, compressed: bool = False) -> Spectrum:
    """Mean power of the calmest of blocks, (N, C, BANDS); see `calmest`."""
    activity = (power / power.median(0).values.clamp_min(LEAST_POWER)).sum((1, 2))
    calmest = activity.argsort()[: max(4, int(len(activity) * _CALMEST))]
    bound = power[calmest].mean(0)
    bound[:, 0] = bound[:, 1]
    return limited(Spectrum(only(bound, axes)), axes, _GREY_MOST if compressed else None)


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
