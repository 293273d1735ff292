r"""Structural similarity.

.. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}{(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

with means and (co)variances under a Gaussian window of 11 x 11 pixels and standard deviation 1.5, c_1 = 0.01^2 and
c_2 = 0.03^2 for images in [0, 1], averaged over all places where the whole window fits, and over the channels.

References:
    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004,
        eq. 13 and section III.C.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PellucidError

_SIZE, _SPREAD = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(image: Tensor, clean: Tensor) -> Tensor:
    """The mean structural similarity of each image to the clean one.

    Args:
        image: (B, C, H, W) in [0, 1], H and W at least 11; values beyond are clamped first.
        clean: the same shape.

    Returns:
        1 for equal images, about 0 for unrelated ones, (B,).

    Raises:
        PellucidError: the images are smaller than the window.
    """
    if min(image.shape[-2:]) < _SIZE:
        raise PellucidError(f"SSIM needs images of at least {_SIZE}x{_SIZE}, not {tuple(image.shape[-2:])}")
    x, y = image.clamp(0, 1).double(), clean.double()
    mx, my = _windowed(x), _windowed(y)
    vx, vy = _windowed(x * x) - mx * mx, _windowed(y * y) - my * my
    covariance = _windowed(x * y) - mx * my
    likeness = (2 * mx * my + _C1) * (2 * covariance + _C2) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return likeness.flatten(1).mean(1)


def _windowed(x: Tensor) -> Tensor:
    position = torch.arange(_SIZE, dtype=x.dtype, device=x.device) - _SIZE // 2
    window = torch.exp(-0.5 * (position / _SPREAD) ** 2)
    window = (window / window.sum()).expand(x.shape[1], 1, 1, -1)
    # The window is a product, so one axis after the other.
    return F.conv2d(F.conv2d(x, window, groups=x.shape[1]), window.mT, groups=x.shape[1])
