r"""Low light: the noise is removed in the dark picture, where it arose; then the picture is brightened.

A gain amplifies noise together with the picture, and a curve turns white noise into noise that no denoiser suits. So
the noise is removed first. The light follows GDP's model, one factor for the whole picture (its eq. 10 without the
map), with a curve after it, since the camera's tone curve is unknown:

.. math:: x = (\min(1, f\, y))^{1 / \gamma}

f brings the brightest values to `white`. If the mean is still darker than `level`, gamma brings it there, as GDP's
exposure loss does.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement" (GDP), CVPR 2023: the light.
        https://arxiv.org/abs/2304.01247
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..diagnosis import exposure
from ..maths.noise import Streams
from ..maths.problem import to_model, to_unit
from ..priors.prior import Counted
from .method import State
from .noisefirst import NoiseFirst
from .plan import Framing


def curve(y: Tensor, white: float, level: float, gain: float, gamma: float) -> Tensor:
    """Brightens a picture, (1, C, H, W) in [-1, 1]: its brightest values to `white` and its mean to `level`.

    Args:
        y: the picture; a brighter one stays unchanged.
        white: where the brightest values go, in [0, 1].
        level: target of the mean luma, in [0, 1].
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

    frame: ClassVar[Framing] = "treated"

    white: float
    level: float
    gain: float
    gamma: float
    nfe: int = 0

    @property
    def note(self) -> str:
        """Note on the treatment."""
        return "brightened"

    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`."""
        x = curve(y, self.white, self.level, self.gain, self.gamma)
        yield State(1, 1, 0.0, x, x, prior.nfe)


@dataclass(frozen=True)
class LowLight(NoiseFirst):
    """Removes the noise of a dark picture, then brightens it by a factor and a curve.

    Costs as much as `Denoise`: at most 10 evaluations to estimate the noise and 5 to remove it.

    Attributes:
        white: where the brightest values go, in [0, 1].
        level: target of the mean, in [0, 1], if it is lower after the factor.
        gain: the most that light is multiplied by.
        gamma: largest exponent of the curve; 1 for none, for linear files.
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
