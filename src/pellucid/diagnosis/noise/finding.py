"""The finding of a noise: its power by colour and frequency, its level and the confidence in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...maths.stabilised import Curve, Variance
from .stationary import EDGES, Spectrum, shares

LEAST = 0.02
"""Lowest credible noise level, in [-1, 1] units: 2.5 of 255."""

WHITE_CONFIDENCE = 0.99
DOUBTFUL, SURE, _LEAST_WEIGHT = 0.45, 0.7, 0.2
"""Confidence from which noise is treated, confidence from which all of it is removed, and the least weight."""
_COARSE = 0.30
_ALL = 0.95
"""Share of a picture's deviation above which what looks like noise is the picture: sand, confetti, a pen's dots.

Drawn ones have 0.98 to 1.02, and came back smeared, at 9 to 18 dB. Of 534 training crops two are so even that noise of
25 of 255 would have as much.
"""


@dataclass(frozen=True)
class Noise:
    """Noise of one picture.

    Attributes:
        spectrum: its power by colour and frequency.
        white: level on each colour axis, in [-1, 1] units, for white noise: independent between pixels and channels, or
            on the grey axis of a grey picture. Else 0.
        confidence: see `Finding`.
        numbers: numbers behind the confidence.
        variance: dependence on brightness, for noise that has one; another spectrum than white is then that of the
            picture made uniform.
        scale: factor of the reduction of the picture that all this holds for: there, coarse noise is fine.
        coded: whether it was white, as a sensor's, before a JPEG compression that made it uneven, or left little of it.
    """

    spectrum: Spectrum
    white: float
    confidence: float
    numbers: dict[str, float] = field(default_factory=dict, compare=False)
    variance: Variance | Curve | None = None
    coded: bool = False
    scale: int = 1

    @property
    def level(self) -> float:
        """Root mean square over pixels and channels, in [-1, 1] units."""
        return self.spectrum.level

    @property
    def weight(self) -> float:
        """Share of the change to keep after its removal, [0, 1]; less for doubtful noise."""
        return min(max((self.confidence - DOUBTFUL) / (SURE - DOUBTFUL), _LEAST_WEIGHT), 1.0)

    @property
    def grain(self) -> float:
        """Frequency below which three quarters of the power lie, in cycles a pixel: 0.55 if white."""
        power = (self.spectrum.power * shares()).sum(0)
        total = power.cumsum(0) / power.sum()
        return EDGES[int((total < 0.75).sum()) + 1] / self.scale

    @property
    def coarse(self) -> bool:
        """True if it has hardly any fine waves in the picture that it holds for."""
        return not self.white and self.grain * self.scale <= _COARSE

    @property
    def colourless(self) -> bool:
        """True if it has hardly any colour, as grain."""
        return self._chroma < 1 / 3

    @property
    def _chroma(self) -> float:
        """Level of the colours over that of the grey axis."""
        grey, *colours = self.spectrum.levels
        return math.sqrt(sum(colour**2 for colour in colours) / 2) / grey if colours else 0.0

    @property
    def text(self) -> str:
        """Its level of 255 and its kind."""
        kind = "noise" if self.coded else "white noise" if self.variance is None else "noise that depends on brightness"
        if not self.white:
            coarse = "coarse " if self.grain <= _COARSE else ""
            kind = coarse + ("colour noise" if self._chroma > 1 else "grain" if self.colourless else "noise")
        return f"{kind} of {self.level * 127.5:.1f} of 255"

    @property
    def remedy(self) -> str:
        """The task."""
        return "--task denoise"

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding: levels of 255 by colour axis, its size, and its dependence on light."""
        names = ("grey", "red-blue", "green") if len(self.spectrum.power) == 3 else ()
        levels = dict(zip(names, (level * 127.5 for level in self.spectrum.levels), strict=False))
        by_light = {}
        if isinstance(self.variance, Variance):
            by_light = {"a": self.variance.a * 255**2, "b": self.variance.b * 255}
        elif self.variance is not None:
            light = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
            levels_there = (255 * self.variance.at(light).sqrt()).tolist()
            by_light = {f"at {where:g}": level for where, level in zip(light.tolist(), levels_there, strict=True)}
        by_size = {"grain": self.grain, **({"reduced": float(self.scale)} if self.scale > 1 else {})}
        return {**self.numbers, **levels, **by_size, **by_light}


def all_of(y: Tensor, spectrum: Spectrum, most: float = _ALL) -> bool:
    """True if noise would be nearly all that there is in a picture, (1, C, H, W): then it is the picture.

    Args:
        y: the picture.
        spectrum: of the noise.
        most: largest share of the picture's deviation.
    """
    return spectrum.level > most * y.std((-2, -1)).square().mean().sqrt().item()
