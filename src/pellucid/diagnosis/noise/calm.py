"""A picture, and the noise that its calmest parts permit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ...maths.few import median
from ...maths.stabilised import Curve
from ..content import Content
from ..estimate import stretches
from .blocks import GREY_MOST, blocks, calm_of, calmest, limited
from .brightness import floor
from .finding import LEAST
from .scale import reduced
from .signs import SIDE, Sort, brightness, unclipped
from .stationary import Spectrum

_SEEN, _STRETCHES, _LARGE = 384, 4, 750
_CUT, _UNIT = 128, 16
_LEAST_SIDE = 96
"""Shortest side of a reduced picture, in pixels."""
_FIRST_FINE, _SOFT = 4, 0.13
"""First band of fine waves, and their largest amplitude in a soft picture, over that of slower waves.

In the calm parts of photographs in focus, reduced to 200x200 pixels and enlarged again, it is 0.05 to 0.13; with grain
of 1.6 pixels 0.10, and of 1.2 pixels 0.23. As they were before, they have 0.15 to 0.5.
"""
_COLOURLESS = 1 / 3
"""Level that a file in colour permits, over that of the calm parts, below which its noise can have no colour only.

With grain of 1.2 pixels under JPEG 90, 7 of 14 training crops of 192x192 are below and gain 1.0 to 8.6 dB; below a half
are four more that gain. Of 160 undamaged JPEGs full of texture a third harms one, by 1.8 dB, a half four, by up to 6.1.
"""
_MANY = 500
"""Fewest blocks that bound the noise without the clipped ones: those of about 192x192 pixels."""
ROUNDS, GROW, MORE_POWER = 2, 1.15, 1.5
"""Rounds of `measure`, and the most that each of them and its last step add to the power of the bound."""


def part(y: Tensor) -> Tensor:
    """Part of a picture, (1, C, H, W), that the prior sees: each side above 750 pixels becomes 384.

    The levels of three kinds of noise from 384 pixels were within 5 % of those from 512, of coarse noise within 12 %.
    They take 0.56 of the time. Sides of 128 pixels or more lose the rest beyond a multiple of 16: a prior would fill it
    up, and a Fourier transform takes up to seven times as long where a side has a large prime factor.
    """
    y = stretches(y, _SEEN // _STRETCHES, _STRETCHES, _LARGE)
    height, width = (size // _UNIT * _UNIT if size >= _CUT else size for size in y.shape[-2:])
    return y[..., :height, :width]


@dataclass(frozen=True, eq=False)
class Calm:
    """A picture and the noise that its calmest parts permit; each number is computed once.

    Attributes:
        y: the part of a picture that the prior sees, (1, C, H, W) in [-1, 1], of 16x16 or more.
        axes: colour axes that count.
        compressed: whether the picture was a JPEG; see `limited`.
        whole: all of the picture; None where that is not known.
        scale: factor by which it was reduced.
    """

    y: Tensor
    axes: int
    compressed: bool = False
    whole: Tensor | None = None
    scale: int = 1

    @classmethod
    def of(cls, y: Tensor, content: Content, compressed: bool = False) -> Calm | None:
        """Takes the part of a picture, (1, C, H, W), that the prior sees; None if that is less than a block."""
        own = part(y)
        return None if min(own.shape[-2:]) < SIDE else cls(own, 1 if content.grey else y.shape[1], compressed, y)

    @cached_property
    def reduced(self) -> Calm:
        """The picture, reduced by 2 until its calm parts have fine waves, or until it is small.

        It is reduced once where the limit of a file in colour rules out most noise: its grain has no colour.
        """
        if self.whole is None or min(self.whole.shape[-2:]) < 2 * _LEAST_SIDE or not (self._soft or self._colourless):
            return self
        small = reduced(self.whole, 2)
        return replace(self, y=part(small), whole=small, scale=2 * self.scale, compressed=False).reduced

    @property
    def _soft(self) -> bool:
        """True if the calm parts have hardly any fine waves."""
        # Not as a file limits it: reduced, the picture has its grain in colours and grey alike.
        power = self.calmest.power[: self.axes]
        slow, fine = power[:, 1:_FIRST_FINE].max(), power[:, _FIRST_FINE:].max()
        return bool(fine < _SOFT**2 * slow)

    @property
    def _colourless(self) -> bool:
        """True if a file in colour has hardly any noise in colours, for what there can be in grey; see `limited`."""
        if self.kind != "compressed":
            return False
        return self.bound.level < _COLOURLESS * self.calmest.level

    @property
    def kind(self) -> Sort:
        """Kind of picture by what the signs of noise are like."""
        if self.axes == 1:
            return "reduced" if self.scale > 1 else "pressed" if self.compressed else "grey"
        return "compressed" if self.compressed else "colour"

    @cached_property
    def power(self) -> Tensor:
        """Power of the blocks; see `blocks`."""
        return blocks(self.y)

    @cached_property
    def kept(self) -> Tensor:
        """Marks of the blocks that are hardly clipped."""
        return unclipped(self.y)

    @cached_property
    def light(self) -> Tensor:
        """Brightness of the blocks."""
        return brightness(self.y)

    @cached_property
    def counted(self) -> Tensor:
        """Marks of the blocks that bound the noise: the clipped ones, as of a white sky, would be the calmest.

        They count, too, unless it was a JPEG, where they are exactly flat, as in a clean picture: gravel below a white
        sky was taken for noise. They also count in a small picture, where too few are left without them: on 40 training
        crops of 128x128 with clipped parts, grain of 1.2 pixels loses 0.15 dB without them. On 16 whole photographs
        with such parts, noise and grain gain 0.12 to 0.26 dB.
        """
        enough = self.compressed or (int(self.kept.sum()) >= _MANY and self._noisy(~self.kept))
        return self.kept if enough else torch.ones_like(self.kept)

    def _noisy(self, own: Tensor) -> bool:
        """True if the typical one of some blocks is not flat."""
        return bool(own.any()) and Spectrum(median(self.power[own])).level >= LEAST / 2

    @cached_property
    def calmest(self) -> Spectrum:
        """Mean power of the calmest blocks, whatever a file permits."""
        return calm_of(self.power[self.counted], self.axes)

    @cached_property
    def bound(self) -> Spectrum:
        """Upper bound of the noise's power."""
        return limited(self.calmest, self.axes, GREY_MOST if self.compressed else None)

    @cached_property
    def curve(self) -> Curve | None:
        """See `floor`; a JPEG in colour has none: it flattens weak texture and keeps strong one."""
        if self.kind == "compressed":
            return None
        return floor(self.power[self.kept], self.light[self.kept], self.axes)

    @cached_property
    def even(self) -> tuple[Tensor, Spectrum]:
        """The picture with its noise made uniform by the curve, and the upper bound there; as it is without a curve."""
        if self.curve is None:
            return self.y, self.bound
        y = self.curve.forward(self.y)
        return y, calmest(y, self.kept, self.axes)

    @property
    def silent(self) -> bool:
        """True if there is no room for credible noise, so that no prior is needed.

        `measure` exceeds the noise of the calmest parts by a bounded factor.
        """
        most = self.even[1].power * GROW**ROUNDS * MORE_POWER
        return Spectrum(most).level < LEAST
