"""Operators that are one matrix for the rows and one for the columns."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .operator import Operator, Shape, Svd


@dataclass(frozen=True, eq=False)
class Axis:
    """What an operator does along one side of an image, and its decomposition, made when first asked for.

    Attributes:
        matrix: (m, n) in float64, from n pixels to m.
    """

    matrix: Tensor

    @cached_property
    def inverse(self) -> Tensor:
        """The pseudo-inverse, (n, m)."""
        u, s, v = self.parts
        kept = (s > _ZERO * s.max())[: len(u)]
        k = len(kept)
        return (v[:, :k] * torch.where(kept, 1 / s[:k].clamp_min(1e-300), 0)) @ u.T[:k]

    @cached_property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """U (m, m), s (n,) with zeros where there is no more, and V (n, n)."""
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
        (ur, sr, vr), (uc, sc, vc) = (axis.parts for axis in self._axes(shape))
        small = (len(ur), len(uc))
        s = torch.outer(sr, sc)
        return Svd(
            torch.where(s > _ZERO * s.max(), s, 0)[None, None].float(),
            lambda z: sandwich(vr, z, vc.T),
            lambda x: sandwich(vr.T, x, vc),
            lambda z: sandwich(ur, z[..., : small[0], : small[1]], uc.T),
            lambda y: F.pad(sandwich(ur.T, y, uc), (0, shape[-1] - small[1], 0, shape[-2] - small[0])),
        )


def sandwich(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    """`left @ x @ right`, image by image: the rounding of a product depends on how many rows it has."""
    left, right = left.to(x), right.to(x)
    return torch.stack([left @ image @ right for image in x])
