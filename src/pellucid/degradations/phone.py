"""Processing of a small camera: sensor noise, partly removed, then sharpening; the model is ours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .noise import poisson_gaussian
from .sharpness import alone, gaussian_blur

_GREEN = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]]) / 4
_OTHERS = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 4


def phone(
    image: Tensor,
    peak: float = 200.0,
    read: float = 0.01,
    smooth: float = 0.5,
    sharpen: float = 0.8,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Simulates a phone's picture in poor light.

    The sensor counts photons behind red, green and blue filters (RGGB). Interpolation of the missing colours spreads
    the noise over pixels and channels. A denoiser removes part of it, most of it from the chroma. An unsharp mask
    amplifies edges and the remaining noise. A JPEG usually follows: `phone|jpeg:90`.

    Args:
        image: (B, 1 or 3, H, W) in [0, 1]; grey images have no colour filters.
        peak: photons that a white pixel counts, above 0.
        read: standard deviation of the read noise in [0, 1] units, 0 to 1.
        smooth: share of smoothing in the luma, from 0 to 1.
        sharpen: weight of the unsharp mask, 0 or more.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.phone(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= smooth <= 1 and 0 <= sharpen < math.inf):
        raise UsageError(f"a phone smooths from 0 to 1 and sharpens by 0 or more, not {smooth} and {sharpen}")
    noisy = poisson_gaussian(image, peak, read, seed)
    return alone(lambda one: _processed(one, smooth, sharpen), noisy)


def _processed(raw: Tensor, smooth: float, sharpen: float) -> Tensor:
    colours = _demosaiced(raw) if raw.shape[1] == 3 else raw
    luma = colours.mean(1, keepdim=True)
    chroma = gaussian_blur((colours - luma) / 2 + 0.5, 2.0) * 2 - 1
    luma = torch.lerp(luma, gaussian_blur(luma, 1.0), smooth)
    luma = luma + sharpen * (luma - gaussian_blur(luma, 1.2))
    return (luma + chroma).clamp(0, 1)


def _demosaiced(image: Tensor) -> Tensor:
    """Interpolates bilinearly the one colour that each pixel of an RGGB sensor sees."""
    height, width = image.shape[-2:]
    row, column = torch.arange(height)[:, None] % 2, torch.arange(width) % 2
    seen = torch.stack([(row == 0) & (column == 0), row != column, (row == 1) & (column == 1)]).to(image)
    kernels = torch.stack([_OTHERS, _GREEN, _OTHERS])[:, None].to(image)
    # A colour's pixels are counted like its light, so that edges and tiny images need no rule of their own.
    light = F.conv2d(image * seen, kernels, padding=1, groups=3)
    count = F.conv2d(seen[None].contiguous(), kernels, padding=1, groups=3)
    return torch.where(count > 0, light / count.clamp_min(1e-6), image)
