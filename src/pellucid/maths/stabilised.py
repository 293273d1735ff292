r"""Noise that depends on brightness: its variance a + b I, and the transform that makes it uniform.

A sensor's read noise and photons give noise of variance a + b I. Then f(I) = 2 sqrt(a + b I) / b has noise of deviation
1 at every brightness, to first order (Anscombe 1948; Foi et al. 2008, "Practical Poissonian-Gaussian noise
modeling and fitting for single-image raw-data").
"""

from __future__ import annotations

from dataclasses import dataclass

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
        return (self.a + self.b * unit).clamp_min(self._least).sqrt()

    @property
    def _black(self) -> float:
        return float(max(self.a, self._least) ** 0.5)

    @property
    def _range(self) -> float:
        return float(2 * (max(self.a + self.b, self._least) ** 0.5 - self._black) / self.b)
