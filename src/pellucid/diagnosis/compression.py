r"""JPEG compression: from a file's tables, or from the pixels of a picture that was saved in another format.

The cosine coefficients of a decoded JPEG are multiples of its steps, except for the rounding of pixels. So for each
possible step t, every coefficient c that is not rounded to 0 gives a likelihood ratio: that of its distance r from the
nearest multiple to chance,

.. math:: \log\big((1 - \epsilon)\, t\, \mathcal N(r; 0, s^2) + \epsilon\big)

The sum over all frequencies decides between the tables of all qualities. Without clear evidence for one of them there
is no finding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import JpegCoding, Picture
from ..operators import Jpeg
from ..operators.jpeg import COLOURS, cosines, stored
from ..operators.quantised import narrowed
from .estimate import excerpt

MILD = 85
"""Quality from which other damage of a picture counts for more."""

_SIGMA, _OTHERS = 0.3, 0.05
_NEAR = 3 * _SIGMA
_STEPS, _BEST = 160, 97
_ENOUGH, _MOST, _LEAST = 4, 2048, 24
_EVIDENCE, _SHARE, _EACH = 60.0, 0.7, 0.35
_LEAD = 0.003
"""Least lead of a grid's offset over all others: coefficients of an even gradient are multiples of a step on any grid.

Even gradients, also dithered, have at most 0.0014, 179 compressed crops of 15 training photographs at least 0.040.
"""
_KNOWN = 6.0
_CLIPPED = 0.999
_WIDEST, _SIZES, _REACH = 512, 40, 3
_COARSER, _COARSER_EACH = 40.0, 0.05
_USUAL, _ROUNDED, _ELSE = 10.0, 0.45, 0.1
_GATHERED, _FEW, _FEWEST = 8.5, 512, 24
_QUALITIES = (5, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 60)
_GRID_SIDE = 512


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
    clear = _clear(y, whole)
    _, share = _told(_coefficients(_plane(y, 0, whole), whole.offset), clear, table)
    if clear.sum() >= _ENOUGH and 0 < share < 1 / 3:
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
    if min(y.shape[-2:]) < _LEAST or y.shape[1] not in (1, 3):
        return None
    grey = bool((y == y[:, :1]).all())
    plain = JpegCoding(((1,) * 64,))
    shares = _shares(_plane(excerpt(y, _GRID_SIDE), 0, plain))
    first, second = shares.flatten().topk(2).values.tolist()
    if first - second < _LEAD:
        return None
    offset = divmod(int(shares.argmax()), 8)
    coding = replace(plain, offset=offset)
    # Without the means, which in flat areas are a multiple of anything.
    comb = _comb(_coefficients(_plane(y, 0, plain), offset) * (torch.arange(64) > 0), _clear(y, coding))
    table, score = comb.standard(0)
    counted = comb.counted(table)
    share = comb.share(table)
    if score < _EVIDENCE or share < _SHARE or score < _EACH * counted:
        return None
    table = comb.own(table, score)
    numbers = {"log-likelihood": score, "share": share, "lead": first - second}
    confidence = 1 / (1 + math.exp(-20 * (share - _SHARE) - score / _EVIDENCE))
    coding = replace(coding, tables=(table,)) if grey else _colours(y, replace(coding, tables=(table,)))
    earlier = before(y, coding)
    return Compression(coding, confidence=confidence, numbers=numbers, clear=clear_share(y, coding), before=earlier)


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
    plane = _plane(y, 0, whole)
    if min(plane.shape) < _LEAST:
        return None
    return _aligned(_some(_coefficients(plane, offset), _clear(y, whole)), coding) or _shifted(plane, offset, coding)


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

    def between(low: Tensor, high: Tensor) -> Tensor:
        return (-low / spread).exp() - (-high / spread).exp()

    once = between(sizes - 0.5, sizes + 0.5)
    once, best = once / once.sum(1, keepdim=True), (max(_COARSER, _COARSER_EACH * counts.sum().item()), 0)
    deviation = _ROUNDED / step[:, None, None]
    # A multiple is rounded to one of the numbers around it: others are five deviations away or more.
    edges = torch.arange(-_REACH - 0.5, _REACH + 1)
    for number, table in enumerate(_standard(0)[: max(quality(coding) - 3, 0)], 1):
        ratio = table[1:, None][there] / step[:, None]
        # Larger multiples are beyond all numbers that count.
        multiples = sizes[: math.ceil((_SIZES + _REACH) / ratio.min().item())]
        mass = between((multiples - 0.5) * ratio, (multiples + 0.5) * ratio)
        nearest = (multiples * ratio).round()
        away = edges + (nearest - multiples * ratio)[..., None]
        share = torch.special.ndtr(away / deviation).diff()
        numbers = (nearest[..., None] + edges[:-1] + 0.5).clamp(0, _SIZES).long()
        twice = torch.zeros(len(step), _SIZES + 1).scatter_add_(
            1, numbers.flatten(1), (share * mass[..., None]).flatten(1)
        )
        twice = twice[:, 1:_SIZES]
        twice = twice / twice.sum(1, keepdim=True).clamp_min(1e-9)
        mixed = (1 - _ELSE) * twice / once.clamp_min(1e-12) + _ELSE
        usual = 0.0 if number % 5 else _USUAL
        best = max(best, ((counts * mixed.log()).sum().item() + usual, number))
    return Before(best[1], True, best[0]) if best[1] else None


def _shifted(plane: Tensor, offset: tuple[int, int], coding: JpegCoding) -> Before | None:
    """A compression on other blocks: their coefficients gather about the multiples of its steps.

    The mean of cos(2 pi c / step) over the coefficients c that it would not round to 0, in standard errors of chance.
    """
    tables = _standard(0)[[number - 1 for number in _QUALITIES]].clone()
    tables[:, 0] = math.inf
    best = (_GATHERED, 0)
    for row in range(8):
        for column in range(8):
            if row == offset[0] or column == offset[1]:
                continue
            coefficients = _coefficients(plane, (row, column), -(-plane.numel() // 64 // _FEW) or 1)
            # Those that the finest table rounds to 0, which are most, are rounded to 0 by the others, too.
            large = (coefficients.abs() > tables[-1] / 2).nonzero(as_tuple=True)
            ratios = coefficients[large] / tables.index_select(1, large[1])
            chosen = ratios.abs() > 0.5
            counts = chosen.count_nonzero(1)
            sums = ((2 * math.pi * ratios).cos_() * chosen).sum(1)
            for number, count, total in zip(_QUALITIES, counts.tolist(), sums.tolist(), strict=True):
                if count >= _FEWEST:
                    best = max(best, (total / math.sqrt(count / 2), number))
    return Before(best[1], False, best[0]) if best[1] and best[1] < quality(coding) else None


def clear_share(y: Tensor, coding: JpegCoding) -> float:
    """Share of blocks without clipped pixels in one picture, (1, C, H, W) in [-1, 1]; 1 without blocks."""
    clear = _clear(y, replace(coding, shrunk=(1, 1)))
    return clear.float().mean().item() if len(clear) else 1.0


def quality(coding: JpegCoding) -> int:
    """Quality, 1 to 100, of the standard table of brightness nearest to a coding's."""
    distance = (_standard(0).log() - torch.tensor(coding.tables[0]).float().log()).abs().sum(1)
    return int(distance.argmin()) + 1


@lru_cache(maxsize=2)
def _standard(component: int) -> Tensor:
    """Standard tables at all qualities, (100, 64)."""
    return torch.tensor([Jpeg(number).coding.tables[component] for number in range(1, 101)]).float()


@dataclass(frozen=True)
class _Comb:
    """Evidence of one component's coefficients for each step, (64, steps): log-likelihoods and counts."""

    logarithm: Tensor
    used: Tensor
    near: Tensor

    def _of(self, values: Tensor, table: tuple[int, ...]) -> float:
        steps = torch.tensor(table).clamp(max=_STEPS) - 1
        return values.gather(1, steps[:, None]).sum().item()

    def counted(self, table: tuple[int, ...]) -> float:
        """Number of coefficients that a table rounds to a number other than 0."""
        return self._of(self.used, table)

    def share(self, table: tuple[int, ...]) -> float:
        """Share of them that lie near a multiple of its steps."""
        return self._of(self.near, table) / max(self.counted(table), 1.0)

    def standard(self, component: int) -> tuple[tuple[int, ...], float]:
        """Likeliest standard table, and its log-likelihood ratio to no compression."""
        tables = _standard(component)[:_BEST].clamp(max=_STEPS).long()
        scores = self.logarithm.T.gather(0, tables - 1).sum(1)
        best = int(scores.argmax())
        return tuple(_standard(component)[best].long().tolist()), scores[best].item()

    def own(self, table: tuple[int, ...], score: float) -> tuple[int, ...]:
        """Table with separately estimated steps, if much likelier than the standard one; else the standard one."""
        best = self.logarithm.max(1)
        if best.values.sum().item() < 1.25 * score + _EVIDENCE:
            return table
        sure = best.values > _KNOWN
        steps = best.indices + 1
        ratio = (steps[sure] / torch.tensor(table)[sure]).median()
        others = (torch.tensor(table) * ratio).round().clamp(1, 255)
        return tuple(int(step) for step in torch.where(sure, steps, others))


def _some(coefficients: Tensor, clear: Tensor) -> Tensor:
    """Selects at most so many (N, 64) coefficients, preferably of blocks without clipped pixels."""
    if clear.sum() >= _ENOUGH:
        coefficients = coefficients[clear]
    return coefficients[:: -(-len(coefficients) // _MOST) or 1]


def _evidence(coefficients: Tensor, step: Tensor | float) -> tuple[Tensor, Tensor]:
    """Log-likelihood ratio of a step for each coefficient, and marks of those near a multiple of it."""
    off = (coefficients - step * (coefficients / step).round()).abs()
    peak = (1 - _OTHERS) * step / (_SIGMA * math.sqrt(2 * math.pi)) * (-0.5 * (off / _SIGMA).square()).exp()
    return (peak + _OTHERS).log(), off < _NEAR


def _told(coefficients: Tensor, clear: Tensor, table: tuple[int, ...]) -> tuple[float, float]:
    """Log-likelihood of one table, and the share of coefficients near a multiple."""
    coefficients, steps = _some(coefficients, clear), torch.tensor(table).float()
    used = coefficients.abs() > steps / 2
    logarithm, near = _evidence(coefficients[used], steps.expand_as(coefficients)[used])
    return logarithm.sum().item(), near.sum().item() / max(len(near), 1.0)


def _comb(coefficients: Tensor, clear: Tensor) -> _Comb:
    """Evidence of (N, 64) coefficients for every step."""
    coefficients = _some(coefficients, clear)
    logarithm, used, near = (torch.zeros(64, _STEPS) for _ in range(3))
    # Those that a step rounds to 0 count for no larger one, either, and soon they are nearly all.
    places, values = torch.arange(64).expand_as(coefficients).flatten(), coefficients.flatten()
    for step in range(1, _STEPS + 1):
        large = values.abs() > step / 2
        places, values = places[large], values[large]
        one, close = _evidence(values, step)
        logarithm[:, step - 1] = torch.bincount(places, one.double(), 64)
        used[:, step - 1] = torch.bincount(places, minlength=64)
        near[:, step - 1] = torch.bincount(places[close], minlength=64)
    return _Comb(logarithm, used, near)


def _plane(y: Tensor, component: int, coding: JpegCoding) -> Tensor:
    """One component of one picture as in the file, (H, W), relative to 128."""
    image = stored(y[0].float(), coding.orientation) * 127.5 - 0.5
    if len(image) == 1:
        return image[0]
    plane: Tensor = torch.tensordot(torch.tensor(COLOURS[component]), image, 1)
    return plane


def _coefficients(plane: Tensor, offset: tuple[int, int], step: int = 1) -> Tensor:
    """Cosine coefficients of every `step`-th of the whole blocks, (N, 64)."""
    return _cut(plane, offset, 8, step) @ _transform()


@lru_cache(maxsize=1)
def _transform() -> Tensor:
    """The two-dimensional cosine transform as one matrix to multiply flat blocks by, (64, 64)."""
    matrix = cosines()
    return torch.kron(matrix, matrix).T.float().contiguous()


def _cut(plane: Tensor, offset: tuple[int, int], side: int, step: int = 1) -> Tensor:
    """Every `step`-th of the whole blocks of a plane, (N, side * side)."""
    plane = plane[offset[0] :, offset[1] :]
    height, width = (size // side * side for size in plane.shape)
    blocks = plane[:height, :width].unflatten(-1, (-1, side)).unflatten(0, (-1, side)).transpose(1, 2)
    if step > 1:
        places = torch.arange(0, blocks.shape[0] * blocks.shape[1], step)
        blocks = blocks[places // blocks.shape[1], places % blocks.shape[1]][None]
    cut: Tensor = blocks.flatten(0, 1).flatten(1)
    return cut


def _clear(y: Tensor, coding: JpegCoding) -> Tensor:
    """Marks the blocks of a component, reduced as the coding says, that have no clipped pixel, (N,)."""
    clipped = (stored(y[0], coding.orientation).abs() > _CLIPPED).any(0).float()
    rows, columns = (at % by for at, by in zip(coding.offset, coding.shrunk, strict=True))
    clipped = clipped[rows:, columns:]
    reduced = clipped if coding.shrunk == (1, 1) else F.max_pool2d(clipped[None, None], coding.shrunk)[0, 0]
    return _cut(reduced, _reduced(coding), 8).sum(1) == 0


def _reduced(coding: JpegCoding) -> tuple[int, int]:
    """First pixel of the blocks of the reduced colours."""
    (row, column), (tall, wide) = coding.offset, coding.shrunk
    return row // tall, column // wide


def _colours(y: Tensor, coding: JpegCoding) -> JpegCoding:
    """Coding of brightness, extended by the colours with the reduction that explains most of them."""
    row, column = coding.offset
    guesses = [
        replace(coding, shrunk=(tall, wide), offset=(down, along))
        for tall, wide in ((2, 2), (1, 1), (1, 2))
        for down in range(row, 8 * tall, 8)
        for along in range(column, 8 * wide, 8)
    ]
    usual = tuple(_standard(1)[quality(coding) - 1].long().tolist())
    best, most, near = guesses[0], 0.0, 0.0
    numbers = {guess: _colour_numbers(y, guess) for guess in guesses}
    for guess in guesses:
        score, share = _told(*numbers[guess], usual)
        if score > most:
            best, most, near = guess, score, share
    table = usual
    if near < _SHARE:
        # The colours may have a table of another quality, or of nobody else's.
        for guess in guesses:
            comb = _comb(*numbers[guess])
            other, score = comb.standard(1)
            if score > most + _EVIDENCE:
                best, most, table = guess, score, comb.own(other, score)
    if most < 4 * _EVIDENCE:
        # Hardly any of the colours' numbers are not 0: where their blocks begin, most are.
        alike = [guess for guess in guesses if guess.shrunk == best.shrunk]
        best = max(alike, key=lambda guess: (numbers[guess][0].abs() < 0.5).float().mean().item())
    return replace(best, tables=(*coding.tables, table, table))


def _colour_numbers(y: Tensor, coding: JpegCoding) -> tuple[Tensor, Tensor]:
    """Coefficients of both colours, and a mark for blocks without clipped pixels."""
    at = _reduced(coding)
    numbers = [_coefficients(_samples(_plane(y, component, coding), coding), at) for component in (1, 2)]
    return torch.cat(numbers), _clear(y, coding).repeat(2)


def _samples(plane: Tensor, coding: JpegCoding) -> Tensor:
    """A plane of colours before a decoder's enlargement."""
    rows, columns = (at % by for at, by in zip(coding.offset, coding.shrunk, strict=True))
    samples = F.avg_pool2d(plane[None, None, rows:, columns:], coding.shrunk)[0, 0]
    for axis, by in zip((-2, -1), coding.shrunk, strict=True):
        samples = narrowed(samples[None], axis)[0] if by == 2 else samples
    return samples


def _shares(plane: Tensor) -> Tensor:
    """Share of coefficients that are nearly 0, for each offset of the blocks, (8, 8); without the means."""
    shares, matrix = torch.zeros(8, 8), cosines().float()
    for column in range(8):
        # Along the rows once for all offsets of the rows.
        cut = plane[:, column:]
        along = (cut[:, : cut.shape[1] // 8 * 8].unflatten(1, (-1, 8)) @ matrix.T).flatten(1)
        for row in range(8):
            own = along[row : row + (len(along) - row) // 8 * 8].unflatten(0, (-1, 8))
            small = (matrix @ own).abs_() < 0.5
            means = small[:, 0, ::8]
            shares[row, column] = (small.count_nonzero() - means.count_nonzero()) / (small.numel() - means.numel())
    return shares
