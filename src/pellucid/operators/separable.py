"""Operators that are one matrix for the rows and one for the columns."""

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
    """What an operator does along one side of an image, and its decomposition, made when first asked for.

    The transforms work along the last axis. This class has them as matrices of any operator; a subclass may know faster
    ones.

    Attributes:
        matrix: (m, n) in float64, from n pixels to m.
    """

    matrix: Tensor

    @cached_property
    def inverse(self) -> Tensor:
        """The pseudo-inverse, (n, m)."""
        s = torch.where(self.s > _ZERO * self.s.max(), 1 / self.s.clamp_min(1e-300), 0)
        # Row i holds what becomes of the i-th pixel of a measurement.
        return self.V(s * self.Ut(torch.eye(len(self.matrix), dtype=torch.float64))).T

    @property
    def s(self) -> Tensor:
        """Singular values, (n,), with zeros where there is no more."""
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


# Singular values below this share of the largest are rounding errors of zero.
_ZERO = 1e-10


class Separable(Operator):
    """Base of operators `R x C^T`, channel by channel. So are their pseudo-inverse and their decomposition.

    A subclass says which matrix it has for which size; where m > n there is no decomposition, as spectral coordinates
    have the image's shape.
    """

    @abstractmethod
    def axis(self, size: int, down: bool) -> Axis:
        """What happens to a side of `size` pixels; `down` for columns of pixels (the height), else rows.

        Returns:
            The same object for the same size, so that it is decomposed once.
        """

    def _axes(self, shape: Shape) -> tuple[Axis, Axis]:
        return self.axis(shape[-2], True), self.axis(shape[-1], False)

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        rows, columns = self._axes(tuple(x.shape))
        return sandwich(rows.matrix, x, columns.matrix.T)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        rows, columns = self._axes(self.image_shape(tuple(y.shape)))
        return sandwich(rows.matrix.T, y, columns.matrix)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        rows, columns = self._axes(self.image_shape(tuple(y.shape)))
        return sandwich(rows.inverse, y, columns.inverse.T)

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


def sandwich(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    """`left @ x @ right`."""
    left, right = left.to(x), right.to(x)
    return by_image(lambda image: left @ image @ right, x)
