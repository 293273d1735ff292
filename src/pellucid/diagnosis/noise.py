r"""Noise of any kind: its power by colour and frequency, from a prior and from a picture's calmest parts.

The search begins with white noise. Its level is a fixed point: given this level, the prior removes exactly as much. If
the removed part is not white, the spectrum is estimated. The calmest blocks of the picture bound it from above. The
prior walks with that bound; the residual, where the estimate is flattest, is compared with the bound. The residual
contains all noise, but only a part of texture. Two rounds of this shrink texture and keep noise. A last walk on the
estimate plus drawn noise shows how much the prior removes from pure noise in this picture. That sets the level, and its
`signs` separate noise from texture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..maths.noise import Streams
from ..maths.stabilised import Curve, Variance
from ..priors.prior import Prior
from .content import Content
from .estimate import WHOLE, stretches
from .signs import BESIDE, SIDE, SLOW, STRIDE, above, brightness, flat, line, probability, read, relative, unclipped
from .stationary import (
    BANDS,
    EDGES,
    Observed,
    Spectrum,
    complement,
    from_opponent,
    ladder,
    radius,
    shares,
    simulated,
    to_opponent,
    walk,
)  # fmt: skip

CALLS = 10
"""Largest number of evaluations in `estimate`."""

_SEEN, _STRETCHES, _LARGE = 384, 4, 750
_CUT, _UNIT = 128, 16
_CALM, _CALMEST = 0.2, 0.1
_LEAST = 1e-8
LEAST = 0.02
"""Lowest credible noise level, in [-1, 1] units: 2.5 of 255."""

_LEAST_SIDE = 32
_MORE, _FINE = 1.25, 3
_WHITE, _TESTS = 4, 3
_WHITE_SHARE, _HOPELESS = 0.65, 0.5
_DEPENDS, _EXPLAINED, _FAINT = 1.4, 0.8, 0.03
_TARGET, _POWER = 0.86, 4
_ROUNDS, _SHRINK, _GROW = 2, 0.03, 1.15
_LESS, _MORE_POWER = 0.2, 1.5
_HALF = 0.5
_PATCH, _ENOUGH, _BEYOND_PATCHES, _ALONE = 5, 100, 1.08, 0.95
_PATCH_ROWS = 16
_CLASSES, _FEW, _PART = 10, 8, 0.1
_GROUPS = ((SLOW, 4), (4, 6), (6, BANDS))
_CURVED, _STEEP = 3.5, 1.4
_GREY_MOST, _GREY_FOUND = 4.0, 2.5
"""Most power of the grey axis before a compression, of that of slow waves of colour: of the bound, which is low in
calm blocks, and of what is found."""
_SAFER = 0.5
"""Addition of this limit to the log-odds: it keeps texture from harm, and the rule was fitted without it."""
_CURVED_GREY = -1.0
"""Addition of a curve to the log-odds of a grey picture: a curve makes texture more even, too."""


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
        coded: whether it was white, as a sensor's, before a JPEG compression that made it uneven.
    """

    spectrum: Spectrum
    white: float
    confidence: float
    numbers: dict[str, float] = field(default_factory=dict, compare=False)
    variance: Variance | Curve | None = None
    coded: bool = False

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
        return EDGES[int((total < 0.75).sum()) + 1]

    @property
    def text(self) -> str:
        """Its level of 255 and its kind."""
        kind = "white noise" if self.variance is None else "noise that depends on brightness"
        if not self.white:
            grey, *colours = self.spectrum.levels
            chroma = math.sqrt(sum(colour**2 for colour in colours) / 2) if colours else 0.0
            coarse = "coarse " if self.grain <= _COARSE else ""
            kind = coarse + ("colour noise" if chroma > grey else "grain" if chroma < grey / 3 else "noise")
        return f"{kind} of {self.level * 127.5:.1f} of 255"

    @property
    def remedy(self) -> str:
        """The task."""
        return "--task denoise"

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding: levels of 255 by colour axis, and a and b of the variance or levels by light."""
        names = ("grey", "red-blue", "green") if len(self.spectrum.power) == 3 else ()
        levels = dict(zip(names, (level * 127.5 for level in self.spectrum.levels), strict=False))
        by_light = {}
        if isinstance(self.variance, Variance):
            by_light = {"a": self.variance.a * 255**2, "b": self.variance.b * 255}
        elif self.variance is not None:
            light = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
            levels_there = (255 * self.variance.at(light).sqrt()).tolist()
            by_light = {f"at {where:g}": level for where, level in zip(light.tolist(), levels_there, strict=True)}
        return {**self.numbers, **levels, "grain": self.grain, **by_light}


_COARSE = 0.30
_AT_ONCE = 8
WHITE_CONFIDENCE = 0.99
DOUBTFUL, SURE, _LEAST_WEIGHT = 0.45, 0.7, 0.2
"""Confidence from which noise is treated, confidence from which all of it is removed, and the least weight."""


def blocks(x: Tensor, *, centred: bool = True) -> Tensor:
    """Mean power of overlapping 16x16 blocks by colour and band, (N, C, BANDS).

    Args:
        x: one image, (1, C, H, W), of 16x16 or more.
        centred: whether to subtract each block's mean first.
    """
    windows = to_opponent(x)[0].unfold(1, SIDE, STRIDE).unfold(2, SIDE, STRIDE).permute(1, 2, 0, 3, 4)
    slope = torch.hann_window(SIDE, dtype=x.dtype, device=x.device)
    window = slope[:, None] * slope
    window = window / window.square().mean().sqrt()
    member = _members().to(windows)
    # For the real and the imaginary part of each coefficient, one band a row.
    member = (member / member.sum(0)).repeat_interleave(2, 0).T.contiguous()

    def mean(own: Tensor) -> Tensor:
        own = own.flatten(0, 1)
        if centred:
            own = own - own.mean((-2, -1), keepdim=True)
        parts = torch.view_as_real(torch.fft.rfft2(own * window, norm="ortho"))
        return F.linear(parts.square_().flatten(2), member)

    # A few rows of blocks at a time stay in a processor's cache.
    return torch.cat([mean(rows) for rows in windows.split(_AT_ONCE)]).cpu().float()


def _members() -> Tensor:
    """Weight of each coefficient of a block in each band, (coefficients, BANDS)."""
    at = torch.bucketize(radius(SIDE, SIDE), torch.tensor(EDGES[1:-1]), right=True)
    twice = torch.full((SIDE // 2 + 1,), 2.0)
    twice[0] = twice[-1] = 1.0
    return torch.stack([((at == band) * twice).flatten() for band in range(BANDS)], 1)


@torch.no_grad()
def estimate(prior: Prior, y: Tensor, content: Content, compressed: bool = False) -> Noise | None:
    """Looks for white noise, if the calmest blocks permit it, and then for any other noise.

    Costs at most `CALLS` evaluations; for large pictures, on a `part`.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        content: the kind of picture; one with exactly flat areas has no noise.
        compressed: whether it was a JPEG; see `limited`.
    """
    calm = None if content.clean else Calm.of(y, content, compressed)
    found = None if calm is None or calm.silent else examined(prior, calm, credible=True)
    return found if found is not None and found.level >= LEAST and found.confidence >= DOUBTFUL else None


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
    """

    y: Tensor
    axes: int
    compressed: bool = False

    @classmethod
    def of(cls, y: Tensor, content: Content, compressed: bool = False) -> Calm | None:
        """Takes the part of a picture, (1, C, H, W), that the prior sees; None if that is less than a block."""
        y = part(y)
        return None if min(y.shape[-2:]) < SIDE else cls(y, 1 if content.grey else y.shape[1], compressed)

    @cached_property
    def power(self) -> Tensor:
        """Power of the blocks; see `blocks`."""
        return blocks(self.y)

    @cached_property
    def kept(self) -> Tensor:
        """Marks of the blocks that are hardly clipped."""
        return unclipped(self.y)

    @cached_property
    def counted(self) -> Tensor:
        """Marks of the blocks that bound the noise: before a JPEG, the clipped ones would be the calmest.

        The rule of the signs was fitted to all blocks of other pictures.
        """
        return self.kept if self.compressed else torch.ones_like(self.kept)

    @cached_property
    def bound(self) -> Spectrum:
        """Upper bound of the noise's power."""
        bound = _calm_of(self.power[self.counted], self.axes)
        return limited(bound, self.axes, _GREY_MOST if self.compressed else None)

    @cached_property
    def curve(self) -> Curve | None:
        """See `floor`; a JPEG flattens weak texture and keeps strong one, so what its calm blocks differ in is none."""
        return None if self.compressed else floor(self.power[self.kept], brightness(self.y)[self.kept], self.axes)

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
        most = self.even[1].power * _GROW**_ROUNDS * _MORE_POWER
        return Spectrum(most).level < LEAST


def examined(prior: Prior, calm: Calm, *, credible: bool = False) -> Noise | None:
    """Estimates the noise as if there were some, however unlikely; None for a picture that is too small.

    Args:
        prior: the prior.
        calm: the picture.
        credible: whether to stop, with None, as soon as no credible noise can result.
    """
    y, axes, calls = calm.y, calm.axes, CALLS
    room = calm.bound.power[:axes, _FINE:].min().sqrt().item()
    if room >= LEAST:
        seen = white_level(prior, y, axes, room, _WHITE)
        if seen.level >= LEAST and seen.share >= _WHITE_SHARE:
            level = seen.level if calm.compressed else bounded(seen.level, calm)
            spectrum = Spectrum.white(level, y.shape[1], axes)
            return Noise(spectrum, level, WHITE_CONFIDENCE, {"share": seen.share}, _variance(y, seen.x0, axes))
        calls -= seen.calls
    return measure(prior, calm, calls, credible=credible) if min(y.shape[-2:]) >= _LEAST_SIDE else None


@dataclass(frozen=True)
class _White:
    """Evidence for white noise.

    Attributes:
        level: of the noise, in [-1, 1] units.
        share: share of the given level that the prior removed at the end.
        calls: number of evaluations.
        x0: the last estimate.
    """

    level: float
    share: float
    calls: int
    x0: Tensor


def white_level(prior: Prior, y: Tensor, axes: int, above: float, calls: int) -> _White:
    """Estimates the level of white noise.

    At a level a quarter above the noise's, a prior removes the noise and hardly anything else, in flat places and in
    texture. At lower levels it spares texture together with its noise. So the level descends: each call uses a quarter
    more than the last one removed. Without noise, a prior removes at most half of the given level, and the level tends
    to zero.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        axes: number of colour axes: 1 for grey pictures, whose level is that of the grey axis.
        above: an upper bound of the level.
        calls: the most evaluations; fewer suffice if a prior removes less than half.
    """
    told, taken, spent, x0 = _MORE * above, 0.0, 0, y
    while spent < calls and (not spent or WHOLE * taken / told >= _HOPELESS):
        told = _MORE * taken or told
        x0 = prior(whitened(y, told, axes, Streams([0])), told)
        fine = blocks(y - x0, centred=False)[:, :axes, _FINE:]
        taken, spent = fine.mean((1, 2)).median().sqrt().item() / WHOLE, spent + 1
    return _White(taken, WHOLE * taken / told, spent, x0)


def bounded(level: float, calm: Calm) -> float:
    """Moves a level of white noise into the bounds that the picture alone sets.

    In strong texture the prior takes part of it for noise, or spares noise together with it. The flattest combination
    of the pixels of a patch has hardly more than the noise (Pyatykh et al., IEEE TIP 2013), which bounds the level
    from above. The calmest blocks bound it from above, too, in texture, so that it is at least the lower of the two.
    Both are a little high on a single axis, where no colours tell texture from noise.

    Args:
        level: in [-1, 1] units.
        calm: the picture.
    """
    flattest, share = _flattest(calm.y, calm.axes), 1.0 if calm.axes > 1 else _ALONE
    if flattest is None:
        return level
    calmest = _calm_of(calm.power[calm.kept], calm.axes).power[: calm.axes, _FINE:].min().sqrt().item()
    return min(max(level, share * min(calmest, flattest)), share * _BEYOND_PATCHES * flattest)


def _flattest(y: Tensor, axes: int) -> float | None:
    """Deviation of a picture's patches of 5x5 pixels along the eighth of the directions where they differ least.

    None if the patches are few: some direction has little noise by chance then.
    """
    x = y if axes == y.shape[1] else math.sqrt(y.shape[1]) * y.mean(1, keepdim=True)
    x = x - x.mean((2, 3), keepdim=True)
    clipped = (y.abs().amax(1, keepdim=True) >= 1 - 1.01 / 127.5).float()
    kept = F.max_pool2d(clipped, _PATCH, 1)[0, 0] == 0
    if kept.float().mean() <= _PART:
        kept = torch.ones_like(kept)
    size, number = x.shape[1] * _PATCH**2, int(kept.sum())
    if number < _ENOUGH * size:
        return None
    # A few rows of patches at a time stay in a processor's cache.
    sums, products = x.new_zeros(size), x.new_zeros(size, size)
    for top in range(0, len(kept), _PATCH_ROWS):
        own = kept[top : top + _PATCH_ROWS].flatten()
        patches = F.unfold(x[..., top : top + _PATCH_ROWS + _PATCH - 1, :], _PATCH)[0]
        patches = patches if own.all() else patches[:, own]
        sums += patches.sum(1)
        products += patches @ patches.T
    mean = sums / number
    values = torch.linalg.eigvalsh((products / number - torch.outer(mean, mean)).double())
    return math.sqrt(max(values[: max(1, len(values) // 8)].mean().item(), 0.0))


def _variance(y: Tensor, x0: Tensor, axes: int) -> Variance | None:
    """Dependence of white noise on brightness by channel; None if it is negligible."""
    if axes < y.shape[1]:
        y, x0 = y.mean(1, keepdim=True), x0.mean(1, keepdim=True)
    left = F.pad(y - x0, (1, 0, 1, 0), mode="replicate")
    fine = (left[..., 1:, 1:] - left[..., :-1, 1:] - left[..., 1:, :-1] + left[..., :-1, :-1]) / 2
    channels = range(y.shape[1])
    kept = torch.cat([unclipped(y[:, c : c + 1]) for c in channels])
    light = torch.cat([brightness(x0[:, c : c + 1]) for c in channels])[kept].clamp(0, 1)
    # Of a square of noise as of brightness, the mean of each block; `brightness` maps it as it does an image.
    power = torch.cat([2 * brightness(fine[:, c : c + 1].square()) - 1 for c in channels])[kept]
    return _line(power, light)


def _line(power: Tensor, light: Tensor) -> Variance | None:
    """Variance of noise by the power of blocks, in [-1, 1] units, and their brightness; None if it is negligible."""
    a, b, fit = line(power, light)
    low, high = fit.quantile(0.05).item(), fit.quantile(0.95).item()
    # A line must explain what it is fitted to: texture, where a prior spares noise, may be dark or bright by chance.
    explained = (power / fit).log().std() < _EXPLAINED * (power / power.mean()).log().std()
    if high < _DEPENDS * low or not explained:
        return None
    # No noise has a negative variance anywhere, and some is left in black and in white.
    middle, mean = light.mean().item(), power.mean().item()
    if a < _FAINT * (a + b):
        a = _FAINT * mean / (_FAINT + (1 - _FAINT) * middle)
        b = (mean - a) / middle
    elif a + b < _FAINT * a:
        a = mean / (1 - (1 - _FAINT) * middle)
        b = -(1 - _FAINT) * a
    # From [-1, 1] units to [0, 1], and from what a prior takes to what there is.
    return Variance(a / (2 * WHOLE) ** 2, b / (2 * WHOLE) ** 2)


def whitened(y: Tensor, level: float, axes: int, rng: Streams) -> Tensor:
    """Adds white noise of a level to pictures, (B, C, H, W), on all colour axes but the first `axes`."""
    if axes == y.shape[1]:
        return y
    fresh = to_opponent(complement(y, rng))
    fresh[:, :axes] = 0
    return y + level * from_opponent(fresh)


@dataclass(frozen=True, eq=False)
class Taken:
    """A prior's estimate and the part of a picture that it takes, by block; each number is computed once.

    Attributes:
        y: the picture, (1, C, H, W).
        x0: the estimate.
    """

    y: Tensor
    x0: Tensor

    @cached_property
    def power(self) -> Tensor:
        """Power of the part that is taken; see `blocks`."""
        return blocks(self.y - self.x0, centred=False)

    @cached_property
    def activity(self) -> Tensor:
        """Activity of the estimate in each block, (N,): the least is the flattest."""
        return blocks(self.x0).sum((1, 2))


def measure(prior: Prior, calm: Calm, calls: int, *, credible: bool = False) -> Noise | None:
    """Measures noise of any spectrum, assuming that there is some, with its confidence.

    Two walks correct the spectrum, a third one tests it, and one on drawn noise gives the expected values. If the first
    one shows that the noise depends on brightness, all the rest is of the picture made uniform.

    Args:
        prior: the prior.
        calm: the picture.
        calls: evaluations, 6 or more.
        credible: see `examined`.
    """
    y, axes, kept, bound = calm.y, calm.axes, calm.counted, calm.bound
    compressed, curve = calm.compressed, calm.curve
    test = _TESTS if calls >= 2 * _TESTS + 2 else _TESTS - 1
    rest = calls - 2 * test
    even, told = calm.even
    seen = Observed.of(even, Streams([0]))
    x0 = _walked(prior, seen, told, (rest + 1) // _ROUNDS, axes)
    taken = Taken(y, x0 if curve is None else curve.inverse(x0))
    variance: Variance | Curve | None
    if curve is None:
        variance = by_brightness(taken, bound, axes, calm.kept)
    else:
        variance = curved(curve, Taken(even, x0), taken, told, axes)
    if variance is not None:
        kept = kept if curve is None else calm.kept
        y = variance.forward(y)
        taken = Taken(y, variance.forward(taken.x0))
        bound = calmest(y, kept, axes, compressed)
    if y is not even:
        seen = seen.beside(y)
    told = _corrected(taken, bound, axes, kept)
    told = _corrected(Taken(y, _walked(prior, seen, told, rest // _ROUNDS, axes)), told, axes, kept)
    if credible and variance is None and told.level * math.sqrt(_MORE_POWER) < LEAST:
        return None
    taken = Taken(y, _walked(prior, seen, told, test, axes))
    drawn = taken.x0 + simulated(y, told, Streams([1]))
    again = Taken(drawn, _walked(prior, seen.beside(drawn), told, test, axes))
    ratio, usual = _ratio(taken, told, kept), _ratio(again, told, kept)
    weight = (told.power * shares())[:axes, SLOW:]
    share = ((ratio[:axes, SLOW:] * weight).sum() / weight.sum()).item()
    signs = {"share": share, **read(y, taken.x0, taken.power, again.power, told, bound, axes, compressed)}
    change = (_smooth(ratio / usual) ** 2).clamp(_LESS, _MORE_POWER)
    spectrum = limited(Spectrum(_only(told.power * change, axes)), axes, _GREY_FOUND if compressed else None)
    coded = False
    if compressed and axes > 1:
        signs |= flat(spectrum)
        coded = above(signs, {"flat": BESIDE["flat"]}) > 0
    more = _SAFER if compressed and axes > 1 else _CURVED_GREY if isinstance(variance, Curve) and axes == 1 else 0.0
    return Noise(spectrum, 0.0, probability(signs, more), signs, variance, coded)


def _corrected(taken: Taken, told: Spectrum, axes: int, kept: Tensor) -> Spectrum:
    """The given spectrum, less where the prior gives part of it back."""
    change = (_smooth(_ratio(taken, told, kept)) / _TARGET) ** _POWER
    return Spectrum(_only(told.power * change.clamp(_SHRINK, _GROW), axes))


def by_brightness(taken: Taken, told: Spectrum, axes: int, kept: Tensor) -> Variance | None:
    """Dependence of other noise than white on brightness, in the flatter half of the blocks; None if it is negligible.

    Args:
        taken: the prior's estimate of a picture.
        told: spectrum of the noise that the prior was given.
        axes: colour axes that count.
        kept: marks of the blocks that count, (N,).
    """
    power = relative(taken.power[kept], told, axes)
    flat = taken.activity[kept]
    calm = flat <= flat.quantile(_HALF)
    return _line(power[calm] * told.level**2, brightness(taken.x0)[kept][calm].clamp(0, 1))


def floor(power: Tensor, light: Tensor, axes: int) -> Curve | None:
    """Upper bound of the noise by brightness, from the calmest blocks of each; None if it is much the same.

    Noise that depends on brightness does so alike at all frequencies and colours, unlike texture: the least ratio
    between two brightnesses counts, of the groups of bands where the calmest blocks have any power.

    Args:
        power: power of the blocks that count, (N, C, BANDS).
        light: their brightness, (N,).
        axes: colour axes that count.
    """
    bound = grouped(_calm_of(power, axes).power[None, :axes])[0]
    matters = bound >= _PART * bound.max()
    if axes > 1 and not matters[len(_GROUPS) :].any():
        # Grain that was the same everywhere had curves on textured photographs: a single axis is too little evidence.
        return None
    power = grouped(power[:, :axes])[:, matters]
    found = []
    for own in _classes(light):
        calm = own[(power[own] / power.median(0).values).sum(1).argsort()[: max(4, int(len(own) * _CALM))]]
        found.append((light[calm].mean().item(), len(own), power[calm].mean(0)))
    if not found:
        return None
    places, counts = (torch.tensor(values) for values in list(zip(*found, strict=True))[:2])
    floors = torch.stack([own for *_, own in found])
    least = floors[floors.log().sum(1).argmin()]
    return _curve(places, (floors / least).amin(1) * least.mean(), counts, _CURVED)


def grouped(power: Tensor) -> Tensor:
    """Power of blocks, (N, C, BANDS), by colour and groups of bands without the slow ones, (N, groups)."""
    weighted = power * shares()
    return torch.stack([weighted[..., low:high].sum(-1) for low, high in _GROUPS], 2).flatten(1).clamp_min(_LEAST)


def curved(curve: Curve, even: Taken, taken: Taken, told: Spectrum, axes: int) -> Variance | Curve | None:
    """Corrects a curve where the prior gives part of it back; a line if that explains more, None if neither does.

    Args:
        curve: the curve that made the noise uniform.
        even: the prior's estimate of the uniform picture.
        taken: the same in the original picture.
        told: spectrum of the noise that the prior was given.
        axes: colour axes that count.
    """
    kept = unclipped(even.y)
    power, light = relative(even.power[kept], told, axes), brightness(taken.x0)[kept]
    light = light.clamp(0, 1)
    power = power * curve.at(light) * (2 * told.level / curve.level) ** 2
    flat = taken.activity[kept]
    # The flatter half of each class: the flattest of all may be of a single one, such as a white sky.
    classes = [own[flat[own] <= flat[own].median()] for own in _classes(light)]
    if not classes:
        return None
    places = torch.stack([light[own].mean() for own in classes])
    powers = torch.stack([power[own].median() for own in classes])
    counts = torch.tensor([len(own) for own in classes])
    calm = torch.cat(classes)
    power, light = power[calm], light[calm]
    found, straight = _curve(places, powers, counts, _DEPENDS), _line(power, light)
    if found is None or _uneven(power, found.at(light)) >= _EXPLAINED * _uneven(power, torch.ones_like(light)):
        return straight
    if straight is None or _uneven(power, straight.at(light)) >= _EXPLAINED * _uneven(power, found.at(light)):
        return found
    return straight


def _uneven(power: Tensor, expected: Tensor) -> float:
    """Deviation of the blocks' log power from what is expected."""
    return (power / expected).log().std().item()


def _classes(light: Tensor) -> list[Tensor]:
    """Indices of blocks of about the same brightness, for each class that has enough."""
    classes = ((light * _CLASSES).long().clamp(0, _CLASSES - 1) == low for low in range(_CLASSES))
    return [own.nonzero()[:, 0] for own in classes if own.sum() >= _FEW]


def _curve(places: Tensor, powers: Tensor, counts: Tensor, least: float) -> Curve | None:
    """Curve through the powers of classes, in [-1, 1] units; None if most of them differ by less than a factor."""
    if len(places) < 2:
        return None
    order = powers.argsort()
    share = counts[order].cumsum(0) / counts.sum()
    low, high = (powers[order][int((share < tail).sum())] for tail in (0.1, 0.9))
    if high < least * low:
        return None
    knots = np.arange(_CLASSES + 1)
    logs = np.interp(knots / _CLASSES, places.numpy(), powers.log().numpy())
    # Where all blocks of a brightness have texture, those of the next one say how much noise there can be.
    logs = (logs + _STEEP * np.abs(knots[:, None] - knots)).min(1)
    return Curve(tuple((np.exp(logs) / (2 * WHOLE) ** 2).tolist()))


def _walked(prior: Prior, seen: Observed, told: Spectrum, calls: int, axes: int) -> Tensor:
    """Estimate at the end of a walk of at most so many calls."""
    *_, (_, x0) = walk(prior, seen, told, ladder(told, calls, axes))
    return x0


def _ratio(taken: Taken, told: Spectrum, kept: Tensor) -> Tensor:
    """Removed amplitude over the given one, (C, BANDS), in the blocks where the estimate is flattest."""
    activity, power = taken.activity[kept], taken.power[kept]
    order = activity.argsort()
    return (power[order[: max(6, int(len(order) * _CALM))]].mean(0) / told.power).sqrt()


def _smooth(ratio: Tensor) -> Tensor:
    """Mean over three neighbouring bands."""
    return F.avg_pool1d(F.pad(ratio[None], (1, 1), mode="replicate"), 3, 1)[0]


def limited(noise: Spectrum, axes: int, most: float | None) -> Spectrum:
    """Limits noise from before a JPEG compression: its grey axis by the slow waves of the others.

    A sensor's noise has as much power on each axis, and JPEG reduces the fine detail of colours only. Texture that is
    alike in all directions and Gaussian after compression, such as sand, is grey.

    Args:
        noise: the spectrum.
        axes: colour axes that count; a single one has no limit.
        most: largest ratio of the powers; None for a picture that was no JPEG.
    """
    if most is None or axes == 1:
        return noise
    power = noise.power.clone()
    power[0] = power[0].clamp_max(most * power[1:axes, :SLOW].mean().item())
    return Spectrum(power)


def calmest(y: Tensor, kept: Tensor, axes: int, compressed: bool = False) -> Spectrum:
    """Mean power of the calmest blocks: an upper bound of the noise's power.

    Args:
        y: one picture, (1, C, H, W) in [-1, 1].
        kept: blocks that count, (N,); clipped ones have less noise, and would be the calmest.
        axes: colour axes that count.
        compressed: whether it was a JPEG; see `limited`.
    """
    bound = _calm_of(blocks(y)[kept], axes)
    return limited(bound, axes, _GREY_MOST if compressed else None)


def _calm_of(power: Tensor, axes: int) -> Spectrum:
    """Mean power of the calmest of blocks, (N, C, BANDS)."""
    activity = (power / power.median(0).values.clamp_min(_LEAST)).sum((1, 2))
    calmest = activity.argsort()[: max(4, int(len(activity) * _CALMEST))]
    bound = power[calmest].mean(0)
    bound[:, 0] = bound[:, 1]
    return Spectrum(_only(bound, axes))


def _only(power: Tensor, axes: int) -> Tensor:
    """Keeps the power on the first axes, and nearly none on the others."""
    power = power.clamp_min(_LEAST)
    power[axes:] = _LEAST
    return power
