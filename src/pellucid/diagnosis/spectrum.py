r"""Power spectrum of a picture in polar coordinates, and the distribution of photographs' spectra.

A picture's luminance is cut into overlapping blocks of 64 x 64, each times a Hann window; the mean of their
periodograms is sampled at `RADII` x `ANGLES` points of the frequency plane. Its logarithm, over photographs, is nearly
Gaussian: a mean, a covariance of low rank (level, slope, directions) and a rest of its own at each point. `Photographs`
holds these numbers, learned from photographs that no test uses.

References:
    Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987.
    Torralba and Oliva, "Statistics of natural image categories", 2003.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..operators.jpeg import LUMA

BLOCK = 64
"""Side of a block in pixels."""

ANGLES = 12
"""Directions, equally spaced over half a turn, counted anticlockwise from right."""

RADII = torch.arange(0.045, 0.49, 0.0185, dtype=torch.float64)
"""Spatial frequencies in cycles a pixel."""

LEAST = (2 / 255) ** 2 / 12
"""Variance of rounding to 8 bits, in [-1, 1] units."""

_FINE = 4
"""Number of averaged points for a direction, and twice as many for a radius."""


def luminance(image: Tensor) -> Tensor:
    """Brightness of images (B, C, H, W), with luma weights for colours, (B, 1, H, W)."""
    if image.shape[1] != 3:
        return image.mean(1, keepdim=True)
    weights = image.new_tensor(LUMA).view(1, 3, 1, 1)
    bright = image[:, :1] * weights[:, :1]
    for channel in (1, 2):
        bright += image[:, channel : channel + 1] * weights[:, channel : channel + 1]
    return bright


@lru_cache(maxsize=1)
def _window() -> Tensor:
    """The periodic Hann window, whose convolution in the frequency plane has three taps, with a mean square of 1."""
    row = torch.hann_window(BLOCK, periodic=True, dtype=torch.float64)
    window = row[:, None] * row
    return window / window.square().mean().sqrt()


@lru_cache(maxsize=1)
def _points() -> Tensor:
    """Sampling points of the spectrum for `grid_sample`, (1, radii * 2, angles * fine, 2)."""
    spacing = (RADII[1] - RADII[0]).item()
    radii = (RADII[:, None] + spacing * torch.tensor([-0.25, 0.25], dtype=torch.float64)).flatten()
    angles = (torch.arange(ANGLES * _FINE, dtype=torch.float64) + 0.5 - _FINE / 2) * math.pi / (ANGLES * _FINE)
    right, down = radii[:, None] * angles.cos(), -radii[:, None] * angles.sin()
    # Frequency 0 is pixel BLOCK / 2 after fftshift; one pixel more around it closes the circle.
    return 2 * torch.stack([right, down], -1)[None]


def polar(power: Tensor) -> Tensor:
    """Samples a power spectrum.

    Args:
        power: (N, BLOCK, BLOCK), frequency 0 first.

    Returns:
        Mean power around each point, (N, radii, angles).
    """
    shifted = F.pad(torch.fft.fftshift(power, (-2, -1))[:, None], (0, 1, 0, 1), mode="circular")
    points = _points().to(power).expand(len(power), -1, -1, -1)
    found = F.grid_sample(shifted, points, mode="bilinear", align_corners=True)
    return found.view(len(power), len(RADII), 2, ANGLES, _FINE).mean((2, 4))


def spectrum(image: Tensor, most: int = 1500) -> Tensor:
    """Spectrum of one picture's brightness.

    Args:
        image: (1, C, H, W), H and W at least `BLOCK`, in any units.
        most: largest number of blocks; equally spaced if there are more.

    Returns:
        Power at each point, (radii, angles); white noise of variance v has v everywhere.
    """
    return polar(periodogram(image, most)[None])[0]


def periodogram(image: Tensor, most: int) -> Tensor:
    """Mean periodogram of the blocks that `spectrum` takes, (BLOCK, BLOCK), frequency 0 first."""
    step = BLOCK // 2
    tops, lefts = (torch.linspace(0, n - BLOCK, (n - BLOCK) // step + 1).long() for n in image.shape[-2:])
    places = torch.cartesian_prod(tops, lefts)
    places = places[:: -(-len(places) // most)]
    half, window = torch.zeros(2 * BLOCK * (BLOCK // 2 + 1), dtype=torch.float64), _window().float()
    if len(places) * BLOCK**2 > image.shape[-2] * image.shape[-1]:
        # Most pixels are in several blocks. Of a large picture many are in none.
        image = luminance(image)
    windows = np.lib.stride_tricks.sliding_window_view(image[0].numpy(), (BLOCK, BLOCK), (1, 2))
    for some in places.split(128):
        # Gathered by NumPy in a fourth of the time.
        blocks = torch.from_numpy(windows[:, some[:, 0].numpy(), some[:, 1].numpy()]).transpose(0, 1)
        blocks = (blocks if blocks.shape[1] == 1 else luminance(blocks))[:, 0].float()
        means = blocks.flatten(1) @ (window / window.sum()).flatten()
        blocks = (blocks - means[:, None, None]).mul_(window)
        # A sum over the first axis alone takes a twentieth of the time of one over the first and the last.
        half += torch.view_as_real(torch.fft.rfft2(blocks)).flatten(1).square_().sum(0, dtype=torch.float64)
    half = half.view(BLOCK, -1, 2).sum(2)
    # The other half of the plane is the first one turned around frequency 0.
    other = half[-torch.arange(BLOCK) % BLOCK, 1:-1].flip(1)
    return torch.cat([half, other], 1) / (len(places) * BLOCK**2)


def passed(kernels: Sequence[Tensor]) -> Tensor:
    """Share of photographs' power that each kernel passes, as seen by `spectrum`, (n, radii, angles).

    The window mixes neighbouring frequencies, so no zero of a kernel appears as zero.

    Args:
        kernels: (h, w) each, no larger than a block.
    """
    canvas = torch.zeros(len(kernels) + 1, BLOCK, BLOCK, dtype=torch.float64)
    canvas[-1, 0, 0] = 1
    for own, kernel in zip(canvas, kernels, strict=False):
        own[: kernel.shape[0], : kernel.shape[1]] = kernel
    frequency = torch.fft.fftfreq(BLOCK, dtype=torch.float64)
    usual = (frequency[:, None] ** 2 + frequency**2).clamp_min(BLOCK**-2.0) ** -1.25
    usual[0, 0] = 0  # a block's mean is taken away
    every = torch.fft.fft2(canvas).abs().square() * usual
    # The Hann window's own spectrum: 1/4, 1/2, 1/4 of the amplitude, squared, to a sum of 1.
    for axis in (1, 2):
        every = every * (2 / 3) + (every.roll(1, axis) + every.roll(-1, axis)) / 6
    sampled = polar(every)
    return sampled[:-1] / sampled[-1]


@dataclass(frozen=True)
class Photographs:
    """Distribution of the logarithm of photographs' spectra, n points in all.

    Attributes:
        mean: (n,).
        factors: of the covariance, `factors @ factors.T + diag(rest)`, (n, k).
        rest: (n,).
        chance: variance of each point's logarithm for white noise in a 128 x 128 picture, (n,).
    """

    mean: Tensor
    factors: Tensor
    rest: Tensor
    chance: Tensor

    @classmethod
    def learn(cls, images: Iterable[Tensor], rank: int = 40) -> Photographs:
        """Learns the distribution from photographs (1, C, H, W) in [-1, 1], each in all eight orientations."""
        logs = torch.stack([spectrum(image).clamp_min(LEAST).log() for image in images])
        ways = [logs, logs.roll(-ANGLES // 2, 2)]
        ways += [way.flip(2).roll(1, 2) for way in ways]
        found = torch.cat(ways).flatten(1)
        mean = found.mean(0)
        values, vectors = torch.linalg.eigh((found - mean).T.cov())
        factors = vectors[:, -rank:] * values[-rank:].sqrt()
        rest = (found.var(0) - factors.square().sum(1)).clamp_min(1e-3)
        noise = torch.randn((200, 1, 1, 128, 128), generator=torch.Generator().manual_seed(0))
        chance = torch.stack([spectrum(one).log() for one in noise]).var(0).flatten()
        return cls(mean, factors, rest, chance)

    def arrays(self) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float16]]]:
        """Numbers to store."""
        return {name: value.numpy().astype(np.float16) for name, value in vars(self).items()}

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> Photographs:
        """Reads the distribution in the package."""
        with (files("pellucid.diagnosis") / "photographs.npz").open("rb") as file:
            stored = np.load(file)
            return cls(*(torch.from_numpy(stored[name].astype(np.float64)) for name in cls.__dataclass_fields__))
