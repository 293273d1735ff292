r"""Scratches and specks of a scanned print, as a proposal: a mask for somebody to look at, and the evidence of it.

A scratch is a thin line that is brighter, or darker, than both its sides for a long way. At each pixel and in each of
16 directions the picture is averaged a little along the direction, and the response is the smaller of the differences
to the two sides, for three widths:

.. math:: r = \max_w \min(c - l_w, c - r_w)

Texture has such responses, too, but in short pieces and of all directions. So a piece of a line is kept where the
response along it is strong beside what the neighbourhood has in all directions, and hardly interrupted. Specks are
what a white or a black top-hat leaves, small and alone.

This finds a part of the damage, and marks some edges, wires and stems: docs/old-photographs.md has how much.

References:
    Kokaram, "On missing data treatment for degraded video and film archives", 2004: lines and dirt of film.
    Canny, "A computational approach to edge detection", 1986: two thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..estimate import middle
from ..problem import to_unit
from .spectrum import luminance

DIRECTIONS = 16

_SIDES = (2, 3, 5)
_AROUND = 41
_FAINT, _WHOLE, _LEAST = 0.4, 0.9, 0.004
_SPECK, _ALONE = 7, 25
_MOST = 320
_LINES, _SPECKS, _BOTH = 0.02, 0.0025, 1.6e-5
"""From which shares of lines, of specks, and of which product of them, a finding is made.

Of 88 crops of training photographs without damage the most is 0.0124, 0.0014 and 7.9e-6.
"""


@dataclass(frozen=True)
class Limits:
    """From where on something counts.

    Attributes:
        long: length of a line's pieces in pixels, a power of two.
        strong: response of a line beside the usual one around it.
        contrast: of a line, from 0 to 1.
        plain: response of a speck beside the usual one around it.
        bright: contrast of a speck, from 0 to 1.
    """

    long: int
    strong: float
    contrast: float
    plain: float
    bright: float


PROPOSED = Limits(32, 4.0, 0.06, 15.0, 0.13)
"""For a mask that somebody looks at."""

SURE = Limits(64, 6.0, 0.06, 20.0, 0.15)
"""For a finding, which must not be wrong: it misses most of what is there."""


@dataclass(frozen=True)
class Scratches:
    """Scratches and specks that are there beyond doubt.

    Attributes:
        marked: share of the pixels that a mask would mark.
        lines: share that long lines mark at the stricter limits.
        specks: share that specks mark there.
    """

    marked: float
    lines: float
    specks: float

    @property
    def sure(self) -> bool:
        """Whether there are more lines and specks than photographs have of their own."""
        return self._excess > 1

    @property
    def _excess(self) -> float:
        return max(self.lines / _LINES, self.specks / _SPECKS, self.lines * self.specks / _BOTH)

    @property
    def confidence(self) -> float:
        """Grows with the lines and specks beyond what photographs have of their own."""
        return 1 - 0.5 * math.exp(-max(self._excess - 1, 0.0))

    @property
    def text(self) -> str:
        """The share in words."""
        return f"scratches and specks: {100 * self.marked:.1f} % marked"

    @property
    def remedy(self) -> str:
        """The task, which proposes a mask first."""
        return "--task scratches --save-mask MASK.png"

    @property
    def evidence(self) -> dict[str, float]:
        """The three shares."""
        return {"marked": self.marked, "lines": self.lines, "specks": self.specks}


def propose(image: Tensor, limits: Limits = PROPOSED) -> Tensor:
    """Proposes where a picture is scratched or specked; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        limits: from where on something counts.

    Returns:
        (H, W) of bool, true where something seems to lie over the picture.
    """
    bright = to_unit(luminance(image.float()))
    if min(bright.shape[-2:]) < limits.long:
        return torch.zeros(bright.shape[-2:], dtype=torch.bool, device=image.device)
    marked = _lines(bright[0, 0], limits) | _specks(bright, limits)[0, 0] | _specks(1 - bright, limits)[0, 0]
    return F.max_pool2d(marked.float()[None, None], 3, 1, 1)[0, 0] > 0


def measure(image: Tensor) -> Scratches:
    """The shares of lines and specks, whether or not they are damage; of a large picture the middle is looked at.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    seen = middle(image, _MOST)
    bright = to_unit(luminance(seen.float()))
    if min(bright.shape[-2:]) < SURE.long:
        return Scratches(0.0, 0.0, 0.0)
    lines = _lines(bright[0, 0], SURE).float().mean().item()
    specks = (_specks(bright, SURE) | _specks(1 - bright, SURE)).float().mean().item()
    found = Scratches(0.0, lines, specks)
    return replace(found, marked=propose(seen).float().mean().item()) if found.sure else found


def estimate(image: Tensor, drawn: bool = False) -> Scratches | None:
    """Looks for scratches and specks that are there beyond doubt; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        drawn: whether it is text or a drawing, which is made of lines.
    """
    if drawn:
        return None
    found = measure(image)
    return found if found.sure else None


def _moved(x: Tensor, right: float, down: float) -> Tensor:
    """What lies so many pixels further right and down; beyond the edge it goes on as at the edge. (H, W)."""
    across, along = round(right), round(down)
    edge = max(abs(across), abs(along))
    if not edge:
        return x
    height, width = x.shape
    padded = F.pad(x[None, None], (edge,) * 4, mode="replicate")[0, 0]
    return padded[edge + along : edge + along + height, edge + across : edge + across + width]


def _along(x: Tensor, direction: tuple[float, float], length: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Joins the values along a line of a power of two of pixels, its middle at each pixel, (H, W)."""
    right, down = direction
    reach = 1
    while reach < length:
        x = join(x, _moved(x, right * reach, down * reach))
        reach *= 2
    middle = (length - 1) / 2
    return _moved(x, -right * middle, -down * middle)


def _mean(x: Tensor, direction: tuple[float, float], length: int) -> Tensor:
    return _along(x, direction, length, torch.add) / length


def _directions() -> list[tuple[float, float]]:
    angles = [math.pi * number / DIRECTIONS for number in range(DIRECTIONS)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _differences(bright: Tensor, direction: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """How much brighter, and how much darker, than both its sides a line is, and the usual difference; (H, W) each."""
    here = _mean(bright, direction, 4)
    right, down = direction
    light, dark, usual = torch.full_like(here, -1.0), torch.full_like(here, -1.0), torch.zeros_like(here)
    for side in _SIDES:
        one = here - _moved(here, -down * side, right * side)
        other = here - _moved(here, down * side, -right * side)
        light = torch.maximum(light, torch.minimum(one, other))
        dark = torch.maximum(dark, -torch.maximum(one, other))
        usual += (one + other).abs() / (2 * len(_SIDES))
    return light, dark, usual


def _lines(bright: Tensor, limits: Limits) -> Tensor:
    found = [_differences(bright, direction) for direction in _directions()]
    usual = torch.stack([usual for *_, usual in found]).mean(0)
    around = _around(usual[None, None], _AROUND)[0, 0] + _LEAST
    marked = torch.zeros_like(usual, dtype=torch.bool)
    for direction, (light, dark, _) in zip(_directions(), found, strict=True):
        for response in (light, dark):
            ratio = response / around
            there = (ratio > _FAINT * limits.strong) & (response > _FAINT * limits.contrast)
            core = _mean(there.float(), direction, limits.long) > _WHOLE
            if not core.any():
                continue
            core &= _mean(ratio.clamp(-limits.strong, 2 * limits.strong), direction, limits.long) > limits.strong
            core &= _mean(response, direction, limits.long) > limits.contrast
            # From the middle of each piece to its ends.
            marked |= (_along(core.float(), direction, limits.long, torch.maximum) > 0) & there
    return marked


def _mirrored(x: Tensor, by: int) -> Tensor:
    return F.pad(x, (by,) * 4, mode="replicate")


def _around(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(_mirrored(x, side // 2), side, 1)


def _specks(bright: Tensor, limits: Limits) -> Tensor:
    """What a top-hat leaves that is smaller than `_SPECK` pixels, and alone, (1, 1, H, W)."""
    half = _SPECK // 2
    eroded = -F.max_pool2d(_mirrored(-bright, half), _SPECK, 1)
    hat = bright - F.max_pool2d(_mirrored(eroded, half), _SPECK, 1)
    rough = _around((bright - _around(bright, 5)).abs(), _ALONE)
    core = (hat > limits.bright) & (hat > limits.plain * (_around(hat, _ALONE) + rough) / 2)
    near = F.max_pool2d(core.float(), 5, 1, 2) > 0
    return near & (hat > limits.bright / 3)
