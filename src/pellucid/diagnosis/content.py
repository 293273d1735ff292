"""Kind of picture: a photograph, or a drawing with exactly flat areas; grey or in colour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_STRIP = 64
_FLAT, _DRAWN = 0.05, 0.25
_SAME = 1e-4


@dataclass(frozen=True)
class Content:
    """Kind of picture.

    Attributes:
        flat: share of 3x3 windows that are exactly constant in all channels.
        grey: whether all channels are equal.
    """

    flat: float
    grey: bool

    @property
    def clean(self) -> bool:
        """True if it can hold no noise, which leaves no window constant."""
        return self.flat > _FLAT

    @property
    def drawn(self) -> bool:
        """True for text, line art or a screenshot."""
        return self.flat > _DRAWN

    @property
    def confidence(self) -> float:
        """Always 1, since flat areas are counted and not estimated."""
        return 1.0

    @property
    def text(self) -> str:
        """The kind in words."""
        kind = "text, line art or a screenshot" if self.drawn else "a photograph"
        return f"{kind}, grey" if self.grey else kind

    @property
    def remedy(self) -> str:
        """Empty, since the kind is no damage."""
        return ""

    @property
    def evidence(self) -> dict[str, float]:
        """Share of constant windows, and whether the picture is grey."""
        return {"flat": self.flat, "grey": float(self.grey)}


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
    # Strips stay in the processor's cache; each has the two rows more that its last windows need.
    flat = sum(_constant(image[..., top : top + _STRIP + 2, :]) for top in range(0, height - 2, _STRIP))
    return Content(flat / ((height - 2) * (width - 2)), grey)


def _constant(strip: Tensor) -> int:
    """Number of constant 3x3 windows of a part of one picture."""
    high = low = strip
    for axis, size in ((-2, strip.shape[-2] - 2), (-1, strip.shape[-1] - 2)):
        high, low = (
            of(of(all_.narrow(axis, 0, size), all_.narrow(axis, 1, size)), all_.narrow(axis, 2, size))
            for of, all_ in ((torch.maximum, high), (torch.minimum, low))
        )
    return int(((high - low).amax(1) <= _SAME).sum())
