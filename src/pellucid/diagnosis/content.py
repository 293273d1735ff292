"""Kind of picture: a photograph, a drawing with exactly flat areas, a regular pattern, or two tones; grey or in colour.

A dither, a halftone or a grating consists of few waves: isolated peaks of the power spectrum, which its blocks have in
common. Noise has none, and photographs, also of walls and blinds, have more power beside such peaks than in them.
Dots at random, as a fax has them for grey, have no peaks, but only two tones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from ..maths.few import means, ranked
from .frame import Frame, find
from .spectrum import BLOCK, luminance, periodogram

_STRIP = 64
_FLAT, _DRAWN = 0.05, 0.25
_SAME = 1e-4

_STEP, _TINTED = 2.02 / 255, 0.05
"""Most difference between the channels of a grey picture, and the most of its mean, in such steps.

The colours of a lossy WebP are rounded by themselves: of a grey photograph one pixel in 60 is a step off. A dark
picture's colours may be as faint, but not at so few pixels.
"""

_PATTERN = 0.45
"""Share of power in peaks above which a picture is a pattern: of 159 training photographs it is at most 0.36."""
_BILEVEL, _SIDE, _ENDS, _ROWS = 0.6, 8, 0.005, 64
"""Share of two tones above which a picture has no others; side of the blocks; share of pixels beyond the two tones;
most rows of blocks that are looked at.

Of 124 training photographs it is at most 0.49, sharpened 0.56, with noise of 50 of 255 0.38, with 100 0.49. Of dithered
ones it is 1.00, 0.61 to 0.91 as a JPEG of quality 60, 0.79 with noise of 4; pale ones of quality 60 have 0.59.
"""
_INKED = 0.2
"""The same share above which a noisy picture may be a page of strokes on paper: drawn ones with noise of 5 to 25 of 255
have 0.13 to 0.51, photographs hardly ever more than 0.3."""
_BLOCKS, _AROUND, _WIDE = 400, 4, 5
_ABOVE = 8.0
_SLOWEST, _SLOWEST_REDUCED = (0.03, 0.1), (0.055, 0.1)
_SCALES, _REDUCED = 3, 0.7
"""Scales at which peaks are looked for, and the weight of what smaller ones show, whose few blocks vary more."""


@dataclass(frozen=True)
class Content:
    """Kind of picture.

    Attributes:
        flat: share of 3x3 windows that are exactly constant in all channels.
        grey: whether all channels are equal; see `is_grey`.
        pattern: share of the power of waves in isolated peaks of the spectrum.
        bilevel: share of the largest possible variance in blocks, which only two tones have.
        frame: plain frame around a photograph; None without one.
        framed: kind of the part inside the frame.
    """

    flat: float
    grey: bool
    pattern: float = 0.0
    bilevel: float = 0.0
    frame: Frame | None = None
    framed: Content | None = None

    @property
    def inner(self) -> Content:
        """Kind of the part inside the frame; without a frame of all."""
        return self.framed or self

    def inside(self, y: Tensor) -> tuple[Tensor, Content]:
        """Part of this picture inside its frame, and its kind; without a frame all of it."""
        return (y if self.frame is None else self.frame.inside(y)), self.inner

    @property
    def clean(self) -> bool:
        """True if it can hold no noise, which leaves no window constant, or if a pattern would be taken for noise."""
        return self.flat > _FLAT or self.patterned

    @property
    def patterned(self) -> bool:
        """True for a dither, a halftone, a grating or a fax."""
        return self.pattern > _PATTERN or self.bilevel > _BILEVEL

    @property
    def inked(self) -> bool:
        """True if it may be a noisy page of text, music or lines, regular or not: strokes of one ink on paper."""
        return not self.digital and (self.pattern > _PATTERN or self.bilevel > _INKED)

    @property
    def digital(self) -> bool:
        """True for a picture with exactly flat areas, or of two tones only: a program made it, not a camera."""
        return self.flat > _FLAT or self.bilevel > _BILEVEL

    @property
    def drawn(self) -> bool:
        """True for text, line art, a screenshot or a pattern, whose spectrum is not that of photographs."""
        return self.flat > _DRAWN or self.patterned

    @property
    def confidence(self) -> float:
        """Always 1, since flat areas are counted and not estimated."""
        return 1.0

    @property
    def text(self) -> str:
        """The kind in words."""
        if self.framed is not None:
            return f"{self.framed.text}, in a plain frame"
        kind = "text, line art or a screenshot" if self.drawn else "a photograph"
        if self.pattern > _PATTERN:
            kind = "a regular pattern, such as a dither or a halftone"
        elif self.bilevel > _BILEVEL and self.flat <= _DRAWN:
            kind = "a picture of two tones, such as a fax"
        return f"{kind}, grey" if self.grey else kind

    @property
    def remedy(self) -> str:
        """Empty, since the kind is no damage."""
        return ""

    @property
    def evidence(self) -> dict[str, float]:
        """Share of constant windows, whether it is grey, share of peaks, share of two tones, sides inside a frame."""
        sides = {} if self.frame is None else self.frame.evidence
        kinds = {"flat": self.flat, "grey": float(self.grey), "pattern": self.pattern, "bilevel": self.bilevel}
        return kinds | sides


def estimate(image: Tensor) -> Content:
    """Determines the kind of picture.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    if min(image.shape[-2:]) < 3:
        return Content(0.0, is_grey(image))
    image = image.detach().cpu()
    constant = _constant(image)
    whole = Content(_share(constant), is_grey(image), _pattern(image), _bilevel(image))
    frame = find(image, constant)
    if frame is None:
        return whole
    y, flat = frame.inside(image), constant[frame.top : frame.bottom - 2, frame.left : frame.right - 2]
    framed = Content(_share(flat), is_grey(y), _pattern(y), _bilevel(y))
    # What is drawn has plain margins, too, and remains drawn without them.
    return replace(whole, frame=frame, framed=framed) if framed.flat <= _FLAT or whole.flat <= _DRAWN else whole


def _share(windows: Tensor) -> float:
    """Share of true values, without a copy of them as numbers."""
    return int(windows.count_nonzero()) / windows.numel()


def is_grey(image: Tensor) -> bool:
    """True if all channels are equal, but for one step of 8 bits at a few pixels.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
    """
    total = 0.0
    for strip in image.split(_STRIP, -2):
        spread = strip.amax(1) - strip.amin(1)
        if spread.max() > _STEP:
            return False
        total += spread.sum().item()
    return total <= _TINTED * _STEP * image[:, 0].numel()


def _bilevel(image: Tensor) -> float:
    """Variance in blocks over that of two tones with the same means; of a large picture, in some rows of blocks."""
    rows = image.shape[-2] // _SIDE
    if not rows or image.shape[-1] < _SIDE:
        return 0.0
    tops = [_SIDE * (rows * number // min(rows, _ROWS)) for number in range(min(rows, _ROWS))]
    some = torch.cat([image[..., top : top + _SIDE, :] for top in tops], -2)
    values = some.flatten()
    low, high = (ranked(values, int(share * (len(values) - 1))).item() for share in (_ENDS, 1 - _ENDS))
    within = some.clamp(low, high)
    mean, square = F.avg_pool2d(within, _SIDE), F.avg_pool2d(within.square(), _SIDE)
    largest = ((mean - low) * (high - mean)).sum().item()
    return (square - mean.square()).sum().item() / largest if high - low > _SAME and largest > 0 else 0.0


def _pattern(image: Tensor) -> float:
    """Largest share of power in isolated peaks at three scales; a smaller one has the slower waves."""
    most, lows, weight, image = 0.0, _SLOWEST, 1.0, luminance(image)
    for _ in range(_SCALES):
        if min(image.shape[-2:]) < BLOCK:
            break
        most = max(most, weight * _in_peaks(periodogram(image, _BLOCKS), lows))
        image, lows, weight = means(image, 2, 2), _SLOWEST_REDUCED, _REDUCED
    return most


def _in_peaks(power: Tensor, lows: tuple[float, float]) -> float:
    """Share of power in isolated peaks: of the waves above the first limit, or above the second if that is more."""
    # The power of an edge goes on along a line, that of a wave ends after two frequencies, the width of the window.
    peak = (power == _widest(power)) & (power > _ABOVE * _beside(power))
    if not peak.any():
        return 0.0
    frequency = torch.fft.fftfreq(BLOCK, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    inside = _widest((peak & (radius > lows[0])).double()) > 0
    shares = [power[inside & (radius > low)].sum() / power[radius > low].sum().clamp_min(1e-20) for low in lows]
    return max(share.item() for share in shares)


def _beside(x: Tensor) -> Tensor:
    """Maximum over the border of a square around each point of a periodic plane."""
    x, side = _around(x, _AROUND), 2 * _AROUND + 1
    down, along = (x.unfold(axis, side, 1).amax(-1) for axis in (0, 1))
    return torch.stack([down[:, :BLOCK], down[:, -BLOCK:], along[:BLOCK], along[-BLOCK:]]).amax(0)


def _widest(x: Tensor) -> Tensor:
    """Maximum around each point of a periodic plane."""
    rows = _around(x, _WIDE // 2).unfold(0, _WIDE, 1).amax(-1)
    return rows.unfold(1, _WIDE, 1).amax(-1)


def _around(x: Tensor, by: int) -> Tensor:
    """A periodic plane with so many more points at each side."""
    return F.pad(x[None, None], (by,) * 4, mode="circular")[0, 0]


def _constant(image: Tensor) -> Tensor:
    """Mask of the constant 3x3 windows of one picture, (H - 2, W - 2)."""
    # Strips stay in the processor's cache; each has the two rows more that its last windows need.
    tops = range(0, image.shape[-2] - 2, _STRIP)
    return torch.cat([_of_strip(image[..., top : top + _STRIP + 2, :]) for top in tops])


def _of_strip(strip: Tensor) -> Tensor:
    """Mask of the constant 3x3 windows of a part of one picture."""
    high = low = strip
    for axis, size in ((-2, strip.shape[-2] - 2), (-1, strip.shape[-1] - 2)):
        high, low = (
            of(of(all_.narrow(axis, 0, size), all_.narrow(axis, 1, size)), all_.narrow(axis, 2, size))
            for of, all_ in ((torch.maximum, high), (torch.minimum, low))
        )
    # Of a few channels, one after the other takes a third of the time of a maximum over their axis.
    constant: Tensor = reduce(torch.maximum, (high - low)[0]) <= _SAME
    return constant
