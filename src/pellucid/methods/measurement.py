"""Noise of a measurement, for methods of known degradations that take a single level of white noise.

If the measurement is a picture, its noise is diagnosed as in `auto`. White noise of a colour picture suits the methods,
which get its level. Any other noise is removed from the measurement first, by the same treatment, and the method works
on the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diagnosis import CALLS as LOOKS
from ..diagnosis import Noise, noise_alone
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import AveragePool, Bicubic, Mask
from ..priors.denoisers import Blind
from ..priors.prior import Counted, Prior, innermost
from . import walk

CALLS = LOOKS + walk.CALLS
"""Largest number of evaluations in `treated`."""

_LEFT = 0.75
"""Assumed level after the removal of noise, relative to the original level: a denoiser's errors are no white noise.

Two blurred training crops with grey noise of 10, RED at a fifth, half, three quarters and all of the estimated level:
19.9, 22.4, 22.4 and 22.3 dB; 22.1 without removal.
"""

_PICTURES = (1, 3)
"""Channels of pictures; images with others are latents."""

_SIDE, _WHOLE, _COPIES = 16, 0.2, 8
"""Side and least share of blocks without a hole in a usable picture, and number of copies that fill holes."""


def tells(prior: Prior) -> bool:
    """True if a prior can estimate noise of any kind.

    Latents have neither colours nor calm blocks, and a denoiser without a level input has a fixed strength. For these,
    one estimated level describes all noise.
    """
    return prior.channels in _PICTURES and not isinstance(innermost(prior), Blind)


@dataclass(frozen=True)
class Treated:
    """A problem with a known noise level.

    Attributes:
        problem: the problem with its level of white noise, after the removal of other noise.
        note: description of the noise; empty for none.
        nfe: number of evaluations.
    """

    problem: Problem
    note: str = ""
    nfe: int = 0


@torch.no_grad()
def treated(problem: Problem, prior: Prior, rng: Streams) -> Treated:
    """Diagnoses the noise of one measurement, and removes noise that methods cannot take.

    Costs at most `CALLS` evaluations on the measurement. A default level of 0 means that a noiseless measurement stays
    unchanged; then no noise is assumed after a removal either.

    Args:
        problem: a measurement that is a picture, (1, C, H, W), with its default noise level.
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
    if stage is None or (isinstance(operator, AveragePool | Bicubic) and not undoubted(stage.noise)):
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


def undoubted(noise: Noise) -> bool:
    """True for noise to remove from a small picture, whose texture is as fine as grain, and is never white.

    Of 34 training photographs, reduced by 3 to 80x80 pixels, none has other noise that is to be removed entirely. Grain
    of one pixel and 12 of 255 is found so in 23 of them.
    """
    return bool(noise.white) or noise.weight == 1


def _whole(missing: Tensor) -> float:
    """Share of blocks without a hole."""
    sides = [min(_SIDE, size) for size in missing.shape[-2:]]
    return 1 - F.max_pool2d(missing.float(), sides, [max(side // 2, 1) for side in sides]).mean().item()


def filled(y: Tensor, missing: Tensor) -> Tensor:
    """Fills a picture's holes with other parts of it, which have the same noise.

    A copy, shifted by the shortest way with the fewest holes over holes, fills them; remaining holes are filled in the
    same way.

    Args:
        y: (1, C, H, W).
        missing: mask of unknown pixels, (1, 1, H, W).
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
