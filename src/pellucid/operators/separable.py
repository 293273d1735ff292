"""Operators with one matrix for the rows and one for the columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .operator import Operator, Shape, Svd, by_image

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Axis:
    """Action of an operator along one side of an image, and its decomposition, computed on first use.

    Attributes:
        matrix: (m, n) in float64, from n pixels to m.
    """

    matrix: Tensor

    @cached_property
    def forward(self) -> Banded:
        """The matrix."""
        return Banded.of(self.matrix)

    @cached_property
    def adjoint(self) -> Banded:
        """The matrix transposed."""
        return Banded.of(self.matrix.T)

    @cached_property
    def inverse(self) -> Banded:
        """The pseudo-inverse."""
        u, s, v = self._parts
        kept = s[: len(u)] > _ZERO * s.max()
        return Banded.of((v[:, : len(u)][:, kept] / s[: len(u)][kept]) @ u[:, kept].T)

    @property
    def s(self) -> Tensor:
        """Singular values, (n,), padded with zeros."""
        return self._parts[1]

    def V(self, z: Tensor) -> Tensor:  # noqa: N802 - as in `Svd`
        """Spectral coordinates (..., n) to pixels."""
        return z @ self._parts[2].T.to(z)

    def Vt(self, x: Tensor) -> Tensor:  # noqa: N802
        """Pixels (..., n) to spectral coordinates."""
        return x @ self._parts[2].to(x)

    def U(self, z: Tensor) -> Tensor:  # noqa: N802
        """Spectral coordinates (..., n) to measurements (..., m)."""
        return z[..., : len(self.matrix)] @ self._parts[0].T.to(z)

    def Ut(self, y: Tensor) -> Tensor:  # noqa: N802
        """Measurements (..., m) to spectral coordinates (..., n)."""
        m, n = self.matrix.shape
        return F.pad(y @ self._parts[0].to(y), (0, n - m))

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """U (m, m), s (n,) and V (n, n)."""
        u, s, vt = torch.linalg.svd(self.matrix, full_matrices=True)
        return u, torch.cat([s, s.new_zeros(len(vt) - len(s))]), vt.T


@dataclass(frozen=True, eq=False)
class Banded:
    """A matrix as blocks of its rows without all-zero columns; filters have few others.

    Attributes:
        blocks: from the first row to the last, the columns and their content.
    """

    blocks: tuple[tuple[slice, Tensor], ...]

    @classmethod
    def of(cls, matrix: Tensor) -> Banded:
        """Splits a matrix into blocks, or keeps one block if that saves little."""
        blocks = []
        for rows in matrix.split(_ROWS * max(1, round(matrix.shape[0] / matrix.shape[1]))):
            columns = rows.any(0).nonzero()
            first, last = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
            blocks.append((slice(first, last), rows[:, first:last].contiguous()))
        if sum(block.numel() for _, block in blocks) > 0.7 * matrix.numel():
            return cls(((slice(0, matrix.shape[1]), matrix),))
        return cls(tuple(blocks))

    def down(self, x: Tensor) -> Tensor:
        """Multiplies columns of pixels, (..., n, w) to (..., m, w)."""
        return _joined([block.to(x) @ x[..., part, :] for part, block in self.blocks], -2)

    def across(self, x: Tensor) -> Tensor:
        """Multiplies rows of pixels, (..., h, n) to (..., h, m)."""
        return _joined([x[..., part] @ block.T.to(x) for part, block in self.blocks], -1)

    def less(self, pixels: Tensor, x: Tensor) -> Tensor:
        """Computes `pixels - across(x)` in one pass over the pixels, (..., h, m)."""
        left, first = pixels.clone(memory_format=torch.contiguous_format), 0
        for part, block in self.blocks:
            columns = left.view(-1, left.shape[-1])[:, first : first + len(block)]
            columns.addmm_(x.flatten(0, -2)[:, part], block.T.to(x), alpha=-1)
            first += len(block)
        return left


def _joined(parts: list[Tensor], axis: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


# Singular values below this share of the largest are rounding errors of zero.
_ZERO = 1e-10

# Of a block, whose columns are as many times more as the matrix has. Fewer would save columns, and lose time.
_ROWS = 32


class Separable(Operator):
    """Base of operators `R x C^T`, channel by channel. Their pseudo-inverse and decomposition have the same form.

    A subclass defines the matrix for each size. For m > n there is no decomposition, since spectral coordinates have
    the image's shape.
    """

    @abstractmethod
    def axis(self, size: int, down: bool) -> Axis:
        """Action on a side of `size` pixels; `down` for columns of pixels (the height), else rows.

        Returns:
            The same object for the same size, so that there is a single decomposition.
        """

    def _axes(self, shape: Shape) -> tuple[Axis, Axis]:
        return self.axis(shape[-2], True), self.axis(shape[-1], False)

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        rows, columns = self._axes(tuple(x.shape))
        return _filtered(rows.forward, columns.forward, x)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        rows, columns = self._axes(self.image_shape(tuple(y.shape)))
        return _filtered(rows.adjoint, columns.adjoint, y)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        rows, columns = self._axes(self.image_shape(tuple(y.shape)))
        return _filtered(rows.inverse, columns.inverse, y)

    def less(self, x: Tensor, y: Tensor) -> Tensor:
        """Computes `x - At(y)` faster."""
        rows, columns = (axis.adjoint for axis in self._axes(tuple(x.shape)))
        left = [columns.less(image, rows.down(measured)) for image, measured in zip(x, y, strict=True)]
        return left[0][None] if len(left) == 1 else torch.stack(left)

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`."""
        rows, columns = self._axes(shape)
        s = torch.outer(rows.s, columns.s)
        return Svd(
            torch.where(s > _ZERO * s.max(), s, 0)[None, None].float(),
            lambda z: _both(rows.V, columns.V, z),
            lambda x: _both(rows.Vt, columns.Vt, x),
            lambda z: _both(rows.U, columns.U, z),
            lambda y: _both(rows.Ut, columns.Ut, y),
        )


def _both(rows: Transform, columns: Transform, x: Tensor) -> Tensor:
    """One transform for columns of pixels and one for rows."""
    return by_image(lambda image: rows(columns(image).mT.contiguous()).mT, x)


def _filtered(rows: Banded, columns: Banded, x: Tensor) -> Tensor:
    """One matrix for columns of pixels and one for rows."""
    return by_image(lambda image: columns.across(rows.down(image)), x)
