r"""Noise that depends on brightness: its variance a + b I, and the transform that makes it uniform.

A sensor's read noise and photons give noise of variance a + b I. Then f(I) = 2 sqrt(a + b I) / b has noise of deviation
1 at every brightness, to first order (Anscombe 1948; Foi et al. 2008, "Practical Poissonian-Gaussian noise
modeling and fitting for single-image raw-data").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .problem import to_model, to_zero_one


@dataclass(frozen=True)
class Variance:
    """Variance of noise, a + b I at brightness I; all in [0, 1] units.

    Attributes:
        a: the variance at black.
        b: difference of the variance from black to white; negative if dark places are noisier.
    """

    a: float
    b: float

    def at(self, brightness: Tensor) -> Tensor:
        """Variance at brightnesses."""
        return (self.a + self.b * brightness).clamp_min(self._least)

    @property
    def level(self) -> float:
        """Noise level after `forward`, in [-1, 1] units."""
        return 2 / self._range

    def forward(self, x: Tensor) -> Tensor:
        """Transforms images in [-1, 1] to uniform noise; black and white stay unchanged."""
        return to_model((self._root(to_zero_one(x)) - self._black) * 2 / self.b / self._range)

    def inverse(self, x: Tensor) -> Tensor:
        """Inverts the transform for denoised images, and corrects its bias of the mean, b / 4."""
        root = to_zero_one(x) * self._range * self.b / 2 + self._black
        return to_model((root.square() - self.a) / self.b + self.b / 4)

    @property
    def _least(self) -> float:
        return 0.02 * max(self.a, self.a + self.b)

    def _root(self, unit: Tensor) -> Tensor:
        return self.at(unit).sqrt()

    @property
    def _black(self) -> float:
        return float(max(self.a, self._least) ** 0.5)

    @property
    def _range(self) -> float:
        return float(2 * (max(self.a + self.b, self._least) ** 0.5 - self._black) / self.b)


_FINE = 2048
"""Number of intervals of the tables of a `Curve`."""


@dataclass(frozen=True)
class Curve:
    """Variance of noise at equally spaced brightnesses from black to white, linear between them; in [0, 1] units.

    Attributes:
        variances: two or more, above 0.
    """

    variances: tuple[float, ...]

    def at(self, brightness: Tensor) -> Tensor:
        """Variance at brightnesses, which are cut to [0, 1]."""
        return _read(brightness.new_tensor(self.variances), brightness.clamp(0, 1))

    @property
    def level(self) -> float:
        """Noise level after `forward`, in [-1, 1] units."""
        return 2 / self._tables[2]

    def forward(self, x: Tensor) -> Tensor:
        """Transforms images in [-1, 1] to uniform noise; black and white stay unchanged."""
        return to_model(_read(x.new_tensor(self._tables[0]), to_zero_one(x)))

    def inverse(self, x: Tensor) -> Tensor:
        """Inverts the transform for denoised images, and corrects its bias of the mean, a quarter of the slope."""
        return to_model(_read(x.new_tensor(self._tables[1]), to_zero_one(x)))

    @cached_property
    def _tables(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """The transform and its inverse at equal steps, both in [0, 1] units, and the transform's length."""
        light, knots = np.linspace(0, 1, _FINE + 1), np.linspace(0, 1, len(self.variances))
        slope = np.interp(light, knots, self.variances) ** -0.5
        length = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2)]) / _FINE
        bias = np.interp(light, knots, np.gradient(self.variances, knots)) / 4
        forward = length / length[-1]
        return forward, np.interp(light, forward, light + bias), float(length[-1])


def _read(table: Tensor, at: Tensor) -> Tensor:
    """Reads a table at positions from 0 to 1, linear between its entries, and beyond its ends."""
    place = at * (len(table) - 1)
    low = place.detach().floor().clamp(0, len(table) - 2)
    index = low.long()
    return torch.lerp(table[index], table[index + 1], place - low)
