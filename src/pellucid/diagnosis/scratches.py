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

import torch
import torch.nn.functional as F
from torch import Tensor

from ..maths.problem import to_unit
from ..support.ranges import percent
from .estimate import middle
from .spectrum import luminance

DIRECTIONS = 16

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
    bright = to_unit(luminance(image.float()))
    if min(bright.shape[-2:]) < limits.long:
        return torch.zeros(bright.shape[-2:], dtype=torch.bool, device=image.device)
    marked = _lines(bright[0, 0], limits) | _specks(bright, limits)[0, 0]
    return F.max_pool2d(marked.float()[None, None], 3, 1, 1)[0, 0] > 0


def measure(image: Tensor) -> Scratches:
    """Measures the shares of lines and specks, damage or not; uses the middle of a large picture.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    seen = middle(image, _MOST)
    bright = to_unit(luminance(seen.float()))
    if min(bright.shape[-2:]) < SURE.long:
        return Scratches(0.0, 0.0, 0.0)
    lines = _lines(bright[0, 0], SURE).float().mean().item()
    specks = _specks(bright, SURE).float().mean().item()
    found = Scratches(0.0, lines, specks)
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


def _along(x: Tensor, direction: tuple[float, float], length: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Joins the values along a line of a power of two of pixels, its middle at each pixel, (..., H, W)."""
    return _centred(_ahead(x, direction, length, join), direction, length)


def _ahead(x: Tensor, direction: tuple[float, float], length: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Joins the values along a line from each pixel on; the border replicates the edge."""
    right, down = direction
    steps = [(round(right * 2**power), round(down * 2**power)) for power in range(length.bit_length() - 1)]
    across, below = (sum(own) for own in zip(*steps, strict=True))
    framed = _extended(x, max(-across, 0), max(across, 0), below)
    # Its rows are one run of numbers, in which a shift is a distance: half of the time of shifts in two axes.
    joined, first = framed.flatten(), max(-across, 0)
    for along, under in steps:
        by = under * framed.shape[-1] + along
        joined = join(joined[: len(joined) - abs(by)], joined[abs(by) :])
        first -= max(-by, 0)
    return joined.as_strided(x.shape, framed.stride(), first)


def _extended(x: Tensor, left: int, right: int, below: int, above: int = 0) -> Tensor:
    """Pictures, (..., H, W), with so many more columns and rows, which replicate the edge."""
    height, width = x.shape[-2:]
    framed = x.new_empty(*x.shape[:-2], above + height + below, left + width + right)
    rows = framed[..., left : left + width]
    rows[..., above : above + height, :] = x
    rows[..., :above, :] = x[..., :1, :]
    rows[..., above + height :, :] = x[..., -1:, :]
    framed[..., :left] = rows[..., :1]
    framed[..., left + width :] = rows[..., -1:]
    return framed


def _centred(x: Tensor, direction: tuple[float, float], length: int, edge: int = 0) -> Tensor:
    """Moves what belongs to a line from its first pixel to its middle; adds so many pixels at each side."""
    height, width = x.shape[-2:]
    right, down = (round(share * (length - 1) / 2) for share in direction)
    right, down = max(min(right, width - 1), 1 - width), min(down, height - 1)
    kept = x[..., : height - down, max(-right, 0) : width - max(right, 0)]
    return _extended(kept, edge + max(right, 0), edge + max(-right, 0), edge, edge + down)


def _mean(x: Tensor, direction: tuple[float, float], length: int) -> Tensor:
    return _along(x, direction, length, torch.add) / length


def _directions() -> list[tuple[float, float]]:
    angles = [math.pi * number / DIRECTIONS for number in range(DIRECTIONS)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _differences(bright: Tensor, direction: tuple[float, float], usual: Tensor) -> tuple[Tensor, Tensor]:
    """Excess brightness and darkness of a line over both its sides.

    Args:
        bright: the picture, (H, W).
        direction: of the line.
        usual: takes six times the usual difference in addition, (H, W + 2 * `_EDGE`).

    Returns:
        (H, W + 2 * `_EDGE`) each; the last columns mean nothing.
    """
    right, down = direction
    height, pitch = usual.shape
    framed = _centred(_ahead(bright / _SHORT, direction, _SHORT, torch.add), direction, _SHORT, _EDGE)
    length, flat = height * pitch - 2 * _EDGE, framed.flatten()

    def moved(across: float, along: float) -> Tensor:
        # Whole rows are one run of numbers, in which a shift is a distance.
        first = (_EDGE + round(along)) * pitch + _EDGE + round(across)
        return flat[first : first + length]

    here, sum_ = moved(0, 0), usual.flatten()[:length]
    twice, high, low = 2 * here, torch.empty_like(here), torch.empty_like(here)
    responses = bright.new_zeros(2, height * pitch)
    brighter, darker = responses[:, :length]
    # Of the brighter side the least of all widths, of the darker side the most.
    for number, side in enumerate(_SIDES):
        one, other = moved(-down * side, right * side), moved(down * side, -right * side)
        torch.maximum(one, other, out=high if number else brighter)
        torch.minimum(one, other, out=low if number else darker)
        if number:
            torch.minimum(brighter, high, out=brighter)
            torch.maximum(darker, low, out=darker)
        sum_ += torch.add(one, other, out=high).sub_(twice).abs_()
    torch.sub(here, brighter, out=brighter)
    darker.sub_(here)
    excess, lack = responses.view(2, height, pitch)
    return excess, lack


def _lines(bright: Tensor, limits: Limits) -> Tensor:
    height, width = bright.shape
    usual = bright.new_zeros(height, width + 2 * _EDGE)
    found = [_differences(bright, direction, usual) for direction in _directions()]
    around = _around(usual[None, None, :, :width] / (2 * len(_SIDES) * DIRECTIONS), _AROUND)[0, 0] + _LEAST
    marked = torch.zeros_like(around, dtype=torch.bool)
    least = (around * limits.strong).clamp_min_(limits.contrast) * _FAINT
    # NumPy compares in a quarter of the time, whole rows in half of that.
    least_framed = F.pad(least, (0, 2 * _EDGE)).numpy()
    for direction, responses in zip(_directions(), found, strict=True):
        there = torch.stack([torch.from_numpy(one.numpy() > least_framed) for one in responses])[..., :width]
        # Counts of at most 64 fit into bytes.
        runs = _ahead(there.byte(), direction, limits.long, torch.add)
        for own, count, whole in zip(there, runs, responses, strict=True):
            if count.max() <= _WHOLE * limits.long:
                continue
            response = whole[:, :width]
            core = _centred(count > _WHOLE * limits.long, direction, limits.long)
            ratio = (response / around).clamp_(-limits.strong, 2 * limits.strong)
            core &= _mean(ratio, direction, limits.long) > limits.strong
            if not _some(core):
                continue
            core &= _mean(response, direction, limits.long) > limits.contrast
            # From the middle of each piece to its ends.
            marked |= _along(core, direction, limits.long, torch.logical_or) & own
    return marked


def _some(marks: Tensor) -> bool:
    """True if there is a mark; the largest byte is found in a fraction of the time of a search for a truth value."""
    return bool(marks.view(torch.uint8).max())


def _mirrored(x: Tensor, by: int) -> Tensor:
    return F.pad(x, (by,) * 4, mode="replicate")


def _around(x: Tensor, side: int) -> Tensor:
    """Mean over each square; rows first, then columns, each as the difference of two sums from the edge."""
    x = _mirrored(x, side // 2).double()
    for axis in (-1, -2):
        sums = F.pad(x.cumsum(axis), (1, 0) if axis == -1 else (0, 0, 1, 0))
        x = (sums.narrow(axis, side, sums.shape[axis] - side) - sums.narrow(axis, 0, sums.shape[axis] - side)) / side
    return x.float()


def _largest(x: Tensor, side: int) -> Tensor:
    """Maximum over each square; rows first, then columns, each in steps that double what a maximum covers."""
    for axis in (-1, -2):
        covered = 1
        while covered < side:
            step = min(covered, side - covered)
            length = x.shape[axis] - step
            x = torch.maximum(x.narrow(axis, 0, length), x.narrow(axis, step, length))
            covered += step
    return x


def _specks(bright: Tensor, limits: Limits) -> Tensor:
    """Small isolated residuals of a white or a black top-hat, below `_SPECK` pixels, (1, 1, H, W)."""
    half, rough = _SPECK // 2, None
    found = torch.zeros_like(bright, dtype=torch.bool)
    for own in (bright, 1 - bright):
        eroded = -_largest(_mirrored(-own, half), _SPECK)
        hat = own - _largest(_mirrored(eroded, half), _SPECK)
        if hat.max() > limits.bright:
            rough = _around((bright - _around(bright, 5)).abs(), _ALONE) if rough is None else rough
            core = (hat > limits.bright) & (hat > limits.plain * (_around(hat, _ALONE) + rough) / 2)
            found |= _largest(F.pad(core, (2,) * 4), 5) & (hat > limits.bright / 3)
    return found
