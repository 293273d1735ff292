r"""Stationary noise: its power by colour and frequency, and the walk of a prior that removes it.

The prior is a denoiser for white noise. Noise of any other spectrum becomes white by adding the complement, but that
drowns the picture's details at quiet frequencies. A walk down the levels preserves them. This is DDRM's idea (Kawar et
al. 2022, https://arxiv.org/abs/2201.11793) without fresh noise. The noise's covariance, diagonal in opponent colours
and frequency, takes the place of the operator's singular values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from ...maths.noise import Streams
from ...priors.prior import Prior

EDGES = (0.0, 0.045, 0.095, 0.16, 0.23, 0.30, 0.37, 0.44, 0.51, 0.72)
"""Edges of the bands of radial frequency, in cycles a pixel."""

BANDS = len(EDGES) - 1
_CENTRES = tuple((low + high) / 2 for low, high in pairwise(EDGES))
_FLOOR = 1e-12


@lru_cache(maxsize=4)
def basis(channels: int) -> Tensor:
    """Orthonormal colour axes, (channels, channels), one a row: grey, and two opponent colours for three channels."""
    if channels != 3:
        return torch.eye(channels)
    rows = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])
    return rows / rows.square().sum(1, keepdim=True).sqrt()


def to_opponent(x: Tensor) -> Tensor:
    """Converts images, (..., C, H, W), to the axes of `basis`."""
    return torch.einsum("dc,...chw->...dhw", basis(x.shape[-3]).to(x), x)


def from_opponent(x: Tensor) -> Tensor:
    """The inverse of `to_opponent`, which is its transpose."""
    return torch.einsum("dc,...dhw->...chw", basis(x.shape[-3]).to(x), x)


@lru_cache(maxsize=8)
def radius(height: int, width: int) -> Tensor:
    """Radial frequency of the coefficients of `rfft2`, (H, W // 2 + 1), in cycles a pixel."""
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])


@lru_cache(maxsize=4)
def _between(height: int, width: int) -> tuple[Tensor, Tensor]:
    """For each coefficient of `rfft2` the band above it, and the share of the way to its centre from the one below."""
    at, centres = radius(height, width), torch.tensor(_CENTRES)
    upper = torch.bucketize(at, centres).clamp(1, BANDS - 1)
    return upper, ((at - centres[upper - 1]) / (centres[upper] - centres[upper - 1])).clamp(0, 1)


@dataclass(frozen=True)
class Spectrum:
    """Power spectrum of stationary noise.

    Attributes:
        power: power of a coefficient of the orthonormal Fourier transform, (C, BANDS), in the axes of `basis` and in
            [-1, 1] units squared: white noise of level sigma has sigma^2 everywhere.
    """

    power: Tensor

    @classmethod
    def white(cls, level: float, channels: int, axes: int | None = None) -> Spectrum:
        """Makes the spectrum of white noise on the first colour axes, by default on all."""
        power = torch.full((channels, BANDS), level**2)
        power[channels if axes is None else axes :] = _FLOOR
        return cls(power)

    @property
    def level(self) -> float:
        """Root mean square of the noise over pixels and channels, in [-1, 1] units."""
        return math.sqrt((self.power * shares()).sum(1).mean().item())

    @property
    def levels(self) -> list[float]:
        """Root mean square of the noise on each colour axis."""
        return (self.power * shares()).sum(1).sqrt().tolist()

    @property
    def whiteness(self) -> float:
        """Ratio of the greatest to the least power without the lowest two bands, which are small; 1 if white."""
        high = self.power[:, 2:].clamp_min(_FLOOR)
        return (high.max() / high.min()).item()

    def deviation(self, height: int, width: int) -> Tensor:
        """Standard deviation of each coefficient of `rfft2`, (C, H, W // 2 + 1), log-linear between the bands."""
        upper, share = _between(height, width)
        logs = self.power.clamp_min(_FLOOR).log() / 2
        return torch.lerp(logs[:, upper - 1], logs[:, upper], share).exp()

    def scaled(self, factor: float) -> Spectrum:
        """Scales the spectrum to noise of another amplitude."""
        return Spectrum(self.power * factor**2)


class Stationary(Protocol):
    """Stationary noise, as a walk needs it."""

    def deviation(self, height: int, width: int) -> Tensor:
        """See `Spectrum.deviation`."""
        ...


@lru_cache(maxsize=1)
def shares() -> Tensor:
    """Share of all coefficients that each band has, (BANDS,)."""
    at = radius(256, 256)[:, :-1]
    counts = torch.stack([((at >= low) & (at < high)).sum() for low, high in pairwise(EDGES)])
    return counts / counts.sum()


def complement(y: Tensor, rng: Streams) -> Tensor:
    """Draws noise that complements images' noise to white noise.

    The draw is reversed: otherwise it would equal noise that was simulated from the same seed.
    """
    return rng.like(y).flip(-2, -1)


def simulated(y: Tensor, spectrum: Spectrum, rng: Streams) -> Tensor:
    """Draws noise of a spectrum in the shape of images, (B, C, H, W)."""
    size = (y.shape[-2], y.shape[-1])
    white = torch.fft.rfft2(rng.like(y), norm="ortho")
    noise: Tensor = torch.fft.irfft2(white * spectrum.deviation(*size).to(y), s=size, norm="ortho")
    return from_opponent(noise)


@dataclass(frozen=True)
class Observed:
    """Fourier coefficients of images and of noise that complements theirs, in the axes of `basis`.

    Attributes:
        images: coefficients of the images, (B, C, H, W // 2 + 1).
        fresh: coefficients of white noise of level 1, likewise.
        size: H and W.
    """

    images: Tensor
    fresh: Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, y: Tensor, rng: Streams) -> Observed:
        """Transforms images, (B, C, H, W), and draws the noise from each one's random stream."""
        return cls(_coefficients(y), _coefficients(complement(y, rng)), (y.shape[-2], y.shape[-1]))

    def beside(self, y: Tensor) -> Observed:
        """Coefficients of other images of the same size with the same noise."""
        return replace(self, images=_coefficients(y))


def _coefficients(x: Tensor) -> Tensor:
    found: Tensor = torch.fft.rfft2(to_opponent(x), norm="ortho")
    return found


def walk(prior: Prior, seen: Observed, spectrum: Stationary, levels: list[float]) -> Iterator[tuple[float, Tensor]]:
    """Removes stationary noise in as many evaluations as there are levels.

    At a level g, coefficients with less noise are complemented to g. Those with more noise come from the previous
    estimate plus a part of their deviation from it, in proportion to g. Everything is deterministic except the
    complement, which is a single draw.

    Args:
        prior: the prior.
        seen: the noisy images.
        spectrum: of their noise.
        levels: descending.

    Yields:
        Each level and the estimate of the clean images there.
    """
    observed = seen.images
    deviation = spectrum.deviation(*seen.size).to(seen.fresh.real)
    x0: Tensor | None = None
    for level in levels:
        missing = (level**2 - deviation**2).clamp_min(0).sqrt()
        loud = observed
        if x0 is not None:
            estimate = _coefficients(x0)
            loud = estimate + level / deviation.clamp_min(level) * (observed - estimate)
        mixed = torch.where(deviation <= level, observed + missing * seen.fresh, loud)
        x0 = prior(from_opponent(torch.fft.irfft2(mixed, s=seen.size, norm="ortho")), level)
        yield level, x0


def ladder(spectrum: Spectrum, calls: int, axes: int | None = None, least: float = 3 / 255) -> list[float]:
    """Makes levels for `walk`, evenly on a logarithmic scale from the loudest band to the quietest.

    Args:
        spectrum: of the noise.
        calls: largest number of levels; a single one if the loudest and the quietest band differ by less than a tenth.
        axes: colour axes that count; None for all.
        least: lowest possible level, in [-1, 1] units.
    """
    roots = spectrum.power[:axes].sqrt()
    top = max(roots.max().item(), least)
    bottom = min(max(roots.min().item(), least), top)
    if calls == 1 or top < 1.1 * bottom:
        return [top]
    return [top * (bottom / top) ** (i / (calls - 1)) for i in range(calls)]
