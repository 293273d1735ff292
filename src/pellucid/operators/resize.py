"""Reduction by means of blocks, and by the bicubic filter of super-resolution papers."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .cosine import dct, dct2, idct2
from .operator import Operator, Shape, Svd
from .separable import Axis, Separable


class _Reduction(Operator):
    """Reduction of an image by k in both directions."""

    pictures = True

    def __init__(self, k: int) -> None:
        if k < 1:
            raise UsageError(f"{type(self).__name__} reduces by a whole number from 1 up, not {k}")
        self.k = k

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (*measured[:2], measured[2] * self.k, measured[3] * self.k)

    def _check(self, shape: Shape) -> None:
        if shape[-2] % self.k or shape[-1] % self.k:
            raise UsageError(f"{type(self).__name__}({self.k}) takes sizes that {self.k} divides, not {shape[-2:]}")


class AveragePool(_Reduction):
    """Means of k x k blocks, the papers' super-resolution by k; the pseudo-inverse repeats each mean.

    Args:
        k: side of a block.

    Example:
        >>> operators.AveragePool(4).A(torch.ones(1, 3, 32, 32)).shape
        torch.Size([1, 3, 8, 8])
    """

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))
        return F.avg_pool2d(x, self.k)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.pinv(y) / self.k**2

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        height, width = y.shape[-2] * self.k, y.shape[-1] * self.k
        return y[..., None, :, None].expand(*y.shape[:-1], self.k, -1, self.k).reshape(*y.shape[:-2], height, width)

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`: each block's mean, times k, in place of its first pixel, and a rotation of the rest."""
        self._check(shape)
        first, (height, width) = _first(self.k), shape[-2:]
        s = torch.zeros(1, 1, height, width)
        s[first] = 1 / self.k

        def place(y: Tensor) -> Tensor:
            z = y.new_zeros(*y.shape[:2], height, width)
            z[first] = y
            return z

        return Svd(s, self._reflect, self._reflect, lambda z: z[first], place)

    def _reflect(self, x: Tensor) -> Tensor:
        """Householder reflection that exchanges a block's first pixel and its mean times k; its own inverse."""
        k, first = self.k, _first(self.k)
        if k == 1:
            return x
        # With u = (1, ..., 1) / k and w = u - e_1: x - 2 w (w . x) / (w . w), where w . w = 2 - 2 / k.
        along = (self.A(x) * k - x[first]) / (1 - 1 / k)
        reflected = _add(x.clone(), -along / k)
        reflected[first] += along
        return reflected


def _first(k: int) -> tuple[Any, ...]:
    """First pixel of each block."""
    return (..., slice(None, None, k), slice(None, None, k))


def _add(x: Tensor, each: Tensor) -> Tensor:
    """Adds a number to all pixels of each block, in place."""
    k = x.shape[-1] // each.shape[-1]
    # Along whole rows, in half the time of additions along a block's.
    x.unflatten(-2, (-1, k)).add_(each.repeat_interleave(k, -1)[..., None, :])
    return x


class Bicubic(_Reduction, Separable):
    """Reduction by k with an antialiasing cubic filter, a = -0.5, 4k taps, edges mirrored, as in DDRM's experiments.

    Args:
        k: reduction.

    Example:
        >>> operators.Bicubic(4).A(torch.ones(1, 3, 32, 32)).shape
        torch.Size([1, 3, 8, 8])
    """

    _mean: ClassVar[float] = 0.0
    """Share of the filter that is the mean of the block's pixels."""

    def axis(self, size: int, down: bool) -> Axis:
        """See `Separable`."""
        if size % self.k:
            raise UsageError(f"{type(self).__name__}({self.k}) takes sizes that {self.k} divides, not {size}")
        return _cubic(size, self.k, self._mean)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        s, _ = self._spectra(self.image_shape(tuple(y.shape)))
        return self.At(idct2(dct2(y) / s.to(y).square()))

    def svd(self, shape: Shape) -> Svd:
        r"""See `Operator`; in closed form.

        The cosine transform D of the small image diagonalises :math:`A A^T`, since the filter and the edges are
        symmetric: :math:`D A A^T D^T = s^2`, and :math:`Q = A^T D^T / s` is an orthonormal basis of the measured part.
        E, the cosines of the blocks' means, is such a basis for `AveragePool`, and :math:`E^T Q` is diagonal, too.
        Then :math:`I - W g W^T` with W = Q + E and :math:`g = 1 / (1 + E^T Q)` is a reflection that maps -E to Q. It
        turns `AveragePool`'s coordinates, with the first one in each block transformed by D, into those of this
        operator.

        Both are expanded here, so that the shifts of whole blocks (`AveragePool`'s reflection and E's part of this one)
        take a single pass over the image. A and its transpose take most of the remaining time.
        """
        s, overlap = self._spectra(shape)
        g, k, means = 1 / (1 + overlap), self.k, AveragePool(self.k)
        blocks, first = means.svd(shape), _first(k)
        # A block of one pixel has no others, and whatever is divided by their number is 0.
        others = max(k - 1, 1)

        def to_image(z: Tensor) -> Tensor:
            a, t = z[first], z.clone()
            t[first] = 0
            lack = means.A(t) * (k / others)
            t[first] = k * lack
            w = g.to(z) * (dct2(self.A(t)) / s.to(z) - overlap.to(z) * (k * dct2(lack) + a) - a)
            return _add(self.less(t, idct2(w / s.to(z))), -lack - idct2(a + w) / k)

        def to_spectrum(x: Tensor) -> Tensor:
            q = dct2(self.A(x)) / s.to(x)
            w = g.to(x) * (q + k * dct2(means.A(x)))
            z = self.less(x, idct2(w / s.to(x)))
            _add(z, (z[first] + idct2(q - w)) / others)[first] = q
            return z

        return Svd(
            blocks.Ut(s).float(),
            to_image,
            to_spectrum,
            lambda z: idct2(z[first]),
            lambda y: blocks.Ut(dct2(y)),
        )

    def _spectra(self, shape: Shape) -> tuple[Tensor, Tensor]:
        """Singular values s and the diagonal of E^T Q, each (1, 1, H / k, W / k), in float64."""
        self._check(shape)
        (rows, rows_overlap), (columns, columns_overlap) = (_spectrum(size, self.k, self._mean) for size in shape[-2:])
        return torch.outer(rows, columns)[None, None], torch.outer(rows_overlap, columns_overlap)[None, None]


class Thumbnail(Bicubic):
    """Reduction by k by an unknown program: in each direction halfway from `AveragePool` to `Bicubic`.

    Args:
        k: reduction.

    Example:
        >>> operators.Thumbnail(4).A(torch.ones(1, 3, 32, 32)).shape
        torch.Size([1, 3, 8, 8])
    """

    _mean: ClassVar[float] = 0.5


@lru_cache(maxsize=16)
def _spectrum(size: int, k: int, mean: float) -> tuple[Tensor, Tensor]:
    """Singular values of one axis, and products of their vectors with the block means' cosines, (size / k,) each."""
    matrix = _cubic(size, k, mean).matrix
    s = _diagonal(matrix @ matrix.T).sqrt()
    means = matrix.unflatten(1, (-1, k)).sum(2) / math.sqrt(k)
    return s, _diagonal(means) / s


def _diagonal(matrix: Tensor) -> Tensor:
    """Diagonal of a matrix that the cosine transform diagonalises."""
    return dct(dct(matrix).T).diag()


@lru_cache(maxsize=16)
def _cubic(size: int, k: int, mean: float) -> Axis:
    """Matrix that reduces one axis, (size / k, size), of which a share is the mean of k pixels."""
    centre = torch.arange(size // k, dtype=torch.float64)[:, None] * k + (k - 1) / 2
    tap = (centre - 2 * k).floor() + 1 + torch.arange(4 * k + 1, dtype=torch.float64)
    distance = ((tap - centre) / k).abs()
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weight = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    weight /= weight.sum(1, keepdim=True)
    # Mirrored with the edge repeated: -1 is 0, -2 is 1; taps beyond a whole period come round again.
    period = tap.long() % (2 * size)
    index = torch.minimum(period, 2 * size - 1 - period)
    cubic = torch.zeros(len(centre), size, dtype=torch.float64).scatter_add_(1, index, weight)
    means = torch.eye(len(centre), dtype=torch.float64).repeat_interleave(k, 1) / k
    return Axis(torch.lerp(cubic, means, mean) if mean else cubic)
