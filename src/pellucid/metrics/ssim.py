r"""Structural similarity.

.. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}{(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

with means and (co)variances under a window, c_1 = (0.01 L)^2 and c_2 = (0.03 L)^2 for images of range L, averaged over
places and channels. The paper's window is a Gaussian of 11 x 11 pixels and standard deviation 1.5, at all places where
it fits.

References:
    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004,
        eq. 13 and section III.C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PellucidError
from .metric import Metric
from .view import Space, check, view

WindowKind = Literal["gaussian", "uniform"]
Border = Literal["valid", "reflect"]

_SIZES = {"gaussian": 11, "uniform": 7}
_SPREAD = 1.5
_K1, _K2 = 0.01, 0.03


def ssim(
    image: Tensor, clean: Tensor, window: WindowKind = "gaussian", border: Border = "valid", signed: bool = False
) -> Tensor:
    """Mean structural similarity of each image to the clean one.

    Args:
        image: (B, C, H, W) in [0, 1], H and W at least the window's side; values beyond are clamped first.
        clean: the same shape.
        window: "gaussian", 11 x 11 pixels of standard deviation 1.5; "uniform", 7 x 7 equal ones, with sample variances
            (division by 48 for 49 pixels), as in scikit-image by default.
        border: "valid" for places where the window fits; "reflect" for all places, with a mirrored border.
        signed: whether images count as [-1, 1] of range 2, which gives another number.

    Returns:
        1 for equal images, about 0 for unrelated ones, (B,).

    Raises:
        PellucidError: the images are smaller than the window.

    Example:
        >>> x = torch.rand(2, 3, 32, 32)
        >>> metrics.ssim(x, x)
        tensor([1., 1.], dtype=torch.float64)
    """
    size = _SIZES[window]
    if min(image.shape[-2:]) < size:
        raise PellucidError(f"SSIM needs images of at least {size}x{size}, not {tuple(image.shape[-2:])}")
    x, y = image.clamp(0, 1).double(), clean.double()
    if signed:
        x, y = 2 * x - 1, 2 * y - 1
    if border == "reflect":
        x, y = (F.pad(each, (size // 2,) * 4, mode="reflect") for each in (x, y))
    mean = _Windowed(window, x)
    share = 1.0 if window == "gaussian" else size**2 / (size**2 - 1)
    mx, my = mean(x), mean(y)
    vx, vy = share * (mean(x * x) - mx * mx), share * (mean(y * y) - my * my)
    covariance = share * (mean(x * y) - mx * my)
    full = 2.0 if signed else 1.0
    c1, c2 = (_K1 * full) ** 2, (_K2 * full) ** 2
    likeness = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return likeness.flatten(1).mean(1)


class _Windowed:
    """Mean under a window, at every place where it fits."""

    def __init__(self, window: WindowKind, like: Tensor) -> None:
        size = _SIZES[window]
        position = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
        row = torch.exp(-0.5 * (position / _SPREAD) ** 2) if window == "gaussian" else torch.ones_like(position)
        self._row = (row / row.sum()).expand(like.shape[1], 1, 1, -1)

    def __call__(self, x: Tensor) -> Tensor:
        # The window is a product, so one axis after the other.
        return F.conv2d(F.conv2d(x, self._row, groups=x.shape[1]), self._row.mT, groups=x.shape[1])


@dataclass(frozen=True)
class Ssim(Metric):
    """`ssim` by a paper's protocol.

    Attributes:
        window: see `ssim`.
        border: see `ssim`.
        space: "rgb", the mean over the channels; "y" or "grey"; see `view`.
        crop: pixels cut off at each side.
        rounded: whether to round to 8 bits first.
        signed: see `ssim`.

    Raises:
        UsageError: an option is out of range.

    Example:
        >>> x = torch.rand(1, 3, 32, 32)
        >>> metrics.Ssim()(x, x).item()
        1.0
    """

    window: WindowKind = "gaussian"
    border: Border = "valid"
    space: Space = "rgb"
    crop: int = 0
    rounded: bool = False
    signed: bool = False

    name = "ssim"
    better = "higher"

    def __post_init__(self) -> None:
        check(self.name, self.space, self.crop)
        self.require(self.window in get_args(WindowKind), "window", "gaussian or uniform")
        self.require(self.border in get_args(Border), "border", "valid or reflect")

    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """See `Metric`."""
        shown, clean = (view(each, self.space, self.crop, self.rounded) for each in (image, truth))
        return ssim(shown, clean, self.window, self.border, self.signed)
