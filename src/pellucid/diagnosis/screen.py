r"""The dots of a print: perpendicular waves, and their overtones, that most blocks of a picture have in common.

A press prints grey as dots of equal distance and of different size. A scan shows these dots as a lattice of peaks in
the spectrum. Texture of a picture is in places, and seldom has two equal waves at a right angle, so the median of the
blocks' spectra tells the two apart. Cloth and mesh that fill a picture have such waves, too. But only a print's carry
the tones, see `_carry_tones`, in a shape that changes with them, see `_shape`, and only a machine's keep step,
see `_in_step`. Each ink has its own angle, and hence its own lattice. A screen along the axes is not looked for: walls,
cloth and the blocks of a JPEG are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..maths.few import median
from .noise.stationary import from_opponent, to_opponent
from .spectrum import LEAST

SIDE = 32
"""Side of a block in pixels."""

MARGIN = 32
"""Pixels by which a picture is mirrored at its borders: its ends would be neighbours in the spectrum."""

_BLOCKS, _FEWEST, _AT_ONCE = 1200, 9, 64
_SLOWEST, _AXIS, _REACH = 0.12, 1.5, 2.3
"""Slowest wave of a lattice, in cycles a pixel; least distance of its waves from the axes, and radius of a peak, in
frequencies of a block."""

_SQUARE, _ALIKE, _ORDER, _INKS = math.radians(15), 1.34, 3, 4
"""Largest deviation from a right angle, largest ratio of the two waves, order of the overtones, most lattices."""

_OVERTONES = ((1, 1), (2, 1), (2, -1))
"""Overtones that may be found instead of a lattice: each pair (m, n) of the waves m a + n b and n a - m b."""

_RING = (2.9, 5.2)
_PEAK, _EDGE = 3.0, 0.5
"""Logarithm of a peak's power over that around it from which it belongs to a print, and at which it ends."""

_ENOUGH, _HOPEFUL = 100, 2.0
"""Blocks that are looked at first, if there are more: without such a peak in them there are no dots.

Of 240 training crops with more, undamaged, noisy and printed, a peak differs from that of all blocks by at most 0.8.
The 78 that have dots have 4.7 and more; 156 of the 160 that are no print have less than 2.
"""

_STEEP, _MIDDLE = 4.0, 2.75
_MEDIAN = 1 / math.log(2)
"""Mean of a power over its median, of random waves."""

_TONES, _SPREAD, _MOST = (0.1, 0.9), 0.04, 0.6
"""Tones from ink to paper at which dots are measured; least range of these, and the share of blocks that must fit."""
_MISFIT, _LIT, _LAID = 0.85, 0.5, 0.35
"""Largest deviation from the law of dots, of the logarithm of the waves' power; least ratios of the deviations from the
laws of lit and of laid texture to it. 168 prints of 14 training crops have at most 0.52, and at least 0.56 and 0.44."""

_WHITES, _PALE = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0), 0.6
"""Tones of light bars before a picture, whose waves are as strong as its distance from them; least ratio of the
deviation from their law to that from the law of dots."""

_BALANCED, _SHAPED, _SAME = (0.4, 0.45, 0.5, 0.55, 0.6), 0.65, 0.35
"""Tones at which ink and paper may be alike; largest misfit of a print's skewness, and largest square of its mean of a
print too soft to have any, see `_shape`. They decide where another law fits better than that of dots.

35 prints of training photographs have a misfit of at most 0.47, 38 drawn fences and walls one of at least 0.74. Light
fences deviate from their law by at most 0.48 of what they deviate from that of dots.
"""

_DITHER, _OFF = 4, 0.005
"""Pixels of the wave of an ordered dither along either axis, since its others are weaker or along the axes; largest
error of a wave that is measured in blocks, in cycles a pixel.
"""

_WINDOW, _WINDOWS, _FINE, _STEP = 192, 4, 64, 0.73
"""Side of the windows in which waves have to keep step, most windows along a side; side of the transform that tells the
best step; least share in step.

54 prints of 6 training crops, two thirds of which are JPEGs or noisy, have at least 0.85. Drawn cloth and lace that are
bent by a third of their period have at most 0.47, a chain-link fence before photographs 0.69.
"""

_DARK, _BLACK, _LIT_DARK = 0.45, 0.2, 1.0
"""Tones that nine tenths of the blocks lie below: where the two laws hardly differ, and where not at all; and the least
ratio for light between them. 28 dark prints of 14 training crops, with noise and JPEG 60 or not, have at least 0.21 and
1.16. Fences over photographs have at most 0.43 and 0.85, walls of lamps 0.13 to 0.26 and 0.66 to 1.56.
"""

_FLOOR = 1e-6
_NEAR_WHITE = 0.02
_TINY = 1e-12


@dataclass(frozen=True)
class Screen:
    """Dots of a print.

    Attributes:
        power: their power, (C, SIDE, SIDE), at the frequencies of `fft2` of a block, on the axes of `to_opponent`, in
            the units of `noise.stationary.Spectrum`.
        around: power of the picture there.
        period: distance of the dots in pixels.
        angle: of their rows in degrees, [0, 90).
        peak: see `_PEAK`, of the weaker of two waves.
    """

    power: Tensor = field(compare=False)
    around: Tensor = field(compare=False)
    period: float
    angle: float
    peak: float

    @property
    def confidence(self) -> float:
        """See `Finding`."""
        return 1 / (1 + math.exp(-_STEEP * (min(self.peak, 10.0) - _MIDDLE)))

    @property
    def text(self) -> str:
        """The distance of the dots."""
        return f"dots of a print, {self.period:.1f} pixels apart"

    @property
    def remedy(self) -> str:
        """The task."""
        return "--task denoise"

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding, and the dots' distance and direction."""
        return {"peak": self.peak, "period": self.period, "angle": self.angle}

    @property
    def top(self) -> float:
        """The largest deviation of a coefficient."""
        return self.power.max().sqrt().item()

    def scaled(self, factor: float) -> Screen:
        """Dots of another amplitude."""
        return replace(self, power=self.power * factor**2)

    def deviation(self, height: int, width: int) -> Tensor:
        """Standard deviation of each coefficient of `rfft2`, (C, H, W // 2 + 1); see `noise.stationary.walk`."""
        return _sampled(self.power, height, width).sqrt().clamp_min(_FLOOR)

    def without(self, y: Tensor) -> Tensor:
        """Weakens the dots, (B, C, H, W), by Wiener's factor, without a prior: what the other findings are read off."""
        wide = widened(y)
        size = (wide.shape[-2], wide.shape[-1])
        dots, around = (_sampled(power, *size).to(y) for power in (self.power, self.around))
        spectrum = torch.fft.rfft2(to_opponent(wide)) * around.clamp_min(_TINY) / (around + dots).clamp_min(_TINY)
        return narrowed(from_opponent(torch.fft.irfft2(spectrum, s=size)), y)


def widened(y: Tensor) -> Tensor:
    """Mirrors pictures at their borders, by at most `MARGIN` pixels."""
    down, right = (min(MARGIN, side - 1) for side in y.shape[-2:])
    return F.pad(y, (right, right, down, down), mode="reflect")


def narrowed(wide: Tensor, y: Tensor) -> Tensor:
    """The part of widened pictures that has the pixels of y."""
    down, right = ((wide.shape[axis] - y.shape[axis]) // 2 for axis in (-2, -1))
    return wide[..., down : down + y.shape[-2], right : right + y.shape[-1]]


def estimate(y: Tensor, axes: int) -> Screen | None:
    """Looks for the dots of a print; without a prior.

    Args:
        y: one picture, (1, C, H, W) in [-1, 1].
        axes: colour axes that count.

    Returns:
        None without dots, or if the picture has fewer than `_FEWEST` blocks.
    """
    places = _places(y)
    if len(places) < _FEWEST:
        return None
    few = places[torch.linspace(0, len(places) - 1, _ENOUGH).long()]
    if len(places) > _ENOUGH and not _promising(_spectra(_blocks(y, few), axes)[2], _HOPEFUL).any():
        return None
    blocks = _blocks(y, places)
    typical, around, excess = _spectra(blocks, axes)
    power = torch.zeros(y.shape[1], SIDE, SIDE)
    ground = torch.full((y.shape[1], SIDE, SIDE), _TINY)
    best: tuple[float, Wave, Wave] | None = None
    for axis in range(axes):
        ground[axis] = _MEDIAN * around[axis].exp()
        # Of a wave in all blocks the median is the mean.
        dots = (typical[axis].exp() - ground[axis]).clamp_min(0)
        for peak, one, other in _lattices(typical[axis], excess[axis]):
            best = max(best, (peak, one, other)) if best else (peak, one, other)
            own = _near(one, other) & (excess[axis] > _EDGE)
            power[axis] = torch.where(own, dots, power[axis])
    if best is None:
        return None
    peak, one, other = best
    if not _carry_tones(blocks.mean(1), one, other) or min(_in_step(y, wave) for wave in (one, other)) < _STEP:
        return None
    if _dithered(blocks.mean(1), one) and _dithered(blocks.mean(1), other):
        return None
    length = (math.hypot(*one) + math.hypot(*other)) / 2
    return Screen(power, ground, 1 / length, math.degrees(math.atan2(*one)) % 90, peak)


Wave = tuple[float, float]
"""Frequency down and to the right, in cycles a pixel."""


@lru_cache(maxsize=1)
def _frequencies() -> Tensor:
    at: Tensor = torch.fft.fftfreq(SIDE)
    return at


@lru_cache(maxsize=1)
def _radius() -> Tensor:
    at = _frequencies()
    radius: Tensor = torch.hypot(at[:, None], at)
    return radius


@lru_cache(maxsize=1)
def _window() -> Tensor:
    slope = torch.hann_window(SIDE)
    return slope[:, None] * slope


def _places(y: Tensor) -> Tensor:
    """Numbers of the blocks that are looked at, of all in a picture, row by row; evenly apart in a large one."""
    rows, columns = (max(size // (SIDE // 2) - 1, 0) for size in y.shape[-2:])
    return torch.arange(0, rows * columns, math.ceil(rows * columns / _BLOCKS) or 1)


def _blocks(y: Tensor, places: Tensor) -> Tensor:
    """Blocks of a picture by their numbers, (N, C, SIDE, SIDE)."""
    blocks = y[0].unfold(-2, SIDE, SIDE // 2).unfold(-2, SIDE, SIDE // 2)
    some = places.to(y.device)
    return blocks[:, some // blocks.shape[2], some % blocks.shape[2]].transpose(0, 1).cpu()


def _powers(blocks: Tensor) -> Tensor:
    """Power of the waves in each block, (..., SIDE, SIDE // 2 + 1), at the frequencies of `rfft2`."""
    waves = torch.fft.rfft2((blocks - blocks.mean((-2, -1), keepdim=True)).mul_(_window()))
    return torch.addcmul(waves.real.square(), waves.imag, waves.imag).div_(_window().square().sum())


def _whole(half: Tensor) -> Tensor:
    """Values at the frequencies of `fft2` from those of `rfft2`: the others are the first ones, turned around 0."""
    return torch.cat([half, half[..., -torch.arange(SIDE) % SIDE, 1:-1].flip(-1)], -1)


def _typical(blocks: Tensor, axes: int) -> Tensor:
    """Logarithm of the median power of blocks on their first colour axes, (axes, SIDE, SIDE).

    That of rounding to 8 bits is added: below it there is chance alone.
    """
    power = torch.empty(len(blocks), axes, SIDE, SIDE // 2 + 1)
    # A few blocks at a time stay in a processor's cache.
    for own, some in zip(power.split(_AT_ONCE), blocks.split(_AT_ONCE), strict=True):
        own.copy_(_powers(to_opponent(some)[:, :axes]))
    return _whole((median(power) + LEAST).log())


def _spectra(blocks: Tensor, axes: int) -> tuple[Tensor, Tensor, Tensor]:
    """The typical spectrum of blocks, that around each frequency, and their difference; see `_typical`."""
    typical = _typical(blocks, axes)
    around = _around(typical)
    return typical, around, typical - around


def _promising(excess: Tensor, least: float) -> Tensor:
    """Marks the frequencies of so much excess, (..., SIDE, SIDE), at which a lattice may have its waves."""
    at = _frequencies().abs() * SIDE
    fast = (_radius() >= _SLOWEST) & (_radius() <= 0.5)
    return (excess >= least) & fast & (at[:, None] >= _AXIS) & (at >= _AXIS)


def _carry_tones(grey: Tensor, one: Wave, other: Wave) -> bool:
    """Tells dots, whose waves carry a picture's tones, from texture; grey blocks, (N, SIDE, SIDE).

    At a tone t from ink, 0, to paper, 1, a wave of dots has an amplitude as sin(pi t). That of cloth is in proportion
    to its light, and that of a pattern laid over a picture is the same everywhere. Light bars hide what is darker.
    """
    light = (grey * _window()).sum((-2, -1)) / _window().sum()
    ink, paper = grey.amin((-2, -1)).quantile(0.05), grey.amax((-2, -1)).quantile(0.95)
    tone = (light - ink) / (paper - ink).clamp_min(_TINY)
    some = (tone > _TONES[0]) & (tone < _TONES[1])
    dark, bright = tone.quantile(0.1), tone.quantile(0.9)
    if some.count_nonzero() < _FEWEST or bright - dark < _SPREAD or bright < _BLACK:
        return False
    power = _whole(_powers(grey[some]))[:, _near(one, other, 1)].sum(-1)

    def deviation(law: Tensor | float) -> float:
        ratio = (power.clamp_min(_TINY) / law).log()
        return (ratio - ratio.median()).abs().quantile(_MOST).item()

    dots = deviation((math.pi * tone[some]).sin().square())
    # Light is in proportion to the values themselves, or to what is above the haze.
    lit = min(deviation(x[some].clamp_min(_FLOOR).square()) for x in ((light + 1) / 2, tone))
    pale = min(deviation((white - tone[some]).clamp_min(_NEAR_WHITE).square()) for white in _WHITES)
    least = _LIT_DARK if bright < _DARK else _LIT
    even = deviation(1.0)
    if dots > _MISFIT or lit < least * dots or even < _LAID * dots:
        return False
    if min(lit, pale, even) >= dots:
        return True
    misfit, same = _shape(grey[some], tone[some], one, other)
    return misfit <= _SHAPED or (same <= _SAME and pale >= _PALE * dots)


def _shape(grey: Tensor, tone: Tensor, one: Wave, other: Wave) -> tuple[float, float]:
    """Tells dots, of ink in light tones and of paper in dark ones, from bars and joints, as wide in all tones.

    The skewness of a print's waves falls with the tone, through 0 in the middle; that of other patterns stays.

    Args:
        grey: blocks, (N, SIDE, SIDE).
        tone: of each block, (N,).
        one: wave of a lattice.
        other: the wave perpendicular to it.

    Returns:
        Variance of the skewness around the best line through 0 in the middle, and the square of its mean, both over
        its variance.
    """
    waves = torch.fft.fft2((grey - grey.mean((-2, -1), keepdim=True)) * _window()) * _near(one, other, 2)
    values = torch.fft.ifft2(waves).real
    power = values.square().mean((-2, -1)).clamp_min(_TINY)
    skewness = values.pow(3).mean((-2, -1)) / power.pow(1.5)
    mean = skewness.mean()
    around = (skewness - mean).square().mean().clamp_min(_TINY)

    def misfit(balanced: float) -> float:
        ink = balanced - tone
        slope = ((skewness * ink).sum() / ink.square().sum().clamp_min(_TINY)).clamp_min(0)
        return float((skewness - slope * ink).square().mean() / around)

    return min(map(misfit, _BALANCED)), (mean.square() / around).item()


def _in_step(y: Tensor, wave: Wave) -> float:
    """Share of a wave's amplitude that keeps step over windows of a picture, (1, C, H, W).

    Dots lie on one lattice from side to side, whatever the tones. Threads bend and lie unevenly.
    """
    in_step = every = 0.0
    for top in _starts(y.shape[-2]):
        for left in _starts(y.shape[-1]):
            grey = y[0, :, top : top + _WINDOW, left : left + _WINDOW].mean(0).cpu()
            turns = [by * torch.arange(size) for by, size in zip(wave, grey.shape, strict=True)]
            turn = torch.exp(-2j * math.pi * (turns[0][:, None] + turns[1]))
            blocks, steps = (x.unfold(0, SIDE, SIDE // 2).unfold(1, SIDE, SIDE // 2) for x in (grey, turn))
            blocks = (blocks - blocks.mean((-2, -1), keepdim=True)) * _window()
            amplitudes = (blocks * steps).sum((-2, -1))
            in_step += torch.fft.fft2(amplitudes, s=(_FINE, _FINE)).abs().amax().item()
            every += amplitudes.abs().sum().item()
    return in_step / max(every, _TINY)


def _dithered(grey: Tensor, wave: Wave) -> bool:
    """Tells a program's dither, a wave of so many pixels to the fraction, from a scan; grey blocks, (N, SIDE, SIDE)."""
    turns = [round(by * _DITHER) for by in wave]
    if max(abs(by - turn / _DITHER) for by, turn in zip(wave, turns, strict=True)) > _OFF:
        return False
    # Half a block is a multiple of the period, so that in step all blocks have the same phase.
    at = [SIDE * turn // _DITHER % SIDE for turn in turns]
    amplitudes = torch.fft.fft2((grey - grey.mean((-2, -1), keepdim=True)) * _window())[:, at[0], at[1]]
    return bool(amplitudes.sum().abs() > _STEP * amplitudes.abs().sum())


def _starts(size: int) -> list[int]:
    """First pixels of windows, from side to side of a picture, evenly apart."""
    last, number = max(size - _WINDOW, 0), min(math.ceil(size / _WINDOW), _WINDOWS)
    return [round(last * i / max(number - 1, 1)) for i in range(number)]


def _around(typical: Tensor) -> Tensor:
    """Median of the frequencies in a ring around each one, with the mean of opposite ones: of a slope, its middle."""
    reach = range(-math.floor(_RING[1]), math.floor(_RING[1]) + 1)
    ring = [(down, right) for down in reach for right in reach if _RING[0] <= math.hypot(down, right) <= _RING[1]]
    half = [(down, right) for down, right in ring if (down, right) > (0, 0)]
    opposite = [typical.roll((down, right), (-2, -1)) + typical.roll((-down, -right), (-2, -1)) for down, right in half]
    return median(torch.stack(opposite)) / 2


def _lattices(typical: Tensor, excess: Tensor) -> Iterator[tuple[float, Wave, Wave]]:
    """Finds pairs of perpendicular waves, the strongest first, each with what its weaker peak has."""
    left = excess.clone()
    for _ in range(_INKS):
        found = _pair(typical, excess, left)
        if found is None:
            return
        peak, *waves = found
        one, other = _slower(typical, excess, *waves)
        yield peak, one, other
        left[_near(one, other)] = 0.0


def _slower(typical: Tensor, excess: Tensor, one: Wave, other: Wave) -> tuple[Wave, Wave]:
    """The waves that two are overtones of, if these are peaks with more power.

    They may be too near to the axes to be found themselves.
    """

    def least(x: Tensor, *waves: Wave) -> float:
        return min(x[round(down * SIDE) % SIDE, round(right * SIDE) % SIDE].item() for down, right in waves)

    def turned(first: int, second: int) -> tuple[Wave, Wave]:
        length = first**2 + second**2
        down, right = (
            ((first * a + second * b) / length, (second * a - first * b) / length)
            for a, b in zip(one, other, strict=True)
        )
        return (down[0], right[0]), (down[1], right[1])

    slower = [pair for pair in (turned(*of) for of in _OVERTONES) if least(excess, *pair) >= _PEAK]
    return max([(one, other), *slower], key=lambda pair: least(typical, *pair))


def _pair(typical: Tensor, excess: Tensor, left: Tensor) -> tuple[float, Wave, Wave] | None:
    """The pair of peaks with the most power in what is left that belong to a print: overtones have less."""
    highest = F.max_pool2d(F.pad(left[None, None], (1, 1, 1, 1), mode="circular"), 3, 1)[0, 0]
    peaks = ((left == highest) & _promising(left, _PEAK)).nonzero().tolist()
    best: tuple[float, Wave, Wave] | None = None
    most = -math.inf
    for number, first in enumerate(peaks):
        for second in peaks[:number]:
            one, other = _centre(excess, *first), _centre(excess, *second)
            ratio = math.hypot(*one) / math.hypot(*other)
            turn = abs(one[0] * other[0] + one[1] * other[1]) / (math.hypot(*one) * math.hypot(*other))
            power, peak = (min(x[i, j].item() for i, j in (first, second)) for x in (typical, left))
            if turn <= math.sin(_SQUARE) and 1 / _ALIKE <= ratio <= _ALIKE and power > most:
                best, most = (peak, one, other), power
    return best


def _centre(excess: Tensor, row: int, column: int) -> Wave:
    """Centre of gravity of a peak and its neighbours."""
    shifts = torch.tensor([-1, 0, 1])
    weight = excess[(row + shifts)[:, None] % SIDE, (column + shifts) % SIDE].exp()
    weight = weight / weight.sum()
    down, right = (float((weight.sum(axis) * shifts).sum()) / SIDE for axis in (1, 0))
    at = _frequencies()
    return at[row].item() + down, at[column].item() + right


def _near(one: Wave, other: Wave, order: int = _ORDER) -> Tensor:
    """Marks the frequencies of a block, (SIDE, SIDE), at the waves of a lattice and their overtones up to an order."""
    at, near = _frequencies(), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    for first in range(-order, order + 1):
        for second in range(-order, order + 1):
            wave = [first * a + second * b for a, b in zip(one, other, strict=True)]
            if 0 < abs(first) + abs(second) <= order and max(map(abs, wave)) <= 0.6:
                # A wave beyond half a cycle a pixel appears as its mirror image.
                down, right = ((at - a + 0.5) % 1 - 0.5 for a in wave)
                near |= torch.hypot(down[:, None], right) * SIDE <= _REACH
    return near & (_radius() >= _SLOWEST / 2)


def _sampled(power: Tensor, height: int, width: int) -> Tensor:
    """Interpolates values at the frequencies of a block, (C, SIDE, SIDE), at those of `rfft2` of an image."""
    for axis, at in ((1, torch.fft.fftfreq(height)), (2, torch.fft.rfftfreq(width))):
        at = at * SIDE
        below = at.floor().long()
        share = (at - below).view((1, -1, 1) if axis == 1 else (1, 1, -1))
        low, high = (power.index_select(axis, (below + step) % SIDE) for step in (0, 1))
        power = torch.lerp(low, high, share)
    return power
