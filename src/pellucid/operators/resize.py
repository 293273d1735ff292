"""Reduction: averages of blocks, and the bicubic filter of super-resolution papers."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape, Svd
from .separable import Axis, Separable


class _Reduction(Operator):
    """What makes an image k times smaller in both directions."""

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
    """Means of k x k blocks, what the papers call super-resolution by k; the pseudo-inverse repeats each mean.

    Args:
        k: side of a block.
    """

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))
        return torch.nn.functional.avg_pool2d(x, self.k)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.pinv(y) / self.k**2

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        return y.repeat_interleave(self.k, -2).repeat_interleave(self.k, -1)

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`: each block's mean, times k, in the place of its first pixel, and a rotation of the rest."""
        self._check(shape)
        k, (height, width) = self.k, shape[-2:]
        s = torch.zeros(1, 1, height, width)
        s[..., ::k, ::k] = 1 / k

        def place(y: Tensor) -> Tensor:
            z = y.new_zeros(*y.shape[:2], height, width)
            z[..., ::k, ::k] = y
            return z

        return Svd(s, self._reflect, self._reflect, lambda z: z[..., ::k, ::k], place)

    def _reflect(self, x: Tensor) -> Tensor:
        """Householder's reflection that swaps a block's first pixel for its mean times k; its own inverse."""
        k = self.k
        if k == 1:
            return x
        # With u = (1, ..., 1) / k and w = u - e_1: x - 2 w (w . x) / (w . w), where w . w = 2 - 2 / k.
        along = (self.A(x) * k - x[..., ::k, ::k]) / (1 - 1 / k)
        blocks = x.unflatten(-1, (-1, k)).unflatten(-3, (-1, k))
        reflected: Tensor = (blocks - (along / k)[..., :, None, :, None]).view(x.shape)
        reflected[..., ::k, ::k] += along
        return reflected


class Bicubic(_Reduction, Separable):
    """Reduction by k with an antialiasing cubic filter, a = -0.5, 4k taps, edges mirrored, as in DDRM's experiments.

    Args:
        k: reduction.
    """

    def axis(self, size: int, down: bool) -> Axis:
        """See `Separable`."""
        if size % self.k:
            raise UsageError(f"Bicubic({self.k}) takes sizes that {self.k} divides, not {size}")
        return _cubic(size, self.k)


@lru_cache(maxsize=16)
def _cubic(size: int, k: int) -> Axis:
    """What reduces one axis: a matrix (size / k, size)."""
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
    return Axis(torch.zeros(len(centre), size, dtype=torch.float64).scatter_add_(1, index, weight))
