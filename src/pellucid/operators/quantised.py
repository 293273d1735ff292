r"""JPEG's quantisation as a linear operator with an exact decomposition, and the cells of its rounding.

An encoder turns RGB into brightness and colours, averages the colours over r x c pixels, takes the cosine transform of
blocks of 8 x 8, divides by the table's steps and rounds. Everything except the rounding is linear, with one matrix for
every macroblock of 8 r x 8 c pixels: 384 x 768 at 4:2:0, decomposed once for a table. Rounding moves each number by at
most a half: the original lies in the cell :math:`q - 1/2 \le A x \le q + 1/2`. As noise, its variance is 1/12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..images import JpegCoding, turns
from ..maths.few import means
from .clipped import beyond, unclipped
from .jpeg import COLOURS, cosines, stored, upright
from .macroblock import Part, decomposed, divided, mixing, plane_changes, transforms
from .operator import Operator, Shape, Svd, by_image

SIGMA = 12**-0.5
"""Standard deviation of the rounding error in steps."""

_SWEEPS = 16
_LINES, _CACHED = 32, 2**16
_COLOURED = 128
_STRIP = 2**20
"""Pixels whose blocks are transformed at once, which bounds the memory."""


class Quantised(Operator):
    """JPEG's rounding: images (B, C, H, W) in [-1, 1] to cosine coefficients in steps, (B, blocks, numbers).

    Incomplete macroblocks repeat the edge, as in encoders. A picture with an offset begins within a macroblock; the
    part before the picture also repeats the edge.

    Args:
        coding: the tables, and the reduction of the colours.
        shape: of one image, (C, H, W), upright; C is 1 or 3. With one table, the mean of three channels is coded.
        apart: whether `nearest` and `within` measure a change as one of brightness, which is grey, and of two colours.
            In RGB the shortest change of the brightness is green, and where colours are reduced nothing opposes that.

    Raises:
        UsageError: C is another number, or one channel was coded as three.

    Example:
        >>> operator, y = operators.Jpeg(30).linear_of(torch.zeros(1, 3, 16, 16))
        >>> operator.image_shape(tuple(y.shape))
        (1, 3, 16, 16)
    """

    def __init__(self, coding: JpegCoding, shape: tuple[int, ...], *, apart: bool = False) -> None:
        channels, height, width = shape
        if channels not in (1, 3) or channels < len(coding.tables):
            raise UsageError(f"JPEG of {len(coding.tables)} components is no image of {channels} channels")
        self.coding, self.channels, self.size = coding, channels, (height, width)
        sides = (width, height) if turns(coding.orientation)[0] else (height, width)
        self._rows, self._columns = (
            _Axis.of(size, 8 * shrunk, offset)
            for size, shrunk, offset in zip(sides, coding.shrunk, coding.offset, strict=True)
        )
        self._key = (coding.tables, coding.shrunk, channels)
        self._apart = apart and len(coding.tables) > 1

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))

        def one(image: Tensor) -> Tensor:
            strips = self._strips(stored(image, self.coding.orientation))
            return torch.cat([self._measured(own, edges) for _, own, edges in strips]).flatten(0, 1)

        return by_image(one, x)

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`; computed once for each table and kind of block."""
        self._check(shape)
        rows, columns = self._rows, self._columns
        s = torch.empty(rows.blocks, columns.blocks, self.channels * rows.side * columns.side)
        for tall, wide, part in self._kinds():
            s[tall, wide] = part.s.float()
        return Svd(
            self._image(s)[None],
            lambda z: by_image(lambda one: self._image(self._each(self._blocks(one), lambda part: part.v.T)), z),
            lambda x: by_image(lambda one: self._image(self._each(self._blocks(one), lambda part: part.v)), x),
            lambda z: by_image(lambda one: self._each(self._blocks(one), lambda part: part.u.T).flatten(0, 1), z),
            lambda y: by_image(self._placed, y),
        )

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (measured[0], self.channels, *self.size)

    def coefficients(self, y: Tensor) -> Tensor:
        """Measurement behind a decoded picture: the file's numbers, except a few that clipping changed.

        Decoders enlarge reduced colours smoothly; this is undone if the coefficients are nearer to whole numbers then.
        What they clip is estimated if colours are reduced; see `clipped`.
        Macroblocks that lie only partly in the picture have unknown coefficients, which are not rounded.

        Args:
            y: decoded pictures, (B, C, H, W) in [-1, 1].
        """
        whole = self._whole().to(y.device)
        numbers, smooth = self._numbers(y, whole)
        if self._reduced and beyond(y).any():
            fours = max(self.coding.shrunk) > 2
            y = torch.stack(
                [self._unclipped(one, own and not fours) for one, own in zip(y, smooth.tolist(), strict=True)]
            )
            numbers, _ = self._numbers(y, whole)
        return torch.where(whole[:, None], numbers.round(), numbers).add_(self._shift(y))

    @property
    def _reduced(self) -> bool:
        return len(self.coding.tables) > 1 and max(self.coding.shrunk) > 1

    def _numbers(self, y: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        """The file's numbers before rounding, and whether each picture's colours were enlarged smoothly, (B,)."""
        numbers = self.A(y).sub_(self._shift(y))
        if not self._reduced:
            return numbers, torch.zeros(len(y), dtype=torch.bool)
        plain, sharp = numbers[..., -_COLOURED:], by_image(self._sharpened, y)
        nearer = _uneven(sharp, whole) < _uneven(plain, whole)
        numbers[..., -_COLOURED:] = torch.where(nearer.view(-1, 1, 1), sharp, plain)
        return numbers, nearer

    def within(self, x: Tensor, q: Tensor, half: float = 0.5) -> Tensor:
        """Moves images as little as possible so that their measurements are within `half` of `q`."""
        return self._moved(x, q, 0.0, lambda seen, own: seen.clamp(own - half, own + half) - seen)

    def around(self, marked: Tensor) -> Tensor:
        """Extends marks of pixels, (B, C, H, W) of bool, to their whole macroblocks in all channels."""

        def one(image: Tensor) -> Tensor:
            blocks = self._blocks(image.any(0, keepdim=True).expand_as(image).float())
            return self._image(blocks.amax(-1, keepdim=True).expand_as(blocks)) > 0

        return by_image(one, marked)

    def nearest(self, x0: Tensor, q: Tensor, weight: float) -> Tensor:
        r"""Minimises `|A x - q|^2 + weight |x - x0|^2` over x.

        With A = U s V^T this is :math:`x_0 + V \frac{s}{s^2 + w} U^T (q - A x_0)`, macroblock by macroblock.

        Args:
            x0: (B, C, H, W).
            q: (B, blocks, numbers).
            weight: w, 0 or more.
        """
        return self._moved(x0, q, weight, lambda seen, own: own - seen)

    def _moved(self, x: Tensor, q: Tensor, weight: float, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Images with measurements changed as far as the weight permits; in strips, which bounds the memory."""
        self._check(tuple(x.shape))
        rows, columns = self._rows, self._columns
        moved = []
        for one, measured in zip(x, q, strict=True):
            image = stored(one, self.coding.orientation)
            new, done = torch.empty_like(image), 0
            numbers = measured.unflatten(0, (rows.blocks, columns.blocks))
            for blocks, own, edges in self._strips(image):
                by = change(self._measured(own, edges), numbers[blocks])
                moves = torch.empty_like(by)
                for tall, wide, part in self._kinds(self._apart):
                    own_rows = slice(*(min(max(at - blocks.start, 0), len(by)) for at in (tall.start, tall.stop)))
                    some = by[own_rows, wide]
                    moves[own_rows, wide] = part.weighed(some.flatten(0, 1), weight).view_as(some)
                torch.add(own, self._spread(moves, edges), out=new[:, done : done + own.shape[1]])
                done += own.shape[1]
            moved.append(upright(new, self.coding.orientation))
        return torch.stack(moved) if len(moved) > 1 else moved[0][None]

    def _measured(self, image: Tensor, edges: tuple[int, int]) -> Tensor:
        """Numbers of a stored image or a strip, (rows, columns, numbers).

        Component by component this takes a third of the products that a macroblock's whole matrix would.
        """
        tables, shrunk, channels = self._key
        planes = torch.tensordot(mixing(len(tables), channels).to(image), image, 1)
        bright, *colours = self._cut(planes, edges, "replicate").unflatten(2, (len(planes), -1)).unbind(2)
        first, *others = divided(tables, shrunk, image.dtype, image.device)
        # Block by block a macroblock's brightness takes a fourth of the products.
        numbers = [(self._in_blocks(bright) @ first).view(*bright.shape[:2], -1)]
        numbers += [own @ matrix for own, matrix in zip(colours, others, strict=True)]
        return torch.cat(numbers, 2)

    def _in_blocks(self, bright: Tensor) -> Tensor:
        """Brightness of macroblocks, (rows, columns, 8r * 8c), by block, (rows * columns * r * c, 64)."""
        tall, wide = self.coding.shrunk
        blocks: Tensor = bright.unflatten(2, (tall, 8, wide, 8)).transpose(3, 4).reshape(-1, 64)
        return blocks

    def _of_blocks(self, blocks: Tensor) -> Tensor:
        """The inverse of `_in_blocks`."""
        whole = blocks.view(-1, self._columns.blocks, *self.coding.shrunk, 8, 8)
        return whole.transpose(3, 4).flatten(2)

    def _spread(self, weighed: Tensor, edges: tuple[int, int]) -> Tensor:
        """Changes of a stored image or a strip: the transpose of `_measured`, but for the steps."""
        tables, shrunk, channels = self._key
        changes = mixing(len(tables), channels).T
        if self._apart:
            # A plane's change of length 1, as often as it moves the plane.
            changes = plane_changes() * (changes * plane_changes()).sum(0)
        first, *others = transforms(len(tables), shrunk, weighed.dtype, weighed.device)
        bright, *colours = weighed.split([64 * shrunk[0] * shrunk[1], *[64] * len(others)], 2)
        parts = [self._of_blocks(bright.reshape(-1, 64) @ first)]
        parts += [own @ matrix for own, matrix in zip(colours, others, strict=True)]
        planes = self._joined(torch.cat(parts, 2))
        planes = _gathered(_gathered(planes, 1, *edges), 2, self._columns.before, self._columns.after)
        spread: Tensor = torch.tensordot(changes.to(planes), planes, 1)
        return spread

    def _strips(self, image: Tensor) -> Iterator[tuple[slice, Tensor, tuple[int, int]]]:
        """Cuts a stored image into rows of blocks; also gives the rows of pixels missing before and after."""
        rows, columns = self._rows, self._columns
        at_once = max(1, _STRIP // (columns.blocks * columns.side * rows.side))
        for first in range(0, rows.blocks, at_once):
            last = min(first + at_once, rows.blocks)
            own = image[:, max(first * rows.side - rows.before, 0) : last * rows.side - rows.before]
            yield slice(first, last), own, (rows.before * (first == 0), rows.after * (last == rows.blocks))

    def _check(self, shape: Shape) -> None:
        if tuple(shape[1:]) != (self.channels, *self.size):
            raise UsageError(f"this JPEG is of images {(self.channels, *self.size)}, not {tuple(shape[1:])}")

    def _shift(self, y: Tensor) -> Tensor:
        """Offset from `A` to the file's numbers, which are relative to 128, while mid grey here is 127.5."""
        blocks = self.coding.shrunk[0] * self.coding.shrunk[1]
        numbers = 64 * blocks + 64 * (len(self.coding.tables) - 1)
        shift = torch.zeros(numbers, dtype=y.dtype, device=y.device)
        shift[: 64 * blocks : 64] = 4 / self.coding.tables[0][0]
        return shift

    def _whole(self) -> Tensor:
        """Marks the macroblocks that lie completely in the picture, (blocks,)."""
        rows, columns = self._rows.whole(), self._columns.whole()
        return (rows[:, None] & columns).flatten()

    def _blocks(self, image: Tensor, mode: str = "constant") -> Tensor:
        """Macroblocks of one image, (rows, columns, C * 8r * 8c); beyond its edge they are 0 or repeat it."""
        return self._cut(stored(image, self.coding.orientation), (self._rows.before, self._rows.after), mode)

    def _cut(self, image: Tensor, edges: tuple[int, int], mode: str) -> Tensor:
        """Macroblocks of a stored image or of a strip, with so many rows missing before and after."""
        rows, columns = self._rows, self._columns
        around = (columns.before, columns.after, *edges)
        padded = F.pad(image[None], around, mode=mode)[0] if any(around) else image
        blocks = padded.unflatten(-1, (-1, columns.side)).unflatten(-3, (-1, rows.side))
        cut: Tensor = blocks.permute(1, 3, 0, 2, 4).flatten(2)
        return cut

    def _image(self, blocks: Tensor) -> Tensor:
        """The inverse of `_blocks`."""
        rows, columns = self._rows, self._columns
        whole = self._joined(blocks)[:, rows.before :, columns.before :]
        return upright(whole[:, : rows.size, : columns.size], self.coding.orientation)

    def _joined(self, blocks: Tensor) -> Tensor:
        """Planes made of macroblocks, with the rows and columns that are missing in the image."""
        planes = blocks.unflatten(2, (-1, self._rows.side, self._columns.side)).permute(2, 0, 3, 1, 4)
        joined: Tensor = planes.flatten(3).flatten(1, 2)
        return joined

    def _kinds(self, apart: bool = False) -> Iterator[tuple[slice, slice, Part]]:
        """Groups of equal blocks, as slices of rows and columns, with their decomposition."""
        for tall, rows in self._rows.kinds():
            for wide, columns in self._columns.kinds():
                yield tall, wide, decomposed(*self._key, rows, columns, apart)

    def _each(self, blocks: Tensor, matrix: Callable[[Part], Tensor]) -> Tensor:
        """Multiplies each block, a row, by its group's transposed matrix."""
        done = None
        for tall, wide, part in self._kinds():
            own = blocks[tall, wide] @ matrix(part).to(blocks)
            if done is None:
                done = own.new_empty(*blocks.shape[:2], own.shape[-1])
            done[tall, wide] = own
        assert done is not None  # no image is empty
        return done

    def _placed(self, measured: Tensor) -> Tensor:
        blocks = measured.unflatten(0, (self._rows.blocks, self._columns.blocks))
        return self._image(self._each(blocks, lambda part: part.u))

    def _unclipped(self, image: Tensor, smooth: bool) -> Tensor:
        """One picture before the decoder clipped it."""
        image = stored(image, self.coding.orientation)
        top, left = self._rows.before % self.coding.shrunk[0], self._columns.before % self.coding.shrunk[1]
        whole = unclipped(self._complete(image), self.coding.shrunk, smooth=smooth)
        cut = whole[:, top : top + image.shape[1], left : left + image.shape[2]]
        return upright(cut, self.coding.orientation)

    def _complete(self, image: Tensor) -> Tensor:
        """A stored picture with as many pixels before and after as complete the outermost samples of the colours."""
        rows, columns, (tall, wide) = self._rows, self._columns, self.coding.shrunk
        around = (columns.before % wide, columns.after % wide, rows.before % tall, rows.after % tall)
        return F.pad(image[None], around, mode="replicate")[0] if any(around) else image

    def _sharpened(self, image: Tensor) -> Tensor:
        """Numbers of one picture's colours before the decoder's enlargement, (blocks, 128)."""
        (rows, columns), (tall, wide) = (self._rows, self._columns), self.coding.shrunk
        matrix = torch.tensor(COLOURS[1:], dtype=torch.float64).to(image)
        complete = self._complete(stored(image, self.coding.orientation))
        samples = torch.tensordot(matrix, means(complete, tall, wide), 1)
        for axis, shrunk in ((-2, tall), (-1, wide)):
            samples = narrowed(samples, axis) if shrunk == 2 else samples
        beyond = (columns.before // wide, columns.after // wide, rows.before // tall, rows.after // tall)
        samples = F.pad(samples[None], beyond, mode="replicate")[0]
        blocks = samples.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).permute(1, 3, 0, 2, 4).flatten(3).flatten(0, 1)
        steps = torch.tensor(self.coding.tables[1:], dtype=torch.float64)
        numbers: Tensor = blocks @ (127.5 * torch.kron(cosines(), cosines())).T.to(image) / steps.to(image)
        return numbers.flatten(1)


def narrowed(samples: Tensor, axis: int) -> Tensor:
    """Solves 3/4 a + 1/8 (a before + a after) = b along an axis, the mean of two pixels of libjpeg's enlargement.

    Args:
        samples: (..., H, W).
        axis: -2 or -1.
    """
    # Lines along the axis do not depend on each other; a few at a time stay in a processor's cache.
    other = -3 - axis
    lines = max(_LINES, _CACHED // samples[..., 0, 0].numel() // samples.shape[axis])
    return torch.cat([_narrowed(some, axis) for some in samples.split(lines, other)], other)


def _narrowed(samples: Tensor, axis: int) -> Tensor:
    size = samples.shape[axis]
    x = torch.cat([samples.narrow(axis, 0, 1), samples, samples.narrow(axis, size - 1, 1)], axis)
    before, own, after = (x.narrow(axis, at, size) for at in range(3))
    sums = torch.empty_like(samples)
    for _ in range(_SWEEPS):
        torch.add(before, after, out=sums)
        torch.sub(samples, sums, alpha=1 / 8, out=sums)
        torch.div(sums, 0.75, out=own)
        x.narrow(axis, 0, 1).copy_(own.narrow(axis, 0, 1))
        x.narrow(axis, size + 1, 1).copy_(own.narrow(axis, size - 1, 1))
    return own


def _uneven(colours: Tensor, whole: Tensor) -> Tensor:
    """Distance of the colours' coefficients from whole numbers, for each image."""
    known = colours[:, whole]
    return (known - known.round()).abs().flatten(1).sum(1)


@dataclass(frozen=True)
class _Axis:
    """Cut of an axis: missing pixels before and after, and pixels of a macroblock."""

    size: int
    side: int
    before: int
    after: int

    @classmethod
    def of(cls, size: int, side: int, offset: int) -> _Axis:
        before = -offset % side
        return cls(size, side, before, -(before + size) % side)

    @property
    def blocks(self) -> int:
        return (self.before + self.size + self.after) // self.side

    def whole(self) -> Tensor:
        whole = torch.ones(self.blocks, dtype=torch.bool)
        whole[0] &= not self.before
        whole[-1] &= not self.after
        return whole

    def kinds(self) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Groups of blocks with the same pixels, with the first and last of each."""
        blocks, end = self.blocks, self.side - self.after
        if blocks == 1:
            yield slice(0, 1), (self.before, end)
            return
        first, last = int(self.before > 0), blocks - int(self.after > 0)
        if first:
            yield slice(0, 1), (self.before, self.side)
        if last > first:
            yield slice(first, last), (0, self.side)
        if last < blocks:
            yield slice(last, blocks), (0, end)


def _gathered(planes: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Adds what lies beyond the first and the last line of planes to these: the transpose of a repeated edge."""
    size = planes.shape[axis] - before - after
    own = planes.narrow(axis, before, size)
    if before:
        own.narrow(axis, 0, 1).add_(planes.narrow(axis, 0, before).sum(axis, keepdim=True))
    if after:
        own.narrow(axis, size - 1, 1).add_(planes.narrow(axis, before + size, after).sum(axis, keepdim=True))
    return own
