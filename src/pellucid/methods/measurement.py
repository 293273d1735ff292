"""The noise of a measurement, for methods that know the degradation and are told one level of white noise.

Where the measurement is a picture, its noise is diagnosed as `auto` does it. White noise of a colour picture is what
the methods are made for: they are told its level. All other noise is removed from the measurement first, by the very
same treatment, and the method solves for what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diagnosis import CALLS as LOOKS
from ..diagnosis import noise_alone
from ..noise import Streams
from ..operators import AveragePool, Bicubic, Mask
from ..priors.prior import Counted, Prior
from ..problem import Problem
from . import walk

CALLS = LOOKS + walk.CALLS
"""The most evaluations that `treated` makes."""

_LEFT = 0.75
"""The level that a method is told after noise was removed, over what it was: errors of a denoiser are no white noise.

Two blurred training crops with grey noise of 10, RED at a fifth, half, three quarters and all of what was found: 19.9,
22.4, 22.4 and 22.3 dB; 22.1 without removal.
"""

_SIDE, _WHOLE, _COPIES = 16, 0.2, 8
"""Blocks of this side without a hole that a picture must have, as a share of all; and copies that fill holes."""


@dataclass(frozen=True)
class Treated:
    """A problem whose noise is known.

    Attributes:
        problem: with the level of the white noise that is in the measurement, of which other noise was removed.
        note: the noise that was found; empty for none.
        nfe: evaluations that were made.
    """

    problem: Problem
    note: str = ""
    nfe: int = 0


@torch.no_grad()
def treated(problem: Problem, prior: Prior, rng: Streams) -> Treated:
    """Looks for the noise of one measurement, and removes what no method can be told of.

    Costs at most `CALLS` evaluations of the measurement. A level of 0 says that what was measured is to stay as it is
    where it has no noise: where some was removed, none is taken to be left.

    Args:
        problem: a measurement that is a picture, (1, C, H, W), with what is taken for its noise where none is found.
        prior: the prior.
        rng: the picture's random stream.
    """
    counted, operator = Counted(prior), problem.operator
    picture = problem.y.expand(-1, prior.channels, -1, -1)
    if isinstance(operator, Mask):
        missing = (operator.known.to(picture) == 0).any(1, keepdim=True).expand(1, 1, *picture.shape[-2:])
        if _whole(missing) < _WHOLE:
            return Treated(problem)
        picture = filled(picture, missing)
    stage = walk.treatment(noise_alone(counted, picture), 1.0)
    if stage is None or (isinstance(operator, AveragePool | Bicubic) and not stage.noise.white):
        # Texture of a small picture looks like grain, and is never white; see `Enlarge`.
        return Treated(problem, nfe=counted.nfe)
    noise, name = stage.noise, f"{stage.noise.text}, grey" if stage.grey else stage.noise.text
    if noise.white and noise.variance is None and not stage.grey:
        # The higher of two estimates: telling too little costs more than telling too much.
        return Treated(replace(problem, sigma_y=max(noise.white, problem.sigma_y or 0.0)), name, counted.nfe)
    *_, state = stage.iterate(picture, counted, rng)
    clean = state.x.mean(1, keepdim=True) if problem.y.shape[1] < prior.channels else state.x
    clean = operator.A(clean) if isinstance(operator, Mask) else clean
    left = _LEFT * noise.level if problem.sigma_y else problem.sigma_y
    partly = " partly" if noise.weight < 1 else ""
    return Treated(replace(problem, y=clean, sigma_y=left), f"{name},{partly} removed first", counted.nfe)


def _whole(missing: Tensor) -> float:
    """The share of blocks without a hole."""
    sides = [min(_SIDE, size) for size in missing.shape[-2:]]
    return 1 - F.max_pool2d(missing.float(), sides, [max(side // 2, 1) for side in sides]).mean().item()


def filled(y: Tensor, missing: Tensor) -> Tensor:
    """A picture whose holes are filled with other parts of it, whose noise is like that of the rest.

    All of it is moved by the shortest way that brings the fewest holes over holes, and shows through them; what is left
    is filled in the same manner.

    Args:
        y: (1, C, H, W).
        missing: True where it is unknown, (1, 1, H, W).
    """
    height, width = missing.shape[-2:]
    down, right = (torch.fft.fftfreq(size, 1 / size).to(y.device) for size in (height, width))
    # Less than one pixel in all: of ways with as many holes over holes the shortest.
    length = torch.hypot(down[:, None], right[None]) / (height + width)
    for _ in range(_COPIES):
        if not missing.any():
            break
        power = torch.fft.rfft2(missing[0, 0].float()).abs().square()
        best = int((torch.fft.irfft2(power, s=(height, width)).round() + length).argmin())
        way = (best // width, best % width)
        there = missing.roll(way, (-2, -1))
        y = torch.where(missing & ~there, y.roll(way, (-2, -1)), y)
        missing = missing & there
    return y
