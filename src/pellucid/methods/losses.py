r"""Losses without a reference for a well-lit photograph: exposure, tint, smoothness, and fidelity.

Methods that brighten low light have no clean image to compare with. They use these four losses:

.. math::
    L_{spa} &= \frac{1}{K} \sum_i \sum_{j \in \Omega(i)} (|Y_i - Y_j| - |I_i - I_j|)^2 \quad (4) \\
    L_{exp} &= \frac{1}{M} \sum_k |Y_k - E| \quad (5) \\
    L_{col} &= \sum_{(p, q)} (J^p - J^q)^2 \quad (6) \\
    L_{tv} &= \mathrm{mean}\left((|\nabla_x A| + |\nabla_y A|)^2\right) \quad (7)

with the paper's numbers of its equations. Y and I are means over the channels and over regions, of the enhanced and of
the original image; J^p is the mean of a channel. All are per image and differentiable. The authors' released code
squares the difference of (5), omits the absolute values of (4), and compares the border with 0; this module follows the
paper.

References:
    Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020.
        https://arxiv.org/abs/2001.06826
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..metrics import ssim


def exposure(x: Tensor, level: float = 0.6, region: int = 16) -> Tensor:
    """Distance of regions from a good exposure (eq. 5).

    Args:
        x: (B, C, H, W) in [0, 1].
        level: E, the brightness of a well-exposed region.
        region: side of a region in pixels. Those at the right and lower border may be smaller.

    Returns:
        The mean over the regions of |brightness - level|, (B,).
    """
    return (_regions(x, region) - level).abs().flatten(1).mean(1)


def colour_constancy(x: Tensor) -> Tensor:
    """Distance of the image's mean from grey (eq. 6).

    Args:
        x: (B, C, H, W) in [0, 1].

    Returns:
        The sum over all pairs of channels of the squared difference of their means, (B,); 0 for one channel.
    """
    means = x.flatten(2).mean(2)
    pairs = [(means[:, p] - means[:, q]).square() for p, q in combinations(range(x.shape[1]), 2)]
    return torch.stack(pairs).sum(0) if pairs else means[:, 0] * 0


def illumination_smoothness(maps: Tensor) -> Tensor:
    """Change of maps of the light from pixel to pixel (eq. 7).

    Args:
        maps: (B, N, H, W), whatever their number and unit.

    Returns:
        The mean over maps and pixels of (|gradient along x| + |gradient along y|)^2, by forward differences that are 0
        at the last column and row, (B,). The paper sums over the three channels instead, which is three times as much.
    """
    across = F.pad(maps.diff(dim=-1), (0, 1)).abs()
    down = F.pad(maps.diff(dim=-2), (0, 0, 0, 1)).abs()
    return (across + down).square().flatten(1).mean(1)


def spatial_consistency(enhanced: Tensor, original: Tensor, region: int = 4) -> Tensor:
    """Difference of the contrast between neighbouring regions from the original's (eq. 4).

    Args:
        enhanced: (B, C, H, W) in [0, 1].
        original: the original image, of the same shape.
        region: side of a region in pixels; see `exposure`.

    Returns:
        The mean over the regions of the squared differences of contrast to the up to four neighbours, (B,); 0 for a
        single region.
    """
    after, before = _regions(enhanced, region), _regions(original, region)
    total = enhanced.new_zeros(len(enhanced))
    for axis in (-2, -1):
        change = after.diff(dim=axis).abs() - before.diff(dim=axis).abs()
        # Each pair counts twice: once from either side.
        total = total + 2 * change.square().flatten(1).sum(1)
    return total / after[0].numel()


def ssim_loss(x: Tensor, y: Tensor) -> Tensor:
    """Structural difference of two images: 1 - SSIM, (B,); see `metrics.ssim`, which also clamps x to [0, 1].

    Args:
        x: (B, C, H, W) in [0, 1], H and W at least 11.
        y: the same shape.

    Raises:
        PellucidError: the images are smaller than SSIM's window.
    """
    return (1 - ssim(x, y)).to(x)


def _regions(x: Tensor, side: int) -> Tensor:
    """Mean brightness of square regions, (B, 1, h, w)."""
    return F.avg_pool2d(x.mean(1, keepdim=True), side, ceil_mode=True)
