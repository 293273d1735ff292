"""Light of a picture: too dark, faded or tinted; from its darkest, middle and brightest values alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..maths.few import ranked
from ..maths.problem import to_unit
from ..operators.jpeg import LUMA

_MOST = 1 << 20
"""Number of pixels for quantiles."""

_DARK, _BRIGHTEST = 0.22, 0.6
_GREY, _PALE, _FLAT = 0.2, 0.75, 0.1
_EMPTY = 2.5 / 255
"""Largest range of values of a picture in which no light shows anything: a lens cap, a black card."""
_WORN = 0.985
"""Level of white above which a picture is no faded print."""
_CAST = 1.35
_SURE = 12.0


@dataclass(frozen=True)
class Exposure:
    """Light that differs from most photographs.

    Of 159 training photographs the mean brightness is 0.29 to 0.78 in nine of ten, the brightest values lie above 0.75
    in nineteen of twenty, and the darkest below 0.15.

    Attributes:
        mean: luma, from 0 to 1.
        white: value that one pixel in 200 exceeds in one of its channels.
        black: value that one pixel in 200 falls below in one of its channels.
        cast: brightest channel mean over the darkest; 1 for grey pictures.
    """

    mean: float
    white: float
    black: float
    cast: float

    @property
    def dark(self) -> bool:
        """True if the exposure was too short: dark in the middle, and bright nowhere, but not all of one tone."""
        return self.mean < _DARK and self.white < _BRIGHTEST and self.white - self.black > _EMPTY

    @property
    def faded(self) -> bool:
        """True if black is grey, and white is pale or tinted."""
        return self.black > _GREY and self.white < _WORN and _FLAT < self.white - self.black < _PALE

    @property
    def confidence(self) -> float:
        """Grows with the distance of the deciding value from its limit."""
        if self.dark:
            return _sure(_BRIGHTEST - self.white)
        return _sure(min(self.black - _GREY, _PALE - self.white + self.black))

    @property
    def text(self) -> str:
        """The light in words."""
        tinted = ", with a colour cast" if self.cast > _CAST else ""
        return ("dark" if self.dark else "faded") + tinted

    @property
    def remedy(self) -> str:
        """The task that brightens or stretches the values."""
        return "--task lowlight" if self.dark else "--task unfade"

    @property
    def evidence(self) -> dict[str, float]:
        """The four values."""
        return {"mean": self.mean, "white": self.white, "black": self.black, "cast": self.cast}


def _sure(distance: float) -> float:
    return 1 - 0.5 * math.exp(-_SURE * max(distance, 0.0))


def measure(image: Tensor) -> Exposure:
    """Measures the light of a picture, normal or not.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1], C 1 or 3.
    """
    seen = _seen(image)
    means = seen.mean(1)
    weights = torch.tensor(LUMA if len(means) == 3 else [1 / len(means)] * len(means)).to(means)
    white, black = (_quantile(side, q) for side, q in ((seen.amax(0), 0.995), (seen.amin(0), 0.005)))
    cast = (means.max() / means.min().clamp_min(1e-6)).item()
    return Exposure((weights * means).sum().item(), white, black, cast)


def _quantile(values: Tensor, share: float) -> float:
    """As `torch.quantile`, which sorts all values."""
    rank = torch.tensor(share) * (len(values) - 1)
    below, above = ranked(values, int(rank.floor()), int(rank.ceil()))
    return torch.lerp(below, above, (rank - rank.floor()).to(below)).item()


def quantiles(image: Tensor, share: float = 0.005) -> tuple[Tensor, Tensor]:
    """Values that this share of each channel's pixels lies below, and above, (C,) each in [0, 1].

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        share: from 0 to 0.5.
    """
    seen = _seen(image)
    return torch.quantile(seen, share, 1), torch.quantile(seen, 1 - share, 1)


def _seen(image: Tensor) -> Tensor:
    """Pixels of all parts of a picture, at most `_MOST`, (C, n) in [0, 1]."""
    step = max(1, math.ceil(math.sqrt(image.shape[-2] * image.shape[-1] / _MOST)))
    return to_unit(image[..., ::step, ::step])[0].flatten(1).float()


def estimate(image: Tensor) -> Exposure | None:
    """Looks for a picture that is dark or faded.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].

    Returns:
        None if the light is as in most photographs.
    """
    found = measure(image)
    return found if found.dark or found.faded else None
