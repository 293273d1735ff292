"""The kind of picture: a photograph, or something drawn, whose flat areas are exactly flat; grey or in colours."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

_FLAT, _DRAWN = 0.05, 0.25
_SAME = 1e-4


@dataclass(frozen=True)
class Content:
    """The kind of picture.

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
        """True if it is text, line art or a screenshot."""
        return self.flat > _DRAWN

    @property
    def confidence(self) -> float:
        """1: it is counted, not estimated."""
        return 1.0

    @property
    def text(self) -> str:
        """The kind in words."""
        kind = "text, line art or a screenshot" if self.drawn else "a photograph"
        return f"{kind}, grey" if self.grey else kind

    @property
    def remedy(self) -> str:
        """Nothing: it is no damage."""
        return ""

    @property
    def evidence(self) -> dict[str, float]:
        """The share of constant windows, and whether it is grey."""
        return {"flat": self.flat, "grey": float(self.grey)}


def estimate(image: Tensor) -> Content:
    """Measures what kind of picture it is.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    grey = bool(((image - image[:, :1]).abs() <= _SAME).all())
    if min(image.shape[-2:]) < 3:
        return Content(0.0, grey)
    spread = F.max_pool2d(image, 3, 1) + F.max_pool2d(-image, 3, 1)
    return Content((spread.amax(1) <= _SAME).float().mean().item(), grey)
