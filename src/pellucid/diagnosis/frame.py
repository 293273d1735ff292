"""Plain frame around a picture: a mount, a white border, a caption's strip, the window of a screenshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_PLAIN, _MOSTLY = 0.9, 0.5
"""Share of constant windows in the innermost line of a frame, and least share in all of one side."""
_SAME = 1e-4
_LEAST = 32


@dataclass(frozen=True)
class Frame:
    """Rectangle inside a plain frame, in pixels; the ends lie outside.

    Attributes:
        top: first row.
        bottom: end of the rows.
        left: first column.
        right: end of the columns.
    """

    top: int
    bottom: int
    left: int
    right: int

    def inside(self, y: Tensor) -> Tensor:
        """Part of a picture, (..., H, W), inside the frame."""
        return y[..., self.top : self.bottom, self.left : self.right]

    def around(self, x: Tensor, y: Tensor) -> Tensor:
        """The picture y with another inside, x."""
        whole = y.clone()
        self.inside(whole).copy_(x)
        return whole

    @property
    def evidence(self) -> dict[str, float]:
        """The four sides."""
        return {"top": self.top, "bottom": self.bottom, "left": self.left, "right": self.right}


def find(image: Tensor, constant: Tensor) -> Frame | None:
    """Looks for a plain frame; evaluates no prior.

    A line of pixels belongs to a frame if nearly all windows in it are constant, and most of the windows outside it. So
    writing on a mount belongs to the frame. A line at the edge whose pixels are all equal belongs to it, too, which is
    how thin frames without a window are found.

    Args:
        image: one picture, (1, C, H, W).
        constant: whether each 3x3 window is constant, (H - 2, W - 2).

    Returns:
        None without a frame, or if less than 32 pixels are inside.
    """
    height, width = image.shape[-2:]
    sides = (0, height, 0, width)
    # Plain lines go first: beside a wide mount, the lines of a narrow photograph are mostly plain, too.
    for least in (_PLAIN, _MOSTLY):
        changed = True
        while changed:
            less = _less(image[0], constant, sides, least)
            changed, sides = less != sides, less
            if min(sides[1] - sides[0], sides[3] - sides[2]) < _LEAST:
                return None
    return Frame(*sides) if sides != (0, height, 0, width) else None


def _less(image: Tensor, constant: Tensor, sides: tuple[int, int, int, int], least: float) -> tuple[int, int, int, int]:
    """Sides of the part that remains without plain lines at the four sides; see `_cut`."""
    top, bottom, left, right = sides
    top, bottom = _cut(constant[:, left : right - 2], top, bottom, least)
    if bottom - top < _LEAST:
        return top, top, left, right
    left, right = _cut(constant[top : bottom - 2].T, left, right, least)
    top, bottom = _trimmed(image[..., left:right], top, bottom)
    left, right = _trimmed(image[:, top:bottom].mT, left, right)
    return top, bottom, left, right


def _cut(constant: Tensor, start: int, end: int, least: float) -> tuple[int, int]:
    """Rows inside a frame of constant windows, of those from start to end."""
    # Bytes are counted in a tenth of the time that truth values take.
    share = constant.view(torch.uint8).sum(1, dtype=torch.int32).double() / constant.shape[1]
    return max(start, _plain(share, least)), min(end, len(share) + 2 - _plain(share.flip(0), least))


def _plain(share: Tensor, least: float) -> int:
    """Number of rows of a frame at the beginning.

    Args:
        share: share of constant windows in each row of windows.
        least: least mean share of a row and all rows before it.
    """
    mean = (share.cumsum(0) / torch.arange(1, len(share) + 1)).cummin(0).values
    ends = ((share >= _PLAIN) & (mean >= least)).nonzero()
    # A row of windows covers three rows of pixels.
    return int(ends[-1]) + 3 if len(ends) else 0


def _trimmed(rows: Tensor, start: int, end: int) -> tuple[int, int]:
    """Rows of (C, H, W) without those at the start and at the end whose pixels are all equal."""
    if not rows.numel():
        return start, end
    number = end - start
    before = _even(number, lambda first, last: rows[:, start + first : start + last])
    if before == number:
        return start, start
    return start + before, end - _even(number, lambda first, last: rows[:, end - last : end - first].flip(1))


def _even(number: int, rows: Callable[[int, int], Tensor]) -> int:
    """Number of rows at the beginning whose pixels are all equal; a picture without a frame is read no further.

    Args:
        number: of all rows.
        rows: gives those from a first one to before a last one, (C, rows, W).
    """
    done, step = 0, 1
    while done < number:
        some = rows(done, min(done + step, number))
        uneven = (some.amax(-1) - some.amin(-1) > _SAME).any(0).nonzero()
        if len(uneven):
            return done + int(uneven[0])
        done, step = min(done + step, number), 2 * step
    return number
