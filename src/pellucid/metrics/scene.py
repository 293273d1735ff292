r"""Statistics of natural scenes: 18 numbers for each patch and scale that damage changes.

In photographs, brightness minus its local mean, over its local deviation, is nearly Gaussian. An asymmetric generalised
Gaussian of shape alpha and widths beta is fitted to it and to its products with four neighbours,

.. math:: f(x) \propto \exp\left( -(|x| / \beta_{l, r})^\alpha \right), \quad \beta_l \text{ left of 0, } \beta_r
    \text{ right of it}

References:
    Mittal, Soundararajan, Bovik, "Making a Completely Blind Image Quality Analyzer" (NIQE), IEEE SPL 20(3), 2013,
        eq. 1 to 8.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 96
"""Side of a patch at full scale, in pixels."""

FEATURES = 36

# 7 x 7 pixels, of a spread that the authors' code has; lightness is in steps of 8 bits, so that 1 is one step.
_SIZE, _SPREAD = 7, 7 / 6
_FLAT = 1e-9
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def features(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Statistics of all whole patches of one image, from its upper left corner on.

    Args:
        luma: (1, 1, H, W) in [0, 1], H and W at least 96.

    Returns:
        (P, 36), float64, NaN for flat patches; and the sharpness of each, its mean local deviation, (P,).
    """
    height, width = (side // PATCH * PATCH for side in luma.shape[-2:])
    image = 255 * luma[..., :height, :width].double()
    found, sharpness = [], torch.empty(0)
    for patch in (PATCH, PATCH // 2):
        mean = _local(image)
        deviation = (_local(image * image) - mean * mean).abs().sqrt()
        blocks = _blocks((image - mean) / (deviation + 1), patch)
        found.append(_statistics(blocks))
        if patch == PATCH:
            sharpness = _blocks(deviation, patch).mean((1, 2))
            image = F.interpolate(image, scale_factor=0.5, mode="bicubic", antialias=True)
    return torch.cat(found, 1), sharpness


def _local(x: Tensor) -> Tensor:
    position = torch.arange(_SIZE, dtype=x.dtype) - _SIZE // 2
    row = torch.exp(-0.5 * (position / _SPREAD) ** 2)
    row = (row / row.sum()).view(1, 1, 1, -1)
    padded = F.pad(x, (_SIZE // 2,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, row), row.mT)


def _blocks(x: Tensor, side: int) -> Tensor:
    """Cuts adjacent squares, (P, side, side)."""
    return F.unfold(x, side, stride=side)[0].T.reshape(-1, side, side)


def _statistics(blocks: Tensor) -> Tensor:
    shape, left, right = _fitted(blocks)
    found = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _fitted(blocks * blocks.roll(shift, (1, 2)))
        # The mean of the fitted distribution (eq. 8).
        mean = (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        found += [shape, mean, left, right]
    return torch.stack(found, 1)


def _fitted(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape and both widths of the distribution with each block's moments, (P,) each; NaN if there is none."""
    values = blocks.flatten(1)
    # What rounding leaves of a flat patch has moments, too, but they mean nothing.
    values = torch.where(values.abs().amax(1, keepdim=True) > _FLAT, values, torch.nan)
    spread_left, spread_right = (_spread(values, values.sign() == sign) for sign in (-1, 1))
    ratio = spread_left / spread_right
    moment = values.abs().mean(1).square() / values.square().mean(1)
    moment = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, moments = _table()
    shape = shapes[(moments - moment[:, None]).square().argmin(1)]
    shape = torch.where(moment.isfinite(), shape, torch.nan)
    width = torch.exp(0.5 * (torch.lgamma(1 / shape) - torch.lgamma(3 / shape)))
    return shape, spread_left * width, spread_right * width


def _spread(values: Tensor, side: Tensor) -> Tensor:
    return ((values.square() * side).sum(1) / side.sum(1)).sqrt()


@lru_cache(maxsize=1)
def _table() -> tuple[Tensor, Tensor]:
    """Shapes from 0.2 to 10 in steps of 0.001, and the squared mean over the mean square of each distribution."""
    shapes = torch.arange(200, 10001, dtype=torch.float64) / 1000
    return shapes, torch.exp(2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes))
