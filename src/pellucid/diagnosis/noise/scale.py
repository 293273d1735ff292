"""A picture reduced until its noise is fine, and the change made there at the picture's own size.

A scan holds a photograph's grain at several pixels, where a prior takes it for picture. In the reduced picture it is
fine grain.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def reduced(y: Tensor, factor: int) -> Tensor:
    """Means of squares of `factor` pixels of images, (B, C, H, W); those at the lower and right ends may be smaller."""
    return F.avg_pool2d(y, factor, ceil_mode=True)


def changed(y: Tensor, small: Tensor, factor: int) -> Tensor:
    """Applies the change of reduced images to the whole ones, whose finer detail stays.

    Args:
        y: the images, (B, C, H, W).
        small: `reduced` ones after a change.
        factor: of the reduction.
    """
    change = F.interpolate(small - reduced(y, factor), scale_factor=factor, mode="bicubic")
    return y + change[..., : y.shape[-2], : y.shape[-1]]
