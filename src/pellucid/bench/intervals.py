"""Intervals of means of few images: the uncertainty of a figure or of a difference of two methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

_SHARE = 0.95
"""Confidence level of the intervals."""

_EXACT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The 97.5 % points of Student's distribution with 1 to 10 degrees of freedom."""


_MOST = 100.0
"""PSNR of equal images in means and differences; it is infinite by its formula."""


def bounded(metric: str, figure: float) -> float:
    """Bounds the PSNR of equal images, for means and differences over images.

    An image that comes back bit for bit would make a mean infinite, and be left out of a difference.
    """
    return min(figure, _MOST) if metric == "psnr" else figure


class Difference(NamedTuple):
    """Difference between two methods on the same images.

    Attributes:
        mean: mean of the images' differences.
        low: lower end of its 95 % interval; NaN for a single image.
        high: upper end.
        images: number of images that both have.
    """

    mean: float
    low: float
    high: float
    images: int

    @property
    def decided(self) -> bool:
        """True if zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def half_width(values: Sequence[float]) -> float:
    """Half of a mean's 95 % interval, by Student's distribution; NaN for a single or an infinite value."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    return student(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def student(freedom: int) -> float:
    """The 97.5 % point of Student's distribution.

    Args:
        freedom: degrees of freedom, 1 or more. Above 10 the expansion of Fisher and Cornish applies, accurate to 0.001.
    """
    if freedom <= len(_EXACT):
        return _EXACT[freedom - 1]
    z = NormalDist().inv_cdf((1 + _SHARE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def paired(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Difference | None:
    """Mean difference of two methods' figures, image by image; None if they share no finite figure.

    Args:
        ours: figures by image.
        theirs: likewise.
    """
    both = [ours[image] - theirs[image] for image in ours if image in theirs]
    both = [value for value in both if math.isfinite(value)]
    if not both:
        return None
    mean, half = fmean(both), half_width(both)
    return Difference(mean, mean - half, mean + half, len(both))
