"""Kind of picture: a photograph, a drawing with exactly flat areas, or a regular pattern; grey or in colour.

A dither, a halftone or a grating consists of few waves: isolated peaks of the power spectrum, which its blocks have in
common. Noise has none, and photographs, also of walls and blinds, have more power beside such peaks than in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .spectrum import BLOCK, periodogram

_STRIP = 64
_FLAT, _DRAWN = 0.05, 0.25
_SAME = 1e-4

_PATTERN = 0.45
"""Share of power in peaks above which a picture is a pattern: of 159 training photographs it is at most 0.36."""
_BLOCKS, _AROUND, _WIDE = 400, 4, 5
_ABOVE = 8.0
_SLOWEST, _SLOWEST_REDUCED = (0.03, 0.1), (0.055, 0.1)
_SCALES, _REDUCED = 3, 0.7
"""Scales at which peaks are looked for, and the weight of what smaller ones show, whose few blocks vary more."""


@dataclass(frozen=True)
class Content:
    """Kind of picture.

    Attributes:
        flat: share of 3x3 windows that are exactly constant in all channels.
        grey: whether all channels are equal.
        pattern: share of the power of waves in isolated peaks of the spectrum.
    """

    flat: float
    grey: bool
    pattern: float = 0.0

    @property
    def clean(self) -> bool:
        """True if it can hold no noise, which leaves no window constant, or if a pattern would be taken for noise."""
        return self.flat > _FLAT or self.patterned

    @property
    def patterned(self) -> bool:
        """True for a dither, a halftone or a grating."""
        return self.pattern > _PATTERN

    @property
    def drawn(self) -> bool:
        """True for text, line art, a screenshot or a pattern, whose spectrum is not that of photographs."""
        return self.flat > _DRAWN or self.patterned

    @property
    def confidence(self) -> float:
        """Always 1, since flat areas are counted and not estimated."""
        return 1.0

    @property
    def text(self) -> str:
        """The kind in words."""
        kind = "text, line art or a screenshot" if self.drawn else "a photograph"
        kind = "a regular pattern, such as a dither or a halftone" if self.patterned else kind
        return f"{kind}, grey" if self.grey else kind

    @property
    def remedy(self) -> str:
        """Empty, since the kind is no damage."""
        return ""

    @property
    def evidence(self) -> dict[str, float]:
        """Share of constant windows, whether the picture is grey, and the share of power in peaks."""
        return {"flat": self.flat, "grey": float(self.grey), "pattern": self.pattern}


def estimate(image: Tensor) -> Content:
    """Determines the kind of picture.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    height, width = image.shape[-2:]
    rows = range(0, height, _STRIP)
    grey = all(bool(((own := image[..., top : top + _STRIP, :]) - own[:, :1]).abs().max() <= _SAME) for top in rows)
    if min(height, width) < 3:
        return Content(0.0, grey)
    pattern = _pattern(image.detach().cpu())
    # Strips stay in the processor's cache; each has the two rows more that its last windows need.
    flat = sum(_constant(image[..., top : top + _STRIP + 2, :]) for top in range(0, height - 2, _STRIP))
    return Content(flat / ((height - 2) * (width - 2)), grey, pattern)


def _pattern(image: Tensor) -> float:
    """Largest share of power in isolated peaks at three scales; a smaller one has the slower waves."""
    most, lows, weight = 0.0, _SLOWEST, 1.0
    for _ in range(_SCALES):
        if min(image.shape[-2:]) < BLOCK:
            break
        most = max(most, weight * _in_peaks(periodogram(image, _BLOCKS), lows))
        image, lows, weight = F.avg_pool2d(image, 2), _SLOWEST_REDUCED, _REDUCED
    return most


def _in_peaks(power: Tensor, lows: tuple[float, float]) -> float:
    """Share of power in isolated peaks: of the waves above the first limit, or above the second if that is more."""
    reach = range(-_AROUND, _AROUND + 1)
    border = [(down, right) for down in reach for right in reach if max(abs(down), abs(right)) == _AROUND]
    # The power of an edge goes on along a line, that of a wave ends after two frequencies, the width of the window.
    beside = torch.stack([power.roll(shift, (0, 1)) for shift in border]).amax(0)
    peak = (power == _widest(power)) & (power > _ABOVE * beside)
    frequency = torch.fft.fftfreq(BLOCK, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    inside = _widest((peak & (radius > lows[0])).double()) > 0
    shares = [power[inside & (radius > low)].sum() / power[radius > low].sum().clamp_min(1e-20) for low in lows]
    return max(share.item() for share in shares)


def _widest(x: Tensor) -> Tensor:
    """Maximum around each point of a periodic plane."""
    padded = F.pad(x[None, None], (_WIDE // 2,) * 4, mode="circular")
    return F.max_pool2d(padded, _WIDE, 1)[0, 0]


def _constant(strip: Tensor) -> int:
    """Number of constant 3x3 windows of a part of one picture."""
    high = low = strip
    for axis, size in ((-2, strip.shape[-2] - 2), (-1, strip.shape[-1] - 2)):
        high, low = (
            of(of(all_.narrow(axis, 0, size), all_.narrow(axis, 1, size)), all_.narrow(axis, 2, size))
            for of, all_ in ((torch.maximum, high), (torch.minimum, low))
        )
    return int(((high - low).amax(1) <= _SAME).sum())
