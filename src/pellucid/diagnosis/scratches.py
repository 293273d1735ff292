r"""Scratches and specks of a scanned print: a proposed mask for a person to check, and its evidence.

A scratch is a long thin line that is brighter, or darker, than both its sides. At each pixel and in each of 16
directions the picture is averaged briefly along the direction. The response is the smaller difference to the two sides,
for three widths:

.. math:: r = \max_w \min(c - l_w, c - r_w)

Texture has such responses, too, but in short pieces and in all directions. So a piece of a line is kept if its response
is nearly uninterrupted, and strong compared with the neighbourhood in all directions. Specks are small isolated
residuals of a white or a black top-hat.

This detects a part of the damage, and also marks some edges, wires and stems; docs/old-photographs.md states the rates.

References:
    Kokaram, "On missing data treatment for degraded video and film archives", 2004: lines and dirt of film.
    Canny, "A computational approach to edge detection", 1986: two thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..maths.problem import to_unit
from ..support.ranges import percent
from .estimate import middle
from .spectrum import luminance

DIRECTIONS = 16

Plane = np.ndarray[Any, np.dtype[Any]]
Join = Callable[[Plane, Plane], Plane]

_STEPS = 1023
"""Steps of brightness from black to white: sums of four, and of three differences of these, fit into 16 bits."""

_SIDES = (2, 3, 5)
_EDGE = max(_SIDES)
_SHORT = 4
_AROUND = 41
_FAINT, _WHOLE, _LEAST = 0.4, 0.9, 0.004
_SPECK, _ALONE = 7, 25
_MOST = 320
_LINES, _SPECKS, _BOTH = 0.02, 0.0025, 1.6e-5
"""Shares of lines, of specks, and their product, from which there is a finding.

The maxima over 88 undamaged crops of training photographs are 0.0124, 0.0014 and 7.9e-6.
"""


@dataclass(frozen=True)
class Limits:
    """Detection thresholds.

    Attributes:
        long: length of a line's pieces in pixels, a power of two.
        strong: response of a line relative to its surroundings.
        contrast: of a line, from 0 to 1.
        plain: response of a speck relative to its surroundings.
        bright: contrast of a speck, from 0 to 1.
    """

    long: int
    strong: float
    contrast: float
    plain: float
    bright: float


PROPOSED = Limits(32, 4.0, 0.06, 15.0, 0.13)
"""Thresholds for a mask that a person checks."""

SURE = Limits(64, 6.0, 0.06, 20.0, 0.15)
"""Thresholds for a finding, which must not be wrong: it misses most scratches."""


@dataclass(frozen=True)
class Scratches:
    """Scratches and specks beyond doubt.

    Attributes:
        marked: share of pixels that a mask would mark.
        lines: share of pixels in long lines at the stricter thresholds.
        specks: share of pixels in specks at the stricter thresholds.
    """

    marked: float
    lines: float
    specks: float

    @property
    def sure(self) -> bool:
        """True if there are more lines and specks than in undamaged photographs."""
        return self._excess > 1

    @property
    def _excess(self) -> float:
        return max(self.lines / _LINES, self.specks / _SPECKS, self.lines * self.specks / _BOTH)

    @property
    def confidence(self) -> float:
        """Grows with the excess of lines and specks over undamaged photographs."""
        return 1 - 0.5 * math.exp(-max(self._excess - 1, 0.0))

    @property
    def text(self) -> str:
        """The share in words."""
        return f"scratches and specks: {percent(self.marked)} marked"

    @property
    def remedy(self) -> str:
        """The task, which proposes a mask first."""
        return f"--task scratches {CHECKED}"

    @property
    def evidence(self) -> dict[str, float]:
        """The three shares."""
        return {"marked": self.marked, "lines": self.lines, "specks": self.specks}


CHECKED, UNSEEN = "--save-mask MASK.png", "--yes"
"""Options of the task: a mask of one page to check first, or damage beyond doubt on all pages."""

_ROWS = 512
"""Rows that are searched together: all of a large picture would take gigabytes."""

_BEYOND = 128
"""Rows on each side that affect the marks of these; farther ones do not."""


def propose(image: Tensor, limits: Limits = PROPOSED, progress: Callable[[int], object] | None = None) -> Tensor:
    """Proposes a mask of scratches and specks; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        limits: detection thresholds.
        progress: called with the number of further pixels that are done; may raise an error to end the search.

    Returns:
        (H, W) of bool, true on probable damage.
    """
    return in_rows(image, lambda part: _proposed(part, limits), progress)


def in_rows(image: Tensor, find: Callable[[Tensor], Tensor], progress: Callable[[int], object] | None = None) -> Tensor:
    """Applies a search to some rows after the others; its result is that of the whole picture.

    Args:
        image: one picture, (1, C, H, W).
        find: from such a picture to marks (H, W), each of which depends on at most `_BEYOND` rows on each side.
        progress: see `propose`.
    """
    height, width = image.shape[-2:]
    marked = []
    for top in range(0, height, _ROWS):
        first, end = max(0, top - _BEYOND), min(height, top + _ROWS)
        marked.append(find(image[..., first : end + _BEYOND, :])[top - first : end - first])
        if progress is not None:
            progress((end - top) * width)
    return torch.cat(marked)


def _proposed(image: Tensor, limits: Limits) -> Tensor:
    """Mask of a part of a picture."""
    bright = _brightness(image)
    marked = _lines(bright, limits) | _specks(bright, limits) if min(bright.shape) >= limits.long else bright < 0
    return torch.from_numpy(_largest(_framed(marked, 1), 3)).to(image.device)


def _brightness(image: Tensor) -> Plane:
    """Brightness of a picture in steps of 1 / `_STEPS`, (H, W) of 16 bits, which take half of the time of floats."""
    bright = to_unit(luminance(image.float()))[0, 0].clamp(0, 1)
    whole: Plane = bright.mul(_STEPS).round().short().cpu().numpy()
    return whole


def measure(image: Tensor) -> Scratches:
    """Measures the shares of lines and specks, damage or not; uses the middle of a large picture.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    seen = middle(image, _MOST)
    bright = _brightness(seen)
    if min(bright.shape) < SURE.long:
        return Scratches(0.0, 0.0, 0.0)
    found = Scratches(0.0, float(_lines(bright, SURE).mean()), float(_specks(bright, SURE).mean()))
    return replace(found, marked=propose(seen).float().mean().item()) if found.sure else found


def estimate(image: Tensor, drawn: bool = False) -> Scratches | None:
    """Looks for scratches and specks beyond doubt; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        drawn: whether it is text or a drawing, which is made of lines.
    """
    if drawn:
        return None
    found = measure(image)
    # Without a mark there is nothing to fill.
    return found if found.sure and found.marked else None


def _along(x: Plane, direction: tuple[float, float], length: int, join: Join) -> Plane:
    """Joins the values along a line of a power of two of pixels, its middle at each pixel, (..., H, W)."""
    return _centred(_ahead(x, direction, length, join), direction, length)


def _ahead(x: Plane, direction: tuple[float, float], length: int, join: Join) -> Plane:
    """Joins the values along a line from each pixel on; the border replicates the edge."""
    right, down = direction
    steps = [(round(right * 2**power), round(down * 2**power)) for power in range(length.bit_length() - 1)]
    across, below = (sum(own) for own in zip(*steps, strict=True))
    framed = _extended(x, max(-across, 0), max(across, 0), below)
    # Its rows are one run of numbers, in which a shift is a distance: half of the time of shifts in two axes.
    joined: Plane = framed.ravel()
    first = max(-across, 0)
    for along, under in steps:
        by = under * framed.shape[-1] + along
        joined = join(joined[: len(joined) - abs(by)], joined[abs(by) :])
        first -= max(-by, 0)
    view: Plane = np.ndarray(x.shape, joined.dtype, joined, first * joined.itemsize, framed.strides)
    return view


def _extended(x: Plane, left: int, right: int, below: int, above: int = 0) -> Plane:
    """Pictures, (..., H, W), with so many more columns and rows, which replicate the edge."""
    height, width = x.shape[-2:]
    framed = np.empty((*x.shape[:-2], above + height + below, left + width + right), x.dtype)
    rows = framed[..., left : left + width]
    rows[..., above : above + height, :] = x
    rows[..., :above, :] = x[..., :1, :]
    rows[..., above + height :, :] = x[..., -1:, :]
    framed[..., :left] = rows[..., :1]
    framed[..., left + width :] = rows[..., -1:]
    return framed


def _framed(x: Plane, by: int) -> Plane:
    return _extended(x, by, by, by, by)


def _centred(x: Plane, direction: tuple[float, float], length: int, edge: int = 0) -> Plane:
    """Moves what belongs to a line from its first pixel to its middle; adds so many pixels at each side."""
    height, width = x.shape[-2:]
    right, down = (round(share * (length - 1) / 2) for share in direction)
    right, down = max(min(right, width - 1), 1 - width), min(down, height - 1)
    kept = x[..., : height - down, max(-right, 0) : width - max(right, 0)]
    return _extended(kept, edge + max(right, 0), edge + max(-right, 0), edge, edge + down)


def _mean(x: Plane, direction: tuple[float, float], length: int) -> Plane:
    return _along(x, direction, length, np.add) / length


def _directions() -> list[tuple[float, float]]:
    angles = [math.pi * number / DIRECTIONS for number in range(DIRECTIONS)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _differences(bright: Plane, direction: tuple[float, float], usual: Plane) -> Plane:
    """Excess brightness and darkness of a line over both its sides, in steps of 1 / (`_SHORT` * `_STEPS`).

    Args:
        bright: the picture, (H, W).
        direction: of the line.
        usual: takes six times the usual difference in addition, (H, W + 2 * `_EDGE`) of 32 bits.

    Returns:
        (2, H, W + 2 * `_EDGE`); the last columns mean nothing.
    """
    right, down = direction
    height, pitch = usual.shape
    framed = _centred(_ahead(bright, direction, _SHORT, np.add), direction, _SHORT, _EDGE)
    length, flat = height * pitch - 2 * _EDGE, framed.ravel()

    def moved(across: float, along: float) -> Plane:
        # Whole rows are one run of numbers, in which a shift is a distance.
        first = (_EDGE + round(along)) * pitch + _EDGE + round(across)
        return flat[first : first + length]

    here = moved(0, 0)
    twice, high, low, all_ = here + here, np.empty_like(here), np.empty_like(here), np.zeros_like(here)
    responses = np.zeros((2, height * pitch), bright.dtype)
    brighter, darker = responses[:, :length]
    # Of the brighter side the least of all widths, of the darker side the most.
    for number, side in enumerate(_SIDES):
        one, other = moved(-down * side, right * side), moved(down * side, -right * side)
        np.maximum(one, other, out=high if number else brighter)
        np.minimum(one, other, out=low if number else darker)
        if number:
            np.minimum(brighter, high, out=brighter)
            np.maximum(darker, low, out=darker)
        np.add(one, other, out=high)
        np.subtract(high, twice, out=high)
        all_ += np.abs(high, out=high)
    usual.reshape(-1)[:length] += all_
    np.subtract(here, brighter, out=brighter)
    darker -= here
    return responses.reshape(2, height, pitch)


def _lines(bright: Plane, limits: Limits) -> Plane:
    height, width = bright.shape
    usual = np.zeros((height, width + 2 * _EDGE), np.int32)
    found = [_differences(bright, direction, usual) for direction in _directions()]
    whole = np.float32(_SHORT * _STEPS)
    around = _around(usual[:, :width], _AROUND) / (2 * len(_SIDES) * DIRECTIONS * whole) + np.float32(_LEAST)
    marked = np.zeros(bright.shape, bool)
    least = np.maximum(around * limits.strong, limits.contrast) * _FAINT * whole
    # Whole rows are compared in half of the time.
    least = np.pad(np.floor(least).astype(bright.dtype), ((0, 0), (0, 2 * _EDGE)))
    for direction, responses in zip(_directions(), found, strict=True):
        there = (responses > least)[..., :width]
        # Counts of at most 64 fit into bytes.
        runs = _ahead(there.view(np.uint8), direction, limits.long, np.add)
        for own, count, steps in zip(there, runs, responses, strict=True):
            if count.max() <= _WHOLE * limits.long:
                continue
            response = steps[:, :width] / whole
            core = _centred(count > _WHOLE * limits.long, direction, limits.long)
            ratio = (response / around).clip(-limits.strong, 2 * limits.strong)
            core &= _mean(ratio, direction, limits.long) > limits.strong
            if not core.any():
                continue
            core &= _mean(response, direction, limits.long) > limits.contrast
            # From the middle of each piece to its ends.
            marked |= _along(core, direction, limits.long, np.logical_or) & own
    return marked


def _around(x: Plane, side: int) -> Plane:
    """Mean over each square; rows first, then columns, each in steps that double what a sum covers."""
    x = _framed(x.astype(np.result_type(x, np.int32), copy=False), side // 2)
    for axis in (1, 0):
        x = np.moveaxis(x, axis, 0)
        length, sums, done, covered = len(x) - side + 1, x, np.zeros_like(x[side - 1 :]), 0
        for power in range(side.bit_length()):
            if side >> power & 1:
                done += sums[covered : covered + length]
                covered += 1 << power
            if covered < side:
                sums = sums[: -(1 << power)] + sums[1 << power :]
        x = np.moveaxis(done, 0, axis)
    mean: Plane = x / np.float32(side**2)
    return mean


def _largest(x: Plane, side: int) -> Plane:
    """Maximum over each square; rows first, then columns, each in steps that double what a maximum covers."""
    for axis in (1, 0):
        covered = 1
        while covered < side:
            step = min(covered, side - covered)
            x = np.maximum(x[:, :-step], x[:, step:]) if axis else np.maximum(x[:-step], x[step:])
            covered += step
    return x


def _specks(bright: Plane, limits: Limits) -> Plane:
    """Small isolated residuals of a white or a black top-hat, below `_SPECK` pixels, (H, W) of bool."""
    half, rough = _SPECK // 2, None
    found = np.zeros(bright.shape, bool)
    for own in (bright, _STEPS - bright):
        eroded = -_largest(_framed(-own, half), _SPECK)
        hat = own - _largest(_framed(eroded, half), _SPECK)
        if hat.max() > limits.bright * _STEPS:
            rough = _around(np.abs(bright - _around(bright, 5)), _ALONE) if rough is None else rough
            core = (hat > limits.bright * _STEPS) & (hat > limits.plain * rough / 2)
            if not core.any():
                continue
            core &= hat > limits.plain * (_around(hat, _ALONE) + rough) / 2
            found |= _largest(np.pad(core, 2), 5) & (hat > limits.bright / 3 * _STEPS)
    return found
