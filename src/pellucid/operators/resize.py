"""Reduction: averages of blocks, and the bicubic filter of super-resolution papers."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .cosine import dct, idct
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
        return F.avg_pool2d(x, self.k)

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
    return _Folding(torch.zeros(len(centre), size, dtype=torch.float64).scatter_add_(1, index, weight))


class _Folding(Axis):
    """A symmetric filter with mirrored edges, followed by keeping one pixel of k, decomposed in closed form.

    The cosine transform diagonalises the filter. Keeping m of n = k m pixels folds the frequencies: f, 2m - f, 2m + f,
    4m - f ... are all measured as f, each with its weight; odd multiples of m are not measured. So a reflection within
    each group that carries its weights' direction to its lowest frequency is all that is left to do.
    """

    @property
    def s(self) -> Tensor:
        """See `Axis`."""
        return self._group[1]

    def V(self, z: Tensor) -> Tensor:  # noqa: N802
        """See `Axis`."""
        return idct(self._reflected(z))

    def Vt(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Axis`."""
        return self._reflected(dct(x))

    def U(self, z: Tensor) -> Tensor:  # noqa: N802
        """See `Axis`."""
        return idct(z[..., : len(self.matrix)])

    def Ut(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Axis`."""
        m, n = self.matrix.shape
        return F.pad(dct(y), (0, n - m))

    def _reflected(self, z: Tensor) -> Tensor:
        """Householder's reflection of each group; its own inverse."""
        normal = self._group[0].to(z)
        return z - normal * self._spread(self._gathered(normal * z))

    @cached_property
    def _group(self) -> tuple[Tensor, Tensor]:
        """The reflections' normals, of length sqrt(2) or 0 in each group, and the singular values, both (n,)."""
        m, n = self.matrix.shape
        folded = torch.arange(n) % (2 * m)
        folded = torch.minimum(folded, 2 * m - folded)
        known = folded < m
        spectrum = dct(dct(self.matrix).T).T
        weight = torch.where(known, spectrum[folded.clamp_max(m - 1), torch.arange(n)], 0)
        length = self._gathered(weight.square()).sqrt()
        normal = weight / self._spread(length).clamp_min(1e-300)
        normal[:m] -= 1
        size = self._spread(self._gathered(normal.square())).sqrt()
        # A group that points to its lowest frequency already stays as it is.
        normal = torch.where(size > 1e-7, normal * math.sqrt(2) / size.clamp_min(1e-300), 0)
        return normal, F.pad(length, (0, n - m))

    def _gathered(self, z: Tensor) -> Tensor:
        """Sums over the groups, (..., n) to (..., m)."""
        parts = z.unflatten(-1, (-1, len(self.matrix)))
        up, down = parts[..., ::2, :].sum(-2), parts[..., 1::2, 1:].sum(-2)
        gathered: Tensor = up + F.pad(down.flip(-1), (1, 0))
        return gathered

    def _spread(self, group: Tensor) -> Tensor:
        """Each group's number in its frequencies' places, (..., m) to (..., n); 0 for those not measured."""
        m, n = self.matrix.shape
        down = F.pad(group[..., 1:].flip(-1), (1, 0))
        return torch.cat([down if part % 2 else group for part in range(n // m)], -1)
