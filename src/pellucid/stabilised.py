r"""Noise that depends on brightness: its variance, a + b I, and the transform that makes it the same everywhere.

Of an image with noise of variance a + b I (a sensor's: read noise and photons), f(I) = 2 sqrt(a + b I) / b has noise of
deviation 1 at every brightness, to first order (Anscombe 1948; Foi et al. 2008, "Practical Poissonian-Gaussian noise
modeling and fitting for single-image raw-data").
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .problem import to_model, to_zero_one


@dataclass(frozen=True)
class Variance:
    """The variance of noise, a + b I at a brightness I; all in [0, 1] units.

    Attributes:
        a: at black.
        b: how much more there is at white; below 0 where dark places are noisier.
    """

    a: float
    b: float

    @property
    def level(self) -> float:
        """Of the noise after `forward`, in [-1, 1] units."""
        return 2 / self._range

    def forward(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] to where their noise is the same everywhere; black and white stay where they are."""
        return to_model((self._root(to_zero_one(x)) - self._black) * 2 / self.b / self._range)

    def inverse(self, x: Tensor) -> Tensor:
        """Denoised images back; with what the curve of the transform had taken from the mean, b / 4."""
        root = to_zero_one(x) * self._range * self.b / 2 + self._black
        return to_model((root.square() - self.a) / self.b + self.b / 4)

    @property
    def _least(self) -> float:
        return 0.02 * max(self.a, self.a + self.b)

    def _root(self, unit: Tensor) -> Tensor:
        return (self.a + self.b * unit).clamp_min(self._least).sqrt()

    @property
    def _black(self) -> float:
        return float(max(self.a, self._least) ** 0.5)

    @property
    def _range(self) -> float:
        return float(2 * (max(self.a + self.b, self._least) ** 0.5 - self._black) / self.b)
