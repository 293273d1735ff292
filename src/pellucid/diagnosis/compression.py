"""JPEG compression: from a file's tables, or from the pixels of a picture that was saved in another format.

The sum of the evidence of all frequencies (`Comb`) decides between the tables of all qualities. Without clear evidence
for one of them there is no finding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import JpegCoding, Picture
from ..operators.jpeg import cosines, stored
from ..operators.quantised import narrowed
from .coefficients import (
    ENOUGH,
    LEAST,
    clear_blocks,
    clear_share,
    cosines_of,
    first_reduced,
    plane_of,
    quality,
    standard_tables,
)
from .estimate import excerpt
from .recompression import Before, before
from .steps import EVIDENCE, comb_of, evidence_of

MILD = 85
"""Quality from which other damage of a picture counts for more."""

_SHARE, _EACH = 0.7, 0.35
_LEAD = 0.003
"""Least lead of a grid's offset over all others: coefficients of an even gradient are multiples of a step on any grid.

Even gradients, also dithered, have at most 0.0014, 179 compressed crops of 15 training photographs at least 0.040.
"""
_GRID_SIDE = 512
_TALL, _STEP, _LEAD_OF_SOME = 256, 4, 0.01
"""Rows from which every so many rows of blocks are looked at first, and the least lead there to look at all.

Of 117 crops of training photographs that were no JPEG, or an enlarged one, it is at most 0.013 in these rows, of 115
JPEGs at least 0.032. Both are as in all rows.
"""


@dataclass(frozen=True)
class Compression:
    """JPEG compression of one picture, the last one of several.

    Attributes:
        coding: its tables, the reduction of the colours, and the offset of its blocks.
        told: whether the evidence is the file; else it is the pixels.
        confidence: see `Finding`.
        numbers: numbers behind the confidence.
        clear: share of blocks without clipped pixels. For text on white it is nearly 0, and rounded values are lost.
        before: a coarser earlier compression, if one is visible.
    """

    coding: JpegCoding
    told: bool = False
    confidence: float = 1.0
    numbers: dict[str, float] = field(default_factory=dict, compare=False)
    clear: float = 1.0
    before: Before | None = None

    @property
    def quality(self) -> int:
        """Quality, 1 to 100, of the nearest standard table of brightness."""
        return quality(self.coding)

    @property
    def harmful(self) -> bool:
        """True if it lost something noticeable: the quality is not the finest, and not nearly everything is clipped."""
        return self.quality <= HARMLESS and self.clear >= LEAST_CLEAR

    @property
    def old(self) -> bool:
        """True if only the pixels show it, and it was fine: its owner takes the picture for the clean one."""
        return not self.told and self.quality >= OLD and (self.before is None or self.before.quality >= OLD)

    @property
    def text(self) -> str:
        """Quality and subsampling."""
        kind = "grey" if len(self.coding.tables) == 1 else _NAMES.get(self.coding.shrunk, "colours reduced")
        before = f", after {self.before.text}" if self.before is not None else ""
        return f"JPEG quality {self.quality}, {kind}{before}"

    @property
    def remedy(self) -> str:
        """The task; empty if it would change nothing."""
        return "--task jpeg" if self.harmful else ""

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding, with the quality and the offset of its blocks."""
        row, column = self.coding.offset
        before = self.before.evidence if self.before is not None else {}
        own = {"quality": self.quality, "row": row, "column": column, "file": float(self.told)}
        return {**own, **self.numbers, **before}


LEAST_CLEAR = 0.01
"""Share of blocks without clipped pixels below which nothing is done: text on white has 0 and came back 2 dB worse.

Two of a hundred photographs have less than 0.1, such as snow or a night. Nine of these among 500 training photographs,
reduced by 2, gain 0.2 to 1.2 dB at quality 30 and 75.
"""

HARMLESS = 93
"""Quality above which nothing is done."""

OLD = 70
"""Quality from which compression that only the pixels show is left alone, unless it is asked for."""

_NAMES = {(2, 2): "4:2:0", (1, 2): "4:2:2", (1, 1): "4:4:4", (2, 1): "4:4:0", (1, 4): "4:1:1"}


def of(picture: Picture) -> Compression | None:
    """Compression of a picture from its file; None if the file was no JPEG or the pixels have changed."""
    if picture.jpeg is None:
        return None
    # As the file stores it, so that what is looked at of a large picture keeps to the grid of its blocks.
    # Its bytes become numbers afterwards, which of a large picture are few.
    pixels = stored(torch.tensor(picture.colour).permute(2, 0, 1), picture.jpeg.orientation)
    y = excerpt(pixels[None]).float().contiguous() / 255 * 2 - 1
    seen, table = replace(picture.jpeg, orientation=1), picture.jpeg.tables[0]
    whole = replace(seen, shrunk=(1, 1))
    clear = clear_blocks(y, whole)
    _, share = evidence_of(cosines_of(plane_of(y, 0, whole), whole.offset), clear, table)
    if clear.sum() >= ENOUGH and 0 < share < 1 / 3:
        return None
    return replace(known(y, seen), coding=picture.jpeg, numbers={"share": share})


def known(y: Tensor, coding: JpegCoding) -> Compression:
    """Finding of a picture with a known last coding.

    Args:
        y: one picture, (1, C, H, W) in [-1, 1].
        coding: of its file.
    """
    return Compression(coding, told=True, clear=clear_share(y, coding), before=before(y, coding))


def estimate(image: Tensor) -> Compression | None:
    """Estimates from the pixels whether and how a picture was compressed as a JPEG; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    y = excerpt(image).cpu().float()
    if min(y.shape[-2:]) < LEAST or y.shape[1] not in (1, 3):
        return None
    grey = bool((y == y[:, :1]).all())
    plain = JpegCoding(((1,) * 64,))
    plane = plane_of(excerpt(y, _GRID_SIDE), 0, plain)
    if len(plane) >= _TALL and _lead(_shares(_some_rows(plane))) < _LEAD_OF_SOME:
        return None
    shares = _shares(plane)
    lead = _lead(shares)
    if lead < _LEAD:
        return None
    offset = divmod(int(shares.argmax()), 8)
    coding = replace(plain, offset=offset)
    # Without the means, which in flat areas are a multiple of anything.
    comb = comb_of(cosines_of(plane_of(y, 0, plain), offset) * (torch.arange(64) > 0), clear_blocks(y, coding))
    table, score = comb.standard(0)
    counted = comb.counted(table)
    share = comb.share(table)
    if score < EVIDENCE or share < _SHARE or score < _EACH * counted:
        return None
    table = comb.own(table, score)
    numbers = {"log-likelihood": score, "share": share, "lead": lead}
    confidence = 1 / (1 + math.exp(-20 * (share - _SHARE) - score / EVIDENCE))
    coding = replace(coding, tables=(table,)) if grey else _colours(y, replace(coding, tables=(table,)))
    earlier = before(y, coding)
    return Compression(coding, confidence=confidence, numbers=numbers, clear=clear_share(y, coding), before=earlier)


def _colours(y: Tensor, coding: JpegCoding) -> JpegCoding:
    """Coding of brightness, extended by the colours with the reduction that explains most of them."""
    row, column = coding.offset
    guesses = [
        replace(coding, shrunk=(tall, wide), offset=(down, along))
        for tall, wide in ((2, 2), (1, 1), (1, 2))
        for down in range(row, 8 * tall, 8)
        for along in range(column, 8 * wide, 8)
    ]
    usual = tuple(standard_tables(1)[quality(coding) - 1].long().tolist())
    best, most, near = guesses[0], 0.0, 0.0
    numbers = {guess: _colour_numbers(y, guess) for guess in guesses}
    for guess in guesses:
        score, share = evidence_of(*numbers[guess], usual)
        if score > most:
            best, most, near = guess, score, share
    table = usual
    if near < _SHARE:
        # The colours may have a table of another quality, or of nobody else's.
        for guess in guesses:
            comb = comb_of(*numbers[guess])
            other, score = comb.standard(1)
            if score > most + EVIDENCE:
                best, most, table = guess, score, comb.own(other, score)
    if most < 4 * EVIDENCE:
        # Hardly any of the colours' numbers are not 0: where their blocks begin, most are.
        alike = [guess for guess in guesses if guess.shrunk == best.shrunk]
        best = max(alike, key=lambda guess: (numbers[guess][0].abs() < 0.5).float().mean().item())
    return replace(best, tables=(*coding.tables, table, table))


def _colour_numbers(y: Tensor, coding: JpegCoding) -> tuple[Tensor, Tensor]:
    """Coefficients of both colours, and a mark for blocks without clipped pixels."""
    at = first_reduced(coding)
    numbers = [cosines_of(_samples(plane_of(y, component, coding), coding), at) for component in (1, 2)]
    return torch.cat(numbers), clear_blocks(y, coding).repeat(2)


def _samples(plane: Tensor, coding: JpegCoding) -> Tensor:
    """A plane of colours before a decoder's enlargement."""
    rows, columns = (at % by for at, by in zip(coding.offset, coding.shrunk, strict=True))
    samples = F.avg_pool2d(plane[None, None, rows:, columns:], coding.shrunk)[0, 0]
    for axis, by in zip((-2, -1), coding.shrunk, strict=True):
        samples = narrowed(samples[None], axis)[0] if by == 2 else samples
    return samples


def _lead(shares: Tensor) -> float:
    """Lead of the largest share over all others."""
    first, second = shares.flatten().topk(2).values.tolist()
    return float(first - second)


def _some_rows(plane: Tensor) -> Tensor:
    """Rows of every `_STEP`-th row of blocks on any grid, (n, 15, W)."""
    return plane.unfold(0, 15, 8 * _STEP).mT


def _shares(plane: Tensor) -> Tensor:
    """Share of coefficients that are nearly 0, for each offset of the blocks, (8, 8); without the means.

    Args:
        plane: one component, (H, W), or parts of it that have each offset once, (n, 15, W).
    """
    shares, matrix = torch.zeros(8, 8), cosines().float()
    for column in range(8):
        # Along the rows once for all offsets of the rows.
        cut = plane[..., column:]
        along = (cut[..., : cut.shape[-1] // 8 * 8].unflatten(-1, (-1, 8)) @ matrix.T).flatten(-2)
        for row in range(8):
            end = (along.shape[-2] - row) // 8 * 8
            own = along[..., row : row + end, :].unflatten(-2, (-1, 8))
            # NumPy compares and counts in a fifth of the time.
            small = (matrix @ own).abs_().numpy() < np.float32(0.5)
            means = small[..., 0, ::8]
            shares[row, column] = (np.count_nonzero(small) - np.count_nonzero(means)) / (small.size - means.size)
    return shares
