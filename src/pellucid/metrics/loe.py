r"""Lightness order error: how many pairs of pixels an enhancement of low light has put into another order.

.. math:: \frac{1}{m} \sum_x \sum_y \left[ (L(x) \ge L(y)) \oplus (L_e(x) \ge L_e(y)) \right]

with the lightness L, the largest of a pixel's colours, of the dark input and of the enhanced image, both reduced to m
pixels first. The figure grows with m, so that it depends on the reduction more than on its filter.

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
    """LOE of enhanced images against the dark ones that they were made of.

    Attributes:
        side: of the reduced images' shorter side, in pixels, 2 or more. 50 is what published code has; images that are
            smaller stay as they are.
        reduction: "bicubic", to exactly that side; "sampled", every n-th pixel of the largest lightness within 7 pixels
            around, n a whole number: two programs in use, of different figures.

    Raises:
        UsageError: an option is out of range.
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
        """The error of an enhanced image, rounded to 8 bits as the dark input is: equal values are of one order.

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
    """The mean over all pixels of how many others are not above them in one of two images alone; values to 255."""
    # There are far fewer pairs of values than pairs of pixels.
    together = torch.bincount(256 * a + b, minlength=256**2).view(256, 256).double()
    both = together.cumsum(0).cumsum(1)
    changed = both[:, -1:] + both[-1:, :] - 2 * both
    return (together * changed).sum() / len(a)
