r"""Interface of degradations: a map from images to measurements, and its inverse as far as it exists.

Images and measurements are in [-1, 1] units. Linear operators have an adjoint and a pseudo-inverse. Those with a cheap
singular value decomposition provide it, too, in *spectral coordinates of the image's shape*:

.. math:: A = U \,\mathrm{diag}(s)\, V^T

V is an orthonormal transform of images, U places spectral coordinates into measurements, and s, broadcastable to the
image's shape (B, C, H, W), is 0 on the null space. So the spectral arithmetic of a method is elementwise for any
degradation, and there is no matrix of the image's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UsageError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Svd:
    """A singular value decomposition as four transforms.

    Attributes:
        s: singular values, broadcastable to the image's shape (B, C, H, W); 0 on the null space.
        V: spectral coordinates (B, C, H, W) to an image; orthonormal.
        Vt: an image to its spectral coordinates; transpose and inverse of `V`.
        U: spectral coordinates to a measurement, without those where s = 0.
        Ut: a measurement to spectral coordinates, 0 where s = 0; the transpose of `U`.

    Example:
        >>> svd = operators.AveragePool(2).svd((1, 3, 8, 8))
        >>> svd.V(svd.Vt(torch.ones(1, 3, 8, 8))).shape
        torch.Size([1, 3, 8, 8])
    """

    s: Tensor
    V: Callable[[Tensor], Tensor]
    Vt: Callable[[Tensor], Tensor]
    U: Callable[[Tensor], Tensor]
    Ut: Callable[[Tensor], Tensor]

    def inverted(self) -> Tensor:
        """1 / s, with 0 for s = 0."""
        return torch.where(self.s > 0, 1 / self.s.clamp_min(torch.finfo(self.s.dtype).tiny), 0)


class Operator:
    """Base of all degradations.

    A subclass defines `A`, and if it is linear either `svd` or `At`; the rest follows from these.

    Example:
        >>> operator = operators.AveragePool(2)
        >>> y = operator.A(torch.rand(1, 3, 8, 8))
        >>> torch.allclose(operator.A(operator.pinv(y)), y)
        True
    """

    linear: bool = True
    """True if A(a x + b z) = a A(x) + b A(z)."""

    pictures: bool = False
    """True if measurements are pictures, (B, C, H, W), with the noise of usual pictures."""

    keeps_grey: bool = True
    """True if it measures a uniform image as the same value, so that the units of both change alike."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802 - the field's letter
        """Degrades images (B, C, H, W), without noise."""
        raise NotImplementedError

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """Applies the adjoint to measurements.

        Raises:
            UsageError: the operator is not linear.
        """
        svd = self._svd_of(y)
        return svd.V(svd.s.to(y.device) * svd.Ut(y))

    def pinv(self, y: Tensor) -> Tensor:
        """Image of least norm among the best fits to `y`.

        Raises:
            UsageError: the operator is not linear.
        """
        svd = self._svd_of(y)
        return svd.V(svd.inverted().to(y.device) * svd.Ut(y))

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        """Image nearest to `x` among the best fits to `y`: `x + pinv(y - A x)`.

        Raises:
            UsageError: the operator is not linear.
        """
        return x + self.pinv(y - self.A(x))

    def svd(self, shape: Shape) -> Svd | None:
        """Singular value decomposition for images of a shape (B, C, H, W); None without a cheap one.

        Raises:
            UsageError: the operator does not take images of this shape.
        """
        return None

    def image_shape(self, measured: Shape) -> Shape:
        """Shape of the images whose measurements have the shape `measured`."""
        return measured

    def real(self, y: Tensor) -> Tensor:
        """Converts complex measurements to the real numbers of `A`.

        Raises:
            UsageError: the operator measures real numbers.
        """
        raise UsageError(f"{type(self).__name__} measures real numbers, not {y.dtype}")

    def alone(self, index: int) -> Operator:
        """Operator of one image of a batch; the same if all images share it."""
        return self

    def _svd_of(self, y: Tensor) -> Svd:
        svd = self.svd(self.image_shape(tuple(y.shape)))
        if svd is None:
            raise UsageError(f"{type(self).__name__} has neither an adjoint nor a pseudo-inverse")
        return svd

    def __matmul__(self, first: Operator) -> Operator:
        """Composes: `(outer @ inner).A(x) = outer.A(inner.A(x))`."""
        from .compose import Compose

        return Compose(self, first)


def same(x: Tensor) -> Tensor:
    """The identity transform."""
    return x


def by_image(transform: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Transforms (B, ...) image by image, since rounding would depend on the size of the batch."""
    if len(x) == 1:
        return transform(x[0])[None]
    return torch.stack([transform(image) for image in x])


def least_squares(operator: Operator, y: Tensor, iterations: int = 200, tolerance: float = 1e-6) -> Tensor:
    """Pseudo-inverse by conjugate gradients on the normal equations, from 0 (CGLS), separately for each image.

    Args:
        operator: a linear operator with an adjoint.
        y: measurements, (B, ...).
        iterations: the most; each costs one `A` and one `At`.
        tolerance: relative norm of the gradient at which to stop, for every image.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1)

    def scaled(factor: Tensor, a: Tensor) -> Tensor:
        return factor.view(-1, *[1] * (a.ndim - 1)) * a

    residual = y
    gradient = operator.At(residual)
    x, direction = torch.zeros_like(gradient), gradient
    power = first = dot(gradient, gradient)
    tiny = torch.finfo(y.dtype).tiny
    for _ in range(iterations):
        going = power > tolerance**2 * first
        if not going.any():
            break
        moved = operator.A(direction)
        # An image that is done keeps still, whatever others of its batch still need.
        step = torch.where(going, power / dot(moved, moved).clamp_min(tiny), 0)
        x = x + scaled(step, direction)
        residual = residual - scaled(step, moved)
        gradient = operator.At(residual)
        before, power = power, dot(gradient, gradient)
        direction = gradient + scaled(power / before.clamp_min(tiny), direction)
    return x


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, iterations: int) -> Tensor:
    """Solves `product(v) = right` for a symmetric positive definite product, separately for each image of a batch.

    Args:
        product: the linear map.
        right: (B, ...).
        iterations: number of iterations from v = 0; fewer for an image with an earlier solution.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1).view(-1, *[1] * (right.ndim - 1))

    v, residual = torch.zeros_like(right), right
    direction, power = residual, dot(residual, residual)
    tiny = torch.finfo(right.dtype).tiny
    for _ in range(iterations):
        moved = product(direction)
        curvature = dot(direction, moved)
        # A network's derivative need not be positive; where it is not, the image keeps what it has.
        step = torch.where(curvature > 0, power / curvature.clamp_min(tiny), 0)
        v = v + step * direction
        residual = residual - step * moved
        before, power = power, dot(residual, residual)
        direction = residual + power / before.clamp_min(tiny) * direction
    return v
