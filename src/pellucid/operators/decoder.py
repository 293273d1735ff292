"""The map from latents to images as part of a degradation, so that methods optimise the measured image's latents."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape, Svd
from .pixels import Denoise


class Decoder(Operator):
    """Measures an image as a function of its latents: `operator(decode(z))`.

    It is not linear; its gradient comes from autograd. There is no adjoint, no pseudo-inverse and no decomposition.

    Args:
        decode: latents (B, c, h, w) to images (B, C, H, W) in [-1, 1], differentiable; H and W are fixed.
        shape: of one image's latents, (c, h, w).
        channels: C.
        operator: measures the image; None for unknown damage.
        encode: images to latents, differentiable, for methods that need it; None without such a map.

    Attributes:
        decode: see above.
        encode: see above.
        pixels: operator on the image; the identity for unknown damage.
        partial: whether the image has further unknown damage.
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
        """Always rejected."""
        raise _no_inverse("adjoint")

    def pinv(self, y: Tensor) -> Tensor:
        """Always rejected."""
        raise _no_inverse("pseudo-inverse")

    def svd(self, shape: Shape) -> Svd | None:
        """Always rejected."""
        raise _no_inverse("singular value decomposition")

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`; the shape of the latents."""
        return (measured[0], *self._shape)


def _no_inverse(what: str) -> UsageError:
    return UsageError(f"a degradation of latents has no {what}: take a method that needs its gradient alone, as dps")
