"""White noise: the level of which a prior removes as much as it is told, within the bounds of the picture alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...maths.few import median
from ...maths.noise import Streams
from ...maths.stabilised import Variance
from ...priors.prior import Prior
from .blocks import LEAST_POWER, WHOLE, Taken, calm_of, only
from .brightness import straight
from .calm import Calm
from .finding import LEAST, WHITE_CONFIDENCE, Noise, all_of
from .signs import brightness, clipped, direction, echo, relative, residual, spread, unclipped
from .stationary import Spectrum, complement, from_opponent, simulated, to_opponent

_MORE, _HOPELESS = 1.25, 0.5
_EVEN_ALONE, _ECHO, _WORTH = -1.8, 5.0, 12.0
"""Sum of spread, direction and `_ECHO` times the echo at which a grey picture is as likely texture as noise, and what
a unit below adds to the odds.

Noise of 10 and 25 of 255 on 46 training crops, a third of them full of texture, also as JPEGs, has at most -2.41, but
for a white table that is half clipped: -2.18 and -1.94. Sharpened JPEGs of gravel and grass, and a clean lawn, have
-1.61 to -1.28: they were wiped out.
"""
_SHARE, _SOME = 0.65, -1.4
_RISES = -0.6
"""Least `fall`: sharpened sand and error diffusion, whose fine waves rise, have -0.86 to -0.62 and were smeared. Noise
on 56 training crops has at least -0.39; of 31 with Poisson noise, two have -0.66 and -0.85 and get a spectrum.
"""
_GREY, _COLOUR = (-1.1, -1.0, -2.6, 0.0, 0.4), (-1.3, math.inf, math.inf, math.inf, 0.4)
"""Least share of white noise, and least slow waves in grey; the largest spread, direction, their sum, slow waves, and
fall in grey and in colour.

In the 40 of 1,624 training photographs with the most texture, noise of 10 of 255 has a spread of at most -1.32 in
colour. Texture that is taken for it has at least -1.26. Grey ones overlap, but noise of 10 of 255 in 30 crops, half of
them full of texture, has a sum of at most -2.8, and clean fur -2.4. A prior takes slow waves of noise for picture: they
have at most -0.09 even in flat pictures, a clean lawn has 0.09. In strong texture they have at least -1.18. A fine
weave that bends, which was wiped out, has none of its own: -1.63. Fine waves of noise on 24 crops fall by at most 0.18,
and those of grains that are two pixels wide by 1.6.
"""
_STEADY, _SHAKEN, _TENTH, _PLENTY = 1 / 127.5, 1 / 8, 0.1, 1.3
"""Paper is of one tone, or there is plenty of it: deviation of its blocks' brightness without noise, and what its noise
adds, as a share of the level; the part of the blocks, and their power there over that of the calmest ones.

With noise of 5 to 25 of 255, drawn music deviates by 0.8 to 2.3 of 255 where 1.6 to 4.1 are permitted; text, lines
and screens have a power of 1.07 to 1.18 there. Sharpened gravel deviates by 5 to 80 of 255, and has 1.4 to 4.1.
"""
FINE, _FINEST = 3, 6
"""First of the bands that the level of white noise is read off, and of the finest ones of these."""
_PATCH, _ENOUGH, _BEYOND_PATCHES, _ALONE = 5, 100, 1.08, 0.95
_PART = 0.1
_PATCH_ROWS = 16
_PAPER, _FEWEST, _EVEN, _PALER = 0.03, 8, 2.5, 0.5
"""Share of the blocks, and their least number, that are paper on any page; the largest ratio of the powers of their
bands, the slowest one left out. The last is the most of the page's deviation that its noise has.

Drawn music, text, maps and hatches with noise have 1.2 to 2.2. Of 680 clean training photographs, in grey and in
colour, as they are and as JPEGs, the calmest blocks of sand have 2.8, a noisy one 3.3, and all others at least 7.3. Of
150 training crops, also sharpened, as JPEGs of quality 75 and 92, none has less than 6 in grey alone.

Strokes are stronger than the noise: that of 20 of 255 on 8 drawn pages has at most 0.36 of the deviation. Maps without
any bare paper, and sharpened gravel and grass, have 0.58 to 0.78: their strokes and grains were taken for noise.
"""


@dataclass(frozen=True)
class White:
    """Evidence for white noise.

    Attributes:
        level: of the noise, in [-1, 1] units.
        share: share of the given level that the prior removed at the end.
        spread: logarithm of the deviation of the blocks' log power in what it removed, apart from its dependence on
            brightness.
        direction: logarithm of the difference of the directions in it.
        slow: logarithm of the power of its slow waves over that of fine ones, at most about 0 if it is white.
        fall: the same of the longer half of its fine waves over the finest ones.
        calls: number of evaluations.
        x0: the last estimate.
        echo: how much more what it removes has the form of the estimate than what it removes from drawn noise; None
            where colours tell enough.
    """

    level: float
    share: float
    spread: float
    direction: float
    slow: float
    fall: float
    calls: int
    x0: Tensor
    echo: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """Numbers behind the confidence, by the names of the `signs`."""
        echo = {} if self.echo is None else {"echo": self.echo}
        return {
            "share": self.share,
            "spread": self.spread,
            "direction": self.direction,
            "slow": self.slow,
            "fall": self.fall,
            **echo,
        }

    @property
    def confidence(self) -> float:
        """Confidence in noise that is `certain` by all other signs."""
        if self.echo is None:
            return WHITE_CONFIDENCE
        odds = _WORTH * (_EVEN_ALONE - self.spread - self.direction - _ECHO * self.echo)
        return min(1 / (1 + math.exp(-max(odds, -30.0))), WHITE_CONFIDENCE)

    def certain(self, axes: int) -> bool:
        """True if this is noise, and so white, on that many colour axes."""
        most = _GREY if axes == 1 else _COLOUR
        own = (self.spread, self.direction, self.spread + self.direction, self.slow, self.fall)
        even = all(sign <= limit for sign, limit in zip(own, most, strict=True))
        slow = axes > 1 or self.slow >= _SOME
        return self.level >= LEAST and self.share >= _SHARE and even and slow and self.fall >= _RISES


def white_level(prior: Prior, calm: Calm, above: float, calls: int) -> White:
    """Estimates the level of white noise.

    At a level a quarter above the noise's, a prior removes the noise and hardly anything else, in flat places and in
    texture. At lower levels it spares texture together with its noise. So the level descends: each call uses a quarter
    more than the last one removed. Without noise, a prior removes at most half of the given level, and the level tends
    to zero.

    Args:
        prior: the prior.
        calm: the picture; of a grey one the level is that of the grey axis.
        above: an upper bound of the level.
        calls: the most evaluations; fewer suffice if a prior removes less than half.
    """
    y, axes, kept = calm.y, calm.axes, calm.kept
    told, level, spent, taken = _MORE * above, 0.0, 0, Taken(y, y)
    while spent < calls and (not spent or WHOLE * level / told >= _HOPELESS):
        told = _MORE * level or told
        taken = Taken(y, prior(whitened(y, told, axes, Streams([0])), told))
        level, spent = taken.power[:, :axes, FINE:].mean((1, 2)).median().sqrt().item() / WHOLE, spent + 1
    own = relative(taken.power[kept], Spectrum.white(told, y.shape[1], axes), axes)
    even = math.log(spread(own, calm.light[kept])), math.log(direction(residual(y - taken.x0, kept)))
    groups = (slice(1, FINE), slice(FINE, None), slice(FINE, _FINEST), slice(_FINEST, None))
    waves = (taken.power[:, :axes, bands].mean((1, 2)).median() for bands in groups)
    slow, fine, longer, finest = (math.log(max(power.item(), LEAST_POWER)) for power in waves)
    return White(level, WHOLE * level / told, *even, slow - fine, longer - finest, spent, taken.x0)


def beside_drawn(prior: Prior, calm: Calm, seen: White) -> White:
    """Compares what a prior takes from a grey picture with what it takes from drawn noise there; one evaluation."""
    told, shape = WHOLE * seen.level / seen.share, calm.y.shape
    drawn = seen.x0 + simulated(calm.y, Spectrum.white(seen.level, shape[1], calm.axes), Streams([1]))
    # Noise is clipped in a file, and what is clipped has the picture's form.
    drawn = drawn.clamp(-1, 1)
    x0 = prior(whitened(drawn, told, calm.axes, Streams([0])), told)
    return replace(seen, echo=echo(calm.y - seen.x0, seen.x0) - echo(drawn - x0, x0), calls=seen.calls + 1)


def on_paper(calm: Calm) -> Noise | None:
    """Finds white noise on the flat paper between the strokes of a page; evaluates no prior.

    Strokes are neither even nor Gaussian, and music has waves that repeat, so that noise cannot be told by what a prior
    takes from all of a page. But on plain paper slow waves have no more power than fine ones, which no texture has.

    Args:
        calm: the picture. Its clipped blocks count, too: they may be all of the paper.
    """
    # A file in colour has cut off the fine waves of the noise's colours, so that only those of grey are even.
    coded = calm.kind == "compressed"
    judged = 1 if coded else calm.axes
    activity = (calm.power / median(calm.power).clamp_min(LEAST_POWER))[:, :judged].sum((1, 2))
    order, count = activity.argsort(), max(_FEWEST, int(_PAPER * len(activity)))
    paper, tone = calm.power[order[:count]].mean(0), calm.light[order[:count]].std(correction=0).item()
    bands = paper[:judged, 1:]
    next_ones = calm.power[order[int(_TENTH * len(order)) :][:count], :judged, 1:].mean().item()
    ratio = (bands.amax(1) / bands.amin(1).clamp_min(LEAST_POWER)).max().item()
    level = bands[:, 1:].mean().sqrt().item()
    if coded:
        paper[:, 0] = paper[:, 1]
        spectrum = Spectrum(only(paper, calm.axes))
    else:
        spectrum = Spectrum.white(level, calm.y.shape[1], calm.axes)
    plenty = next_ones / max(bands.mean().item(), LEAST_POWER)
    plain = 2 * tone <= _STEADY + _SHAKEN * spectrum.level or plenty <= _PLENTY
    if ratio > _EVEN or not plain or all_of(calm.y, spectrum, _PALER):
        return None
    numbers = {"paper": ratio, "tone": 255 * tone, "plenty": plenty}
    return Noise(spectrum, 0.0 if coded else level, WHITE_CONFIDENCE, numbers, coded=coded)


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
    calmest = calm_of(calm.power[calm.kept], calm.axes).power[: calm.axes, FINE:].min().sqrt().item()
    return min(max(level, share * min(calmest, flattest)), share * _BEYOND_PATCHES * flattest)


def _flattest(y: Tensor, axes: int) -> float | None:
    """Deviation of a picture's patches of 5x5 pixels along the eighth of the directions where they differ least.

    None if the patches are few: some direction has little noise by chance then.
    """
    x = y if axes == y.shape[1] else math.sqrt(y.shape[1]) * y.mean(1, keepdim=True)
    x = x - x.mean((2, 3), keepdim=True)
    kept = F.max_pool2d(clipped(y), _PATCH, 1)[0] == 0
    if kept.float().mean() <= _PART:
        kept = torch.ones_like(kept)
    size, number = x.shape[1] * _PATCH**2, int(kept.sum())
    if number < _ENOUGH * size:
        return None
    # A few rows of patches at a time stay in a processor's cache.
    sums, products = x.new_zeros(size), x.new_zeros(size, size)
    for top in range(0, len(kept), _PATCH_ROWS):
        own = kept[top : top + _PATCH_ROWS].flatten()
        rows = x[0, :, top : top + _PATCH_ROWS + _PATCH - 1]
        patches = rows.unfold(1, _PATCH, 1).unfold(2, _PATCH, 1).permute(0, 3, 4, 1, 2).reshape(size, -1)
        # Places are gathered in half of the time that truth values take.
        patches = patches if own.all() else patches.index_select(1, own.nonzero()[:, 0])
        sums += patches.sum(1)
        products += patches @ patches.T
    mean = sums / number
    values = torch.linalg.eigvalsh((products / number - torch.outer(mean, mean)).double())
    return math.sqrt(max(values[: max(1, len(values) // 8)].mean().item(), 0.0))


def variance(y: Tensor, x0: Tensor, axes: int) -> Variance | None:
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
    return straight(power, light)


def whitened(y: Tensor, level: float, axes: int, rng: Streams) -> Tensor:
    """Adds white noise of a level to pictures, (B, C, H, W), on all colour axes but the first `axes`."""
    if axes == y.shape[1]:
        return y
    fresh = to_opponent(complement(y, rng))
    fresh[:, :axes] = 0
    return y + level * from_opponent(fresh)
