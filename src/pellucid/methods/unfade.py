r"""Faded and tinted pictures: black, white and the colour balance are reset after denoising.

Light and age reduce a print's contrast, unevenly between its dyes. As in a scanner's automatic levels, each channel is
stretched linearly between two of its percentiles, which keeps the order of tones:

.. math:: x_c = t_0 + (t_1 - t_0) \frac{y_c - l_c}{h_c - l_c}

To keep a part of the tint, both ends move towards the mean of the channels: a red wall is no colour cast.

References:
    Finlayson and Trezzi, "Shades of gray and colour constancy", CIC 2004: a cast from the channels' own statistics.
    Limare et al., "Simplest color balance", Image Processing On Line 1, 2011: levels of each channel from percentiles.
        https://doi.org/10.5201/ipol.2011.llps-scb
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..diagnosis.exposure import quantiles
from ..maths.noise import Streams
from ..maths.problem import to_model, to_unit
from ..priors.prior import Counted
from .method import State
from .noisefirst import NoiseFirst
from .plan import Framing


def levels(y: Tensor, black: float, white: float, balance: float, gain: float) -> Tensor:
    """Stretches a picture, (1, C, H, W) in [-1, 1]: its darkest values to `black`, its brightest to `white`.

    Args:
        y: the picture. A channel that already spans the range stays unchanged.
        black: value below which one in 200 of a channel lies afterwards, in [0, 1].
        white: value above which one in 200 lies afterwards.
        balance: share of the channels' difference to remove, [0, 1].
        gain: the most that contrast is multiplied by.
    """
    unit = to_unit(y)
    low, high = quantiles(y)
    low, high = (torch.lerp(ends.mean(), ends, balance) for ends in (low, high))
    wide = (high - low).clamp_min(1e-3)
    factor = ((white - black) / wide).clamp(1, gain)
    # Where the stretch is bounded, or not needed, brightness stays as far as it can.
    half, middle = factor * wide / 2, (low + high) / 2
    moved = torch.where(half * 2 > white - black + 1e-6, middle, middle.clamp(black + half, white - half))
    shift = moved - factor * middle
    shape = (1, -1, 1, 1)
    return to_model((factor.view(shape).to(unit) * unit + shift.view(shape).to(unit)).clamp(0, 1))


@dataclass(frozen=True)
class Stretching:
    """Resets black, white and balance; see `plan.Treatment`."""

    frame: ClassVar[Framing] = "treated"

    black: float
    white: float
    balance: float
    gain: float
    nfe: int = 0

    @property
    def note(self) -> str:
        """Note on the treatment."""
        return "contrast and colours stretched"

    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`."""
        x = levels(y, self.black, self.white, self.balance, self.gain)
        yield State(1, 1, 0.0, x, x, prior.nfe)


@dataclass(frozen=True)
class Unfade(NoiseFirst):
    """Removes the noise of a faded or tinted picture, then stretches the contrast of each channel.

    Costs as much as `Denoise`: at most 10 evaluations to estimate the noise and 5 to remove it. It is for pictures that
    are known to be faded: fog and evening light look alike.

    Attributes:
        black: where the darkest values of each channel go, in [0, 1].
        white: where the brightest values go, in [0, 1].
        balance: share of the difference between the channels' ends to remove, [0, 1]; 0 keeps every tint.
        gain: the most that contrast is multiplied by.
    """

    black: float = 0.03
    white: float = 0.95
    balance: float = 1.0
    gain: float = 2.5

    def __post_init__(self) -> None:
        self.require(0 <= self.black < 1, "black", "from 0, below 1")
        self.require(self.black < self.white <= 1, "white", "above black, at most 1")
        self.require(0 <= self.balance <= 1, "balance", "from 0 to 1")
        self.require(1 <= self.gain <= 1000, "gain", "from 1 to 1000")

    def treatment(self) -> Stretching:
        """See `NoiseFirst`."""
        return Stretching(self.black, self.white, self.balance, self.gain)
