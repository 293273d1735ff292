"""A coarser JPEG compression before the last one, on the same blocks or on others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..images import JpegCoding
from ..operators.jpeg import stored
from .coefficients import LEAST, clear_blocks, cosines_of, plane_of, quality, some, standard_tables

_WIDEST, _SIZES, _REACH = 512, 40, 3
_COARSER, _COARSER_EACH = 40.0, 0.05
_USUAL, _ROUNDED, _ELSE = 10.0, 0.45, 0.1
_TELLING, _TABLES = 12, 8
"""Frequencies that rule out most tables, and tables that are tried at once."""
_GATHERED, _FEW, _FEWEST = 8.5, 512, 24
_QUALITIES = (5, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 60)


@dataclass(frozen=True)
class Before:
    """A coarser compression before the last one.

    Attributes:
        quality: quality of its standard table of brightness.
        aligned: whether its blocks have the same offset as the last one's.
        score: log-likelihood ratio to no earlier compression if aligned, else the score of `_shifted`.
    """

    quality: int
    aligned: bool
    score: float

    @property
    def text(self) -> str:
        """Its quality and the position of its blocks."""
        return f"quality {self.quality}" + ("" if self.aligned else " on another grid")

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding."""
        return {"before": self.quality, "before aligned": float(self.aligned), "before score": self.score}


def before(image: Tensor, coding: JpegCoding) -> Before | None:
    """Looks for a coarser compression before the last one; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        coding: coding of its last compression.

    Returns:
        The likelier of a compression on the same blocks and one on others; None if neither is clear. Blocks that share
        rows or columns with the last one's are not tested.
    """
    offset = (coding.offset[0] % 8, coding.offset[1] % 8)
    y = stored(image[0], coding.orientation)[None]
    whole = replace(coding, shrunk=(1, 1), orientation=1, offset=offset)
    # Cut at a multiple of 8, so that the offset stays what it is.
    rows, columns = (max(size - _WIDEST, 0) // 16 * 8 for size in y.shape[-2:])
    y = y[..., rows : rows + _WIDEST, columns : columns + _WIDEST].detach().cpu().float()
    plane = plane_of(y, 0, whole)
    if min(plane.shape) < LEAST:
        return None
    return _aligned(some(cosines_of(plane, offset), clear_blocks(y, whole)), coding) or _shifted(plane, offset, coding)


def _aligned(coefficients: Tensor, coding: JpegCoding) -> Before | None:
    r"""A coarser compression on the same blocks: it leaves gaps among the numbers k that the last one rounds to.

    With one compression the sizes k decay exponentially, as the cosine coefficients of photographs do. After a step r
    times as large the same density lies on the multiples m r, each rounded again. The sum over all k of the log-ratio
    of both probabilities decides. Most files have a quality that is a multiple of 5.
    """
    step = torch.tensor(coding.tables[0])[1:].float()
    k = (coefficients[:, 1:] / step).round().abs().clamp_max(_SIZES).int()
    sizes = torch.arange(1.0, _SIZES)
    places = k + (_SIZES + 1) * torch.arange(len(step), dtype=torch.int)
    counts = (
        torch.bincount(places.flatten(), minlength=len(step) * (_SIZES + 1)).view(len(step), -1)[:, 1:_SIZES].float()
    )
    # Frequencies without any number tell nothing.
    there = counts.sum(1) > 0
    if not there.any():
        return None
    counts, step = counts[there], step[there]
    spread = ((counts * sizes).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp_min(1) - 0.5).clamp(0.3, 50)
    once = _between(sizes - 0.5, sizes + 0.5, spread)
    once, best = once / once.sum(1, keepdim=True), (max(_COARSER, _COARSER_EACH * counts.sum().item()), 0)
    tables = standard_tables(0)[: max(quality(coding) - 3, 0), 1:][:, there]
    usual = torch.where(torch.arange(1, len(tables) + 1) % 5 > 0, 0.0, _USUAL)
    # No table explains the numbers of a frequency better than their own distribution. With this bound for the others,
    # a few frequencies rule out most tables.
    known, most = (step, spread, counts, once), _own_ratio(counts, once)
    some = most.argsort(descending=True)[:_TELLING]
    rest = most.sum() - most[some].sum()
    few = [_ratio(own[:, some], *(one[some] for one in known)) for own in tables.split(_TABLES)]
    possible = torch.cat(few) + usual + rest > best[0] if few else torch.zeros(0)
    for at in possible.nonzero()[:, 0].tolist():
        score = _ratio(tables[at : at + 1], *known).item() + usual[at].item()
        best = max(best, (score, at + 1))
    return Before(best[1], True, best[0]) if best[1] else None


def _between(low: Tensor, high: Tensor, spread: Tensor) -> Tensor:
    """Probability of sizes that decay exponentially."""
    return (-low / spread).exp() - (-high / spread).exp()


def _ratio(tables: Tensor, step: Tensor, spread: Tensor, counts: Tensor, once: Tensor) -> Tensor:
    """Log-likelihood ratio of each of some earlier tables, (T, n), to none, for n frequencies; see `_aligned`.

    Args:
        tables: steps of the earlier compression.
        step: those of the last one, (n,).
        spread: mean size of the numbers, (n, 1).
        counts: of the numbers by size, (n, sizes).
        once: probability of the sizes after one compression, (n, sizes).
    """
    ratio = (tables / step)[..., None]
    # Larger multiples are beyond all numbers that count.
    multiples = torch.arange(1.0, _SIZES)[: math.ceil((_SIZES + _REACH) / ratio.min().item())]
    mass = _between((multiples - 0.5) * ratio, (multiples + 0.5) * ratio, spread)
    # A multiple is rounded to one of the numbers around it: others are five deviations away or more.
    edges = torch.arange(-_REACH - 0.5, _REACH + 1)
    nearest = (multiples * ratio).round()
    away = edges + (nearest - multiples * ratio)[..., None]
    share = torch.special.ndtr(away / (_ROUNDED / step[:, None, None])).diff()
    numbers = (nearest[..., None] + edges[:-1] + 0.5).clamp(0, _SIZES).long()
    twice = torch.zeros(*tables.shape, _SIZES + 1)
    twice = twice.scatter_add_(2, numbers.flatten(2), (share * mass[..., None]).flatten(2))[..., 1:_SIZES]
    twice = twice / twice.sum(2, keepdim=True).clamp_min(1e-9)
    mixed = (1 - _ELSE) * twice / once.clamp_min(1e-12) + _ELSE
    return (counts * mixed.log()).sum((1, 2))


def _own_ratio(counts: Tensor, expected: Tensor) -> Tensor:
    """Log-likelihood ratio of the distributions that counts have to the expected ones, (n, sizes) each, (n,)."""
    own = counts / counts.sum(1, keepdim=True)
    return torch.where(counts > 0, counts * (own / expected.clamp_min(1e-12)).log(), 0).sum(1)


def _shifted(plane: Tensor, offset: tuple[int, int], coding: JpegCoding) -> Before | None:
    """A compression on other blocks: their coefficients gather about the multiples of its steps.

    The mean of cos(2 pi c / step) over the coefficients c that it would not round to 0, in standard errors of chance.
    """
    tables = standard_tables(0)[[number - 1 for number in _QUALITIES]].clone()
    tables[:, 0] = math.inf
    best, turns, limits = (_GATHERED, 0), (2 * math.pi / tables).numpy(), (tables[-1] / 2).numpy()
    for row in range(8):
        for column in range(8):
            if row == offset[0] or column == offset[1]:
                continue
            coefficients = cosines_of(plane, (row, column), -(-plane.numel() // 64 // _FEW) or 1).numpy()
            # Those that the finest table rounds to 0, which are most, are rounded to 0 by the others, too.
            # NumPy compares and counts in a fifth of the time.
            large = np.flatnonzero(np.abs(coefficients) > limits)
            angles = coefficients.ravel()[large] * turns.take(large % 64, 1)
            chosen = np.abs(angles) > math.pi
            sums = np.einsum("ij,ij->i", np.cos(angles), chosen.astype(np.float32))
            for number, own, total in zip(_QUALITIES, chosen, sums.tolist(), strict=True):
                count = np.count_nonzero(own)
                if count >= _FEWEST:
                    best = max(best, (total / math.sqrt(count / 2), number))
    return Before(best[1], False, best[0]) if best[1] and best[1] < quality(coding) else None
