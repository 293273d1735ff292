"""A print and its scan: grey as dots of ink of different size; the generator is ours."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UsageError
from .sharpness import gaussian_blur

_FINER = 4
"""Points of the print for each pixel of the scan, along a side."""

_TURNS = (-30.0, 30.0, -45.0)
"""Angles of cyan, magenta and yellow, from that of black."""

_TONES = 256


def printed(image: Tensor, period: float = 4.0, degrees: float = 45.0, blur: float = 0.6) -> Tensor:
    """Prints images with a screen of dots, and scans the print.

    The dots grow where it is darker, so that their mean is the tone. The three inks of a picture in colour have angles
    of their own.

    Args:
        image: (B, C, H, W) in [0, 1]. Channels that are all equal are printed in black.
        period: distance of the dots in pixels, 2 to 32.
        degrees: direction of their rows; a colour's is turned by -30, 30 and -45 degrees.
        blur: standard deviation of the scanner's blur in pixels, 0 or more.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.printed(torch.rand(1, 3, 32, 32), period=5).shape
        torch.Size([1, 3, 32, 32])
    """
    if not 2 <= period <= 32:
        raise UsageError(f"the dots of a print are 2 to 32 pixels apart, not {period}")
    if not math.isfinite(degrees):
        raise UsageError("the dots of a print have a finite angle")
    return torch.cat([gaussian_blur(_inks(one, period, degrees), blur).clamp(0, 1) for one in image.split(1)])


def _inks(image: Tensor, period: float, degrees: float) -> Tensor:
    """One image in black, or in three inks."""
    if (image == image[:, :1]).all():
        return _ink(image[:, :1], period, degrees).expand_as(image)
    turns = _TURNS if image.shape[1] == 3 else (0.0,) * image.shape[1]
    return torch.cat([_ink(image[:, i : i + 1], period, degrees + turn) for i, turn in enumerate(turns)], 1)


def _ink(tone: Tensor, period: float, degrees: float) -> Tensor:
    """Tones, (B, 1, H, W), as dots of one ink."""
    height, width = (_FINER * side for side in tone.shape[-2:])
    fine = F.interpolate(tone, (height, width), mode="bilinear", align_corners=False)
    down, right = (torch.arange(side, device=tone.device) / _FINER for side in (height, width))
    turn = math.radians(degrees)
    along = (right * math.cos(turn) + down[:, None] * math.sin(turn)) / period
    across = (down[:, None] * math.cos(turn) - right * math.sin(turn)) / period
    place = torch.bucketize(_lattice(along, across), _levels().to(tone.device)) / _TONES
    return F.avg_pool2d((fine > place).to(tone.dtype), _FINER)


def _lattice(along: Tensor, across: Tensor) -> Tensor:
    return torch.cos(2 * math.pi * along) + torch.cos(2 * math.pi * across)


@lru_cache(maxsize=1)
def _levels() -> Tensor:
    """Values of the lattice below which equal shares of it lie."""
    at = (torch.arange(_TONES) + 0.5) / _TONES
    values = _lattice(at[:, None], at).flatten().sort().values
    return values[:: len(values) // _TONES][1:].contiguous()
