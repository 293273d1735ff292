"""Estimates of an image's noise, from the image alone or with a prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..priors.prior import Prior

# The median of |n| for n ~ N(0, 1).
_MEDIAN = 0.6744897501960817


def noise_level(image: Tensor, known: Tensor | None = None) -> float:
    """Estimates the standard deviation of white noise.

    The median of the absolute diagonal differences of 2x2 blocks, the finest Haar coefficients, over that of white
    noise (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994, section 4.2): edges are too few
    to affect a median. Fine texture all over the image counts as noise.

    Args:
        image: (B, C, H, W), in any units; the result is in the same.
        known: 1 where a pixel counts, broadcastable to the image; None for all.

    Returns:
        One level for the whole batch; 0 without a whole block.
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
    """Excerpt for a diagnosis: the whole image, but of large ones a part.

    A side of more than 1,500 pixels is replaced by four stretches of 256, from the middles of its quarters, side by
    side. So an image of any size costs at most a square megapixel.

    Args:
        y: images, (B, C, H, W).
        side: side of the part of a large image, a multiple of 64; the threshold for large images scales with it.
    """
    return stretches(y, side // _STRETCHES, _STRETCHES, _LARGE * side // _SIDE)


def stretches(y: Tensor, length: int, number: int, large: int) -> Tensor:
    """Replaces each large side of images by stretches from the middles of its equal parts, side by side.

    Args:
        y: images, (B, C, H, W).
        length: length of a stretch in pixels.
        number: of stretches.
        large: longest side that stays whole.
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
    """Middle of an image (..., H, W), at most so many pixels wide and high."""
    top, left = (max(0, size - side) // 2 for size in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


_LOWEST, _HIGHEST = 0.01, 2.0
_MOST = 0.7
"""Ratio of the removed to the given noise level, above which a picture has more noise than the given level."""


@torch.no_grad()
def noise_seen(prior: Prior, y: Tensor, calls: int = 8) -> Tensor:
    """Level of the white noise that a prior removes from images.

    Given a level sigma above an image's noise, a denoiser removes this noise, and so less than sigma. Given a lower
    level, it removes 0.8 sigma or more, though the noise is not what it knows. From clean photographs the embedded
    prior removes at most 0.4 sigma at any sigma. Bisection on a logarithmic scale solves
    |y - prior(y, sigma)| = 0.7 sigma, and the left side is the noise. Unlike in `noise_level`, texture does not count
    as noise, since the prior knows it. The prior evaluates an `excerpt` of large images.

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
        sigma = y.new_tensor([math.exp(level) / _MOST for level in middle])
        taken = (y - prior(y, sigma)).square().flatten(1).mean(1).sqrt()
        for i, noisy in enumerate((taken >= _MOST * sigma).tolist()):
            (low if noisy else high)[i] = middle[i]
    # What was never seen to be noisy is not: the middle of the last range would say that it is, a little.
    found = [(least + most) / 2 if least > math.log(_LOWEST) else least for least, most in zip(low, high, strict=True)]
    return y.new_tensor([math.exp(level) for level in found])


@dataclass(frozen=True)
class Evidence:
    """Evidence of one image's damage, from a prior and the image itself.

    Attributes:
        noise: level of white noise, in [-1, 1] units; 0 without noise.
        unrest: ratio of the removed to the given level at low levels: about 0.3 for photographs, also compressed ones;
            above 0.4 for fine texture, above 0.5 for coarse noise, 1 for white noise.
        grain: the finest detail (`noise_level`) over the removed level: below 0.4 if the removed part is coarse.
        sharpness: sharpness of the finest detail over that of edges: above 1.1 for photographs, below 0.9 for blurred
            ones.
    """

    noise: float
    unrest: float
    grain: float
    sharpness: float

    @property
    def strength(self) -> float:
        """Strength, in thousandths of the ladder, with the least error on average.

        The rule comes from experiments: 128 x 128 crops of eight training photographs, fifteen kinds of damage, the
        embedded prior, and DreamClean with three corrections that add no noise. docs/dreamclean.md states its gain on
        other images.
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
    """Ramp: 0 up to start, 1 from end on, linear between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


_MILDEST, _MILD, _STRONG, _NOISY = 5.0, 18.0, 70.0, 30.0
_LEVELS = (0.057, 0.097)
_NOISE_FROM = 0.02

EVIDENCE = 10
"""Number of evaluations of `evidence`."""


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
    """Root mean square of the Laplacian over that of the gradient, of (C, H, W); 0 without edges."""
    if min(image.shape[1:]) < 3:
        return 0.0
    edges = (image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()).sqrt().item()
    return laplacian(image).square().mean().sqrt().item() / edges if edges else 0.0


def laplacian(x: Tensor) -> Tensor:
    """Discrete Laplacian at pixels with all four neighbours, (..., H, W) to (..., H - 2, W - 2)."""
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    return around - 4 * x[..., 1:-1, 1:-1]
