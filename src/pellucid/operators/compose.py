"""Operators made of operators."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape, least_squares


class Compose(Operator):
    """Applies one degradation after the other: A x = outer(inner(x)), written `outer @ inner`.

    Its pseudo-inverse is iterative, since it is not the product of the pseudo-inverses.

    Args:
        outer: the last operator.
        inner: the first operator.

    Example:
        >>> (operators.Grayscale() @ operators.AveragePool(2)).A(torch.ones(1, 3, 32, 32)).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(self, outer: Operator, inner: Operator) -> None:
        self.outer, self.inner = outer, inner
        self.linear = outer.linear and inner.linear
        self.keeps_grey = outer.keeps_grey and inner.keeps_grey

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.outer.A(self.inner.A(x))

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.inner.At(self.outer.At(y))

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        return least_squares(self, y)

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return self.inner.image_shape(self.outer.image_shape(measured))

    def real(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        return self.outer.real(y)

    def alone(self, index: int) -> Operator:
        """See `Operator`."""
        return Compose(self.outer.alone(index), self.inner.alone(index))


class Stack(Operator):
    """Joins several measurements of the same images, (B, C, H, W) -> (B, m), each flattened.

    Args:
        operators: the operators.
        shape: shape of one image, (C, H, W), which a row of numbers does not show.

    Raises:
        UsageError: the list of operators is empty.

    Example:
        >>> pair = operators.Stack([operators.AveragePool(2), operators.Grayscale()], (3, 8, 8))
        >>> pair.A(torch.ones(1, 3, 8, 8)).shape
        torch.Size([1, 112])
    """

    def __init__(self, operators: Sequence[Operator], shape: tuple[int, int, int]) -> None:
        if not operators:
            raise UsageError("a stack needs at least one operator")
        self.operators = tuple(operators)
        self.linear = all(operator.linear for operator in operators)
        self.keeps_grey = all(operator.keeps_grey for operator in operators)
        self._shape = shape
        self._parts = [tuple(operator.A(torch.zeros(1, *shape)).shape[1:]) for operator in operators]

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return torch.cat([operator.A(x).flatten(1) for operator in self.operators], 1)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        parts = y.split([math.prod(part) for part in self._parts], 1)
        pulled = [
            operator.At(part.view(len(y), *shape))
            for operator, part, shape in zip(self.operators, parts, self._parts, strict=True)
        ]
        return torch.stack(pulled).sum(0)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`; iterative."""
        return least_squares(self, y)

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (measured[0], *self._shape)
