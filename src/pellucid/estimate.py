"""Estimates of an image's noise, from the image alone or with a prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .priors.prior import Prior

# The median of |n| for n ~ N(0, 1).
_MEDIAN = 0.6744897501960817


def noise_level(image: Tensor, known: Tensor | None = None) -> float:
    """Estimates the standard deviation of white noise.

    The median of the absolute diagonal differences of 2x2 blocks, the finest Haar coefficients, over that of white
    noise (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994, section 4.2): edges are too few
    to move a median. Fine texture all over the image counts as noise.

    Args:
        image: (B, C, H, W), in any units; the result is in the same.
        known: 1 where a pixel counts, broadcastable to the image; None for all.

    Returns:
        One level for the whole batch; 0 where there is no whole block.
    """
    height, width = (size // 2 * 2 for size in image.shape[-2:])
    blocks = image[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    diagonal = (blocks[..., 0, :, 0] - blocks[..., 0, :, 1] - blocks[..., 1, :, 0] + blocks[..., 1, :, 1]) / 2
    if known is not None:
        counts = known.expand_as(image)[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
        diagonal = diagonal[(counts > 0).all(-1).all(-2)]
    return diagonal.abs().median().item() / _MEDIAN if diagonal.numel() else 0.0


_SIDE, _LARGE, _STRETCHES = 1024, 1500, 4


def excerpt(y: Tensor, side: int = _SIDE) -> Tensor:
    """What is looked at to learn how damaged an image is: all of it, but of large ones a part.

    Of a side of more than 1,500 pixels there are four stretches of 256, from the middles of its quarters, put side by
    side: a square megapixel stands for an image of any size, at that cost.

    Args:
        y: images, (B, C, H, W).
        side: of the part of a large image, a multiple of 64; what counts as large changes with it.
    """
    return stretches(y, side // _STRETCHES, _STRETCHES, _LARGE * side // _SIDE)


def stretches(y: Tensor, length: int, number: int, large: int) -> Tensor:
    """A part of large images: of each large side some stretches, from the middles of its equal parts, side by side.

    Args:
        y: images, (B, C, H, W).
        length: of a stretch in pixels.
        number: of stretches.
        large: the longest side that is kept whole.
    """
    for axis in (-2, -1):
        size = y.shape[axis]
        if size > large:
            # On a grid of 16, so that the blocks of a JPEG file and the network's own stay where they are.
            starts = [((2 * i + 1) * size // (2 * number) - length // 2) // 16 * 16 for i in range(number)]
            index = torch.cat([torch.arange(start, start + length) for start in starts])
            y = y.index_select(axis, index.to(y.device))
    return y


def middle(image: Tensor, side: int) -> Tensor:
    """The middle of an image (..., H, W), so many pixels wide and high where it has as many."""
    top, left = (max(0, size - side) // 2 for size in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


_LOWEST, _HIGHEST = 0.01, 2.0
WHOLE = 0.95
"""Ratio of what a prior removes to what it was told is there, where all of it is noise."""


@torch.no_grad()
def noise_seen(prior: Prior, y: Tensor, calls: int = 8) -> Tensor:
    """The level of white noise at which a prior takes from images as much as it was told that there is.

    Told a level sigma that an image does not have, a denoiser takes less than sigma from it (from clean photographs
    at most 0.4 sigma with the embedded prior, whatever sigma); told less than it has, more. Halving the range, on a
    logarithmic scale, finds where |y - prior(y, sigma)| is 0.95 sigma, a little under 1 because some noise looks like
    texture. Unlike `noise_level` it is not deceived by texture, which the prior knows. Of large images the prior sees
    an `excerpt`.

    Args:
        prior: the prior.
        y: images, (B, C, H, W) in [-1, 1].
        calls: evaluations; 8 find the level to 2 %.

    Returns:
        Levels in [-1, 1] units, from 0.01 (no noise, or so little) to 2, (B,).
    """
    y = excerpt(y)
    low, high = [math.log(_LOWEST)] * len(y), [math.log(_HIGHEST)] * len(y)
    for _ in range(calls):
        middle = [(least + most) / 2 for least, most in zip(low, high, strict=True)]
        sigma = y.new_tensor([math.exp(level) for level in middle])
        taken = (y - prior(y, sigma)).square().flatten(1).mean(1)
        for i, noisy in enumerate((taken >= (WHOLE * sigma).square()).tolist()):
            (low if noisy else high)[i] = middle[i]
    # What was never seen to be noisy is not: the middle of the last range would say that it is, a little.
    found = [(least + most) / 2 if least > math.log(_LOWEST) else least for least, most in zip(low, high, strict=True)]
    return y.new_tensor([math.exp(level) for level in found])


@dataclass(frozen=True)
class Evidence:
    """Evidence of one image's damage, from a prior and the image itself.

    Attributes:
        noise: the level of white noise found, in [-1, 1] units; 0 if there is none.
        unrest: what the prior takes away at low levels, over what it was told is there: about 0.3 for photographs as
            they are or compressed, above 0.4 for fine texture, above 0.5 for coarse noise, 1 for white noise.
        grain: the finest detail (`noise_level`), over what the prior takes away: below 0.4 where that is coarse.
        sharpness: of the finest detail, over that of edges: above 1.1 for photographs, below 0.9 for blurred ones.
    """

    noise: float
    unrest: float
    grain: float
    sharpness: float

    @property
    def strength(self) -> float:
        """Strength, in thousandths of the ladder, whose result is nearest to the truth on average.

        A rule from outcomes: 128 x 128 crops of eight training photographs with fifteen kinds of damage, the embedded
        prior, DreamClean with three corrections that add no noise; docs/dreamclean.md has what it gains on others.
        """
        if self.noise:
            return _NOISY
        # A blurred image is as far from what the prior knows as from the truth: what it would change is right already.
        sharp = _rise(self.sharpness, 0.9, 1.1)
        # What disturbs the prior is noise if it is coarser than a camera's detail, and texture, to be kept, if not.
        fine = _rise(self.grain, 0.25, 0.5)
        texture = _MILD + (_MILDEST - _MILD) * _rise(self.unrest, 0.36, 0.43)
        noise = _MILD + (_STRONG - _MILD) * _rise(self.unrest, 0.45, 0.55)
        return sharp * (fine * texture + (1 - fine) * noise)


def _rise(value: float, start: float, end: float) -> float:
    """0 up to start, 1 from end on, a straight line between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


_MILDEST, _MILD, _STRONG, _NOISY = 5.0, 18.0, 70.0, 30.0
_LEVELS = (0.057, 0.097)
_NOISE_FROM = 0.02

EVIDENCE = 10
"""Evaluations that `evidence` makes."""


@torch.no_grad()
def evidence(prior: Prior, y: Tensor) -> list[Evidence]:
    """Estimates noise, texture and blur of each image; costs `EVIDENCE` evaluations, on an `excerpt` of large images.

    Args:
        prior: the prior.
        y: images, (B, C, H, W) in [-1, 1].
    """
    seen = excerpt(y)
    noise, taken = noise_seen(prior, seen).tolist(), []
    for level in _LEVELS:
        difference = seen - prior(seen, level)
        taken.append([one.square().mean().sqrt().item() / level for one in difference])
    unrest = [min(pair) for pair in zip(*taken, strict=True)]
    found = []
    for level, rest, one in zip(noise, unrest, y, strict=True):
        grain = noise_level(one[None]) / (rest * _LEVELS[0]) if rest else 0.0
        found.append(Evidence(level if level >= _NOISE_FROM else 0.0, rest, grain, _sharpness(one)))
    return found


def _sharpness(image: Tensor) -> float:
    """The Laplacian's root mean square over the gradient's, of (C, H, W); 0 where there are no edges."""
    if min(image.shape[1:]) < 3:
        return 0.0
    edges = (image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()).sqrt().item()
    return laplacian(image).square().mean().sqrt().item() / edges if edges else 0.0


def laplacian(x: Tensor) -> Tensor:
    """The discrete Laplacian where all four neighbours are, (..., H, W) to (..., H - 2, W - 2)."""
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    return around - 4 * x[..., 1:-1, 1:-1]
