"""The blur of a picture: the likeliest kernel (`likelihood`), and the guards that refute it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.jpeg import LUMA
from .agreement import contrast, edginess, sharpest
from .enlarged import repeats
from .estimate import middle
from .kernels import NONE, Family, Shape, sizes_between
from .likelihood import likelihoods, misfit, narrower, noise_below, search
from .spectrum import BLOCK, luminance, spectrum


@dataclass(frozen=True)
class _Least:
    """Thresholds of a family: margins over no blur and over the other families, and a range of sizes in pixels."""

    margin: float
    ahead: float
    smallest: float
    largest: float


_LEAST: dict[Family, _Least] = {
    "gaussian": _Least(20.0, 0.0, 0.95, 5.5),
    "disk": _Least(30.0, 0.0, 1.7, 10.0),
    "motion": _Least(60.0, 40.0, 4.0, 22.0),
}
"""Chosen on training photographs: sharp ones stay below one of these, also noisy, compressed and enlarged ones.

A size at the end of the grid belongs to a picture without detail, whose blur cannot be identified. So does a motion of
its last step, which soft pictures with edges in one direction are given.
"""

_OFTEN = 10.0
"""Margin above the threshold at which the doubt has fallen to 1/e."""


@dataclass(frozen=True)
class Blur:
    """Blur of a picture.

    Attributes:
        shape: its kernel.
        margin: natural logarithm of the likelihood ratio to no blur.
        ahead: the same ratio to the best kernel of another family.
        grid: visibility of JPEG's blocks, in standard errors; see `blockiness`.
        agreement: the least margin in a part of the picture, of the sharpest ones.
        noise: standard deviation of a channel's noise, in [-1, 1] units, where the blur leaves nothing else.
    """

    shape: Shape
    margin: float
    ahead: float
    grid: float = 0.0
    agreement: float = 0.0
    noise: float = 0.0

    @property
    def compressed(self) -> bool:
        """True if the picture was compressed after the blur, so that its high frequencies are lost."""
        return self.grid >= _GRID

    @property
    def confidence(self) -> float:
        """Grows with the margin, from 0.5 at the threshold."""
        return 1 - 0.5 * math.exp(-(self.margin - _LEAST[self.shape.family].margin) / _OFTEN)

    @property
    def text(self) -> str:
        """The blur in plain words."""
        size = self.shape.size
        if self.shape.family == "motion":
            return f"motion blur of {size:.1f} pixels at {self.shape.degrees:.0f} degrees"
        kind = "lens blur of radius" if self.shape.family == "disk" else "Gaussian blur of"
        return f"{kind} {size:.1f} pixels"

    @property
    def remedy(self) -> str:
        """Options that repair it."""
        return "--task unblur"

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding."""
        shape = self.shape
        numbers = {"size": shape.size, "degrees": shape.degrees, "margin": self.margin, "ahead": self.ahead}
        return {**numbers, "grid": self.grid, "agreement": self.agreement, "noise": self.noise * 127.5}


_GRID = 2.8
_MOST = 1536
"""Longest side, a multiple of 8, of the part in which `blockiness` looks for the grid."""
_FLOOR, _COMPRESSED_FLOOR = (2 / 255) ** 2 / 12, (16 / 255) ** 2 / 12
"""Power that rounding leaves: to 8 bits, and to the steps of a fine JPEG at frequencies that a blur dampens."""


def estimate(image: Tensor, drawn: bool = False) -> Blur | None:
    """Looks for a blur; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1]; 1,500 blocks of a large one are used.
        drawn: whether it is text, line art or a screenshot, whose spectrum is not that of photographs.

    Returns:
        None without a certain blur: the margin or the kernel is small, the picture has no edges, a part of it is
        sharp, or it is below 96 pixels.
    """
    if drawn or min(image.shape[-2:]) < BLOCK + BLOCK // 2:
        return None
    image = image.detach().cpu()
    grid = blockiness(image)
    power, floor = spectrum(image), _COMPRESSED_FLOOR if grid >= _GRID else _FLOOR
    families = search(power, floor, _believed)
    (shape, margin), *others = sorted(families.values(), key=lambda pair: pair[1], reverse=True)
    if not _believed(shape, margin):
        return None
    ahead = margin - others[0][1]
    if ahead < _LEAST[shape.family].ahead:
        return None
    # A ring of zeros needs no edges to be seen.
    ringed = shape.family == "disk" and ahead >= _RINGED
    if contrast(image) < _CONTRAST or (not ringed and edginess(image) < _EDGES):
        return None
    if misfit(power, shape, floor) > _MISFIT:
        return None
    # A Gaussian under a JPEG has the spectrum of an enlargement, but not its repetitions.
    if shape.family != "motion" and not ringed and repeats(image):
        return None
    if _ahead_of_others(power, shape, floor) < _others(power, shape, grid >= _GRID):
        return None
    # Of a part the noise is known less well than of the whole.
    least_power = max(floor, power.mean(1).min().item())
    agreement = min(_margin(spectrum(part), shape, least_power) for part in sharpest(image))
    if agreement < _AGREE:
        return None
    shape = narrower(power, shape, floor) if shape.family == "gaussian" else shape
    noise = noise_below(power, shape, floor) * _of_channels(image)
    return Blur(shape, margin, ahead, grid, agreement, noise)


def _believed(shape: Shape, margin: float) -> bool:
    """True if a kernel with such a margin over no blur may be a blur."""
    least = _LEAST.get(shape.family)
    return least is not None and margin >= least.margin and least.smallest <= shape.size <= least.largest


_INDEPENDENT = 1 / math.hypot(*LUMA)
"""Noise of a channel over that of the brightness, if the channels' are independent; 1 if they are equal."""


def _of_channels(image: Tensor) -> float:
    """Noise of a channel over that of the brightness, in the finest detail."""
    bright = _finest(luminance(image))
    return min(max(_finest(image) / bright, 1.0), _INDEPENDENT) if bright else 1.0


def _finest(x: Tensor) -> float:
    """Mean size of diagonal differences, in which edges count little; that of 8 bits, unlike a median, has no steps."""
    size = (x[..., 1:, 1:] - x[..., :-1, 1:] - x[..., 1:, :-1] + x[..., :-1, :-1]).abs()
    return size.clamp_max(3 * size.median().item()).mean().item()


_CONTRAST, _EDGES, _MISFIT, _AGREE = 10 / 127.5, 3.4, 5.0, 12.0
"""Least contrast and kurtosis of edges, most deviation from photographs, and least margin in a part.

Of 450 blurred training crops, one in 30 has less: one of texture only. Random textures, synthetic paper, clouds and
wood have a kurtosis of 3.2 or less, photographs in which a part is in focus a margin below 0 there.
"""
_ENLARGED: tuple[Family, ...] = ("bilinear", "bicubic")
_STREAKS, _NOT_ENLARGED, _QUIET, _RINGED = 5.0, 2.0, 1e-4, 60.0
"""Least margins of a motion over streaks, and of another blur over an enlargement; power without noise; margin of a
lens over other blurs that tells its ring of zeros.

On training crops a motion has 53 and more, an uncompressed Gaussian or lens 3.4, a compressed lens 14.
"""


def _margin(power: Tensor, shape: Shape, floor: float) -> float:
    """Logarithm of the likelihood ratio of a kernel to no blur."""
    found = likelihoods(power, [shape, NONE], floor)
    return (found[0] - found[1]).item()


def _ahead_of_others(power: Tensor, shape: Shape, floor: float) -> float:
    """Margin of a blur over what resembles it: streaks in a motion's direction, or an enlargement."""
    if shape.family == "motion":
        spreads, turns = (0.08, 0.12, 0.17, 0.22, 0.28, 0.35, 0.45), (-10, 0, 10)
        others = [Shape("streak", share * shape.size, shape.degrees + turn) for share in spreads for turn in turns]
    else:
        others = [Shape(family, factor) for family in _ENLARGED for factor in sizes_between(1.25, 4, 10)]
    found = likelihoods(power, [shape, *others], floor)
    return (found[0] - found[1:].max()).item()


def _others(power: Tensor, shape: Shape, compressed: bool) -> float:
    """Least margin over what resembles a blur; noise, and compression of a Gaussian, hide the difference."""
    if shape.family == "motion":
        return _STREAKS
    if power.mean(1).min() > _QUIET:
        return -math.inf
    return -math.inf if compressed and shape.family == "gaussian" else _NOT_ENLARGED


def blockiness(image: Tensor) -> float:
    """Height of the steps at JPEG's block edges above those elsewhere, in standard errors.

    Args:
        image: one picture, (1, C, H, W), of 24 pixels or more each way; the middle of a large one is used.
    """
    bright = luminance(middle(image, _MOST))[0, 0]
    found = []
    for x in (bright, bright.mT):
        step = x.diff(dim=1).abs()
        edge = (step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2).mean(0)
        edge = edge[: len(edge) // 8 * 8].view(-1, 8)
        place = int(edge.mean(0).argmax())
        rest = torch.cat([edge[:, :place], edge[:, place + 1 :]], 1)
        error = rest.std() / math.sqrt(len(edge)) + 1e-6
        found.append(((edge[:, place].mean() - rest.mean()) / error).item())
    return sum(found) / 2
