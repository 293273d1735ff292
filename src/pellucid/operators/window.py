"""Convolution measured on a part of the image, whose continuation beyond the edges is unknown."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .blur import Blur, extended
from .operator import Operator, Shape


class Window(Operator):
    """Convolution with a kernel, measured only where all of the kernel lies within the image.

    An image (B, C, H + h - 1, W + w - 1) gives a measurement (B, C, H, W). The surroundings of the measurement are part
    of the unknown image, so no border model is needed.

    Args:
        kernel: (h, w), odd sides.

    Raises:
        UsageError: a side is even.
    """

    def __init__(self, kernel: Tensor) -> None:
        if not (kernel.shape[-2] % 2 and kernel.shape[-1] % 2):
            raise UsageError(f"a window's kernel has odd sides, not {tuple(kernel.shape)}")
        # Around the border goes only what is not measured, and what is added to a side for a fast transform.
        self._blur = Blur(kernel)
        self.edge = (kernel.shape[0] // 2, kernel.shape[1] // 2)

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        height, width = x.shape[-2:]
        return self.inside(self._blur.A(extended(x))[..., :height, :width])

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        top, left = self.edge
        height, width = y.shape[-2] + 2 * top, y.shape[-1] + 2 * left
        return self._blur.At(extended(F.pad(y, (left, left, top, top))))[..., :height, :width]

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (*measured[:2], measured[2] + 2 * self.edge[0], measured[3] + 2 * self.edge[1])

    def inside(self, x: Tensor) -> Tensor:
        """Part of an image that corresponds to the measurement."""
        top, left = self.edge
        return x[..., top : x.shape[-2] - top, left : x.shape[-1] - left]

    def around(self, y: Tensor) -> Tensor:
        """Extends a measurement to an image by repeating its edge."""
        top, left = self.edge
        return F.pad(y, (left, left, top, top), mode="replicate")
