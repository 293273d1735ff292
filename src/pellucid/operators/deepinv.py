"""Operators of the deepinv library as operators here.

Nothing of deepinv is imported: any object with the same methods will do.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from .operator import Operator, Shape, Svd, least_squares


class Physics(Protocol):
    """Interface of a deepinv physics: a linear map of tensors."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """The forward map, without noise."""
        ...

    def A_adjoint(self, y: Tensor) -> Tensor:  # noqa: N802
        """Its adjoint."""
        ...


class DeepinvOperator(Operator):
    """A linear `deepinv.physics` as an operator.

    A decomposition is taken from those that have one (`U`, `V`, their adjoints and a `mask` of singular values, all
    in the image's shape); the pseudo-inverse from `A_dagger`, else by conjugate gradients. Linear maps do not mind
    whether images are in [0, 1] or [-1, 1]; the measurement must be of the image in [-1, 1].

    Args:
        physics: a deepinv physics.
        shape: of one image, (C, H, W): a measurement does not tell it.
    """

    def __init__(self, physics: Physics, shape: tuple[int, int, int]) -> None:
        self.physics, self._shape = physics, shape

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.physics.A(x)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.physics.A_adjoint(y)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        dagger = getattr(self.physics, "A_dagger", None)
        if dagger is None:
            return least_squares(self, y)
        x: Tensor = dagger(y)
        return x

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (measured[0], *self._shape)

    def svd(self, shape: Shape) -> Svd | None:
        """See `Operator`; None where the physics has none, or has it in other coordinates than the image's."""
        physics: Any = self.physics
        if not all(hasattr(physics, name) for name in ("U", "U_adjoint", "V", "V_adjoint", "mask")):
            return None
        mask = torch.as_tensor(physics.mask)
        if mask.ndim > 4 or mask.is_complex():
            return None
        s = mask.reshape((1,) * (4 - mask.ndim) + tuple(mask.shape))
        if any(own not in (1, size) for own, size in zip(s.shape, shape, strict=True)):
            return None
        # deepinv lets singular values be negative; the sign goes to U.
        sign, s = torch.where(s < 0, -1.0, 1.0).to(s), s.abs()
        seen = (s > 0).to(s)
        return Svd(
            s,
            physics.V,
            physics.V_adjoint,
            lambda z: physics.U(z * (sign * seen).to(z)),
            lambda y: physics.U_adjoint(y) * (sign * seen).to(y),
        )
