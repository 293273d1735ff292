"""The map from latents to images as a degradation, so that methods find the latents of which the image was measured."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape, Svd
from .pixels import Denoise


class Decoder(Operator):
    """Measurement of an image, as a function of the latents that it is decoded from: `operator(decode(z))`.

    It is not linear; its gradient comes from autograd. There is no adjoint, no pseudo-inverse and no decomposition.

    Args:
        decode: latents (B, c, h, w) to images (B, C, H, W) in [-1, 1], differentiable; H and W are fixed.
        shape: of one image's latents, (c, h, w).
        channels: C.
        operator: measures the image; None where nobody knows how it was damaged.
        encode: images to latents, differentiable, for methods that go back; None where there is no such map.

    Attributes:
        decode: see above.
        encode: see above.
        pixels: what measures the image; the identity where nobody knows.
        partial: whether the image was damaged further, in a way that nobody knows.
    """

    linear = False

    def __init__(
        self,
        decode: Callable[[Tensor], Tensor],
        shape: tuple[int, int, int],
        channels: int,
        operator: Operator | None = None,
        encode: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.channels = channels
        self.decode, self.pixels, self.encode = decode, operator or Denoise(), encode
        self._shape = shape
        self.partial = operator is None

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`; x are latents."""
        return self.pixels.A(self.decode(x))

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """Refuses."""
        raise _no_inverse("adjoint")

    def pinv(self, y: Tensor) -> Tensor:
        """Refuses."""
        raise _no_inverse("pseudo-inverse")

    def svd(self, shape: Shape) -> Svd | None:
        """Refuses."""
        raise _no_inverse("singular value decomposition")

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`; that of the latents."""
        return (measured[0], *self._shape)


def _no_inverse(what: str) -> UsageError:
    return UsageError(f"a degradation of latents has no {what}: take a method that needs its gradient alone, as dps")
