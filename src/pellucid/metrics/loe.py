r"""Lightness order error: the number of pairs of pixels whose order an enhancement changed.

.. math:: \frac{1}{m} \sum_x \sum_y \left[ (L(x) \ge L(y)) \oplus (L_e(x) \ge L_e(y)) \right]

with the lightness L, the largest of a pixel's colours, of the dark input and of the enhanced image, both reduced to m
pixels first. The figure grows with m, so it depends more on the size of the reduction than on its filter.

References:
    Wang et al., "Naturalness Preserved Enhancement Algorithm for Non-Uniform Illumination Images", IEEE TIP 22(9),
        2013, eq. 10 to 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from .metric import Metric
from .view import view

Reduction = Literal["bicubic", "sampled"]


@dataclass(frozen=True)
class Loe(Metric):
    """LOE of enhanced images against their dark inputs.

    Attributes:
        side: of the reduced images' shorter side, in pixels, 2 or more. published code has 50; smaller images stay
            unchanged.
        reduction: "bicubic", to exactly that side; "sampled", every n-th pixel of the largest lightness within 7 pixels
            around, n a whole number. Two programs in use give these two different figures.

    Raises:
        UsageError: an option is out of range.

    Example:
        >>> x = torch.rand(1, 3, 64, 64)
        >>> metrics.Loe()(x, x).item()
        0.0
    """

    side: int = 50
    reduction: Reduction = "bicubic"

    name = "loe"
    better = "lower"
    unit = "pixels"
    against = "input"

    def __post_init__(self) -> None:
        self.require(self.side >= 2, "side", "2 pixels or more")
        self.require(self.reduction in get_args(Reduction), "reduction", "bicubic or sampled")

    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """Error of an enhanced image, rounded to 8 bits like the dark input, so that equal values keep their order.

        Args:
            image: enhanced, (1, C, H, W) in [0, 1].
            truth: the dark input, the same shape.

        Returns:
            The mean number of pixels to which a pixel's order has changed, (1,), from 0 to m.
        """
        after, before = ((255 * self._lightness(each)).round().long().flatten() for each in (image, truth))
        return _changed(after, before)[None]

    def _lightness(self, image: Tensor) -> Tensor:
        light = view(image, rounded=True).amax(1, keepdim=True)
        height, width = light.shape[-2:]
        if min(height, width) <= self.side:
            return light
        if self.reduction == "sampled":
            step = min(height, width) // self.side
            return F.max_pool2d(light, 15, 1, 7)[..., step - 1 :: step, step - 1 :: step]
        scale = self.side / min(height, width)
        size = (round(height * scale), round(width * scale))
        return view(F.interpolate(light, size, mode="bicubic", antialias=True), rounded=True)


def _changed(a: Tensor, b: Tensor) -> Tensor:
    """Mean over all pixels of the number of others whose order differs between the images; values up to 255."""
    # There are far fewer pairs of values than pairs of pixels.
    together = torch.bincount(256 * a + b, minlength=256**2).view(256, 256).double()
    both = together.cumsum(0).cumsum(1)
    changed = both[:, -1:] + both[-1:, :] - 2 * both
    return (together * changed).sum() / len(a)
