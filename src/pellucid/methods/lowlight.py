r"""Low light: the noise is taken away where it was made, in the dark picture; then the picture is brightened.

A gain multiplies noise with the picture, and bends white noise into noise that no denoiser was made for. So the noise
goes first. The light is GDP's model, one factor for all of the picture (its eq. 10 without the map), and a curve after
it, as a camera's own tone curve is not known:

.. math:: x = (\min(1, f\, y))^{1 / \gamma}

f brings the brightest values to `white`. gamma brings the mean to `level`, as GDP's exposure loss does, where the
factor alone leaves it darker.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement" (GDP), CVPR 2023: the light.
        https://arxiv.org/abs/2304.01247
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ..diagnosis import exposure
from ..noise import Streams
from ..priors.prior import Counted
from ..problem import to_model, to_unit
from .method import State
from .noisefirst import NoiseFirst


def curve(y: Tensor, white: float, level: float, gain: float, gamma: float) -> Tensor:
    """A picture, (1, C, H, W) in [-1, 1], with its brightest values at `white` and its mean at `level`.

    Args:
        y: the picture; one that is brighter already stays as it is.
        white: where the brightest values go, in [0, 1].
        level: where the mean luma goes, in [0, 1].
        gain: the most that light is multiplied by.
        gamma: the most that the curve is bent.
    """
    factor = min(max(white / max(exposure.measure(y).white, 1e-3), 1.0), gain)
    lit = (factor * to_unit(y)).clamp(0, 1)
    low, high = 1.0, gamma
    # The mean grows with gamma: halving the interval finds it to a thousandth.
    for _ in range(12):
        middle = (low + high) / 2
        if exposure.measure(to_model(lit ** (1 / middle))).mean < level:
            low = middle
        else:
            high = middle
    return to_model(lit if low == 1.0 else lit ** (1 / low))


@dataclass(frozen=True)
class Brightening:
    """Brightens a picture; see `plan.Treatment`."""

    white: float
    level: float
    gain: float
    gamma: float
    nfe: int = 0

    @property
    def note(self) -> str:
        """The phrase."""
        return "brightened"

    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`."""
        x = curve(y, self.white, self.level, self.gain, self.gamma)
        yield State(1, 1, 0.0, x, x, prior.nfe)


@dataclass(frozen=True)
class LowLight(NoiseFirst):
    """Removes the noise of a dark picture, then brightens it by a factor and a curve.

    Costs what `Denoise` does: at most 10 evaluations to find the noise and 5 to remove it.

    Attributes:
        white: where the brightest values go, in [0, 1].
        level: where the mean goes, in [0, 1], if the factor alone leaves it below.
        gain: the most that light is multiplied by.
        gamma: the most that the curve is bent; 1 for none, as where the file is linear.
    """

    white: float = 0.95
    level: float = 0.4
    gain: float = 20.0
    gamma: float = 2.5

    def __post_init__(self) -> None:
        self.require(0 < self.white <= 1, "white", "above 0, at most 1")
        self.require(0 < self.level < 1, "level", "between 0 and 1")
        self.require(1 <= self.gain <= 1000, "gain", "from 1 to 1000")
        self.require(1 <= self.gamma <= 10, "gamma", "from 1 to 10")

    def treatment(self) -> Brightening:
        """See `NoiseFirst`."""
        return Brightening(self.white, self.level, self.gain, self.gamma)
