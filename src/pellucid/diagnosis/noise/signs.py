"""Signs that separate noise from texture, and the share of pictures with such signs that gain by denoising.

Noise is everywhere, alike in all directions, and Gaussian; texture is in places, often has a direction, and a grain of
sand is brighter or darker than its neighbours by more than chance allows. What a prior takes from a picture is compared
with what it takes from its own estimate plus noise that was drawn: that is how even, and how much of the noise, it
would be in this very picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .stationary import Spectrum, shares, to_opponent

Sort = Literal["colour", "grey", "reduced", "curved", "compressed", "pressed"]
"""Kind of picture by what its signs are like: compressed ones are JPEGs in colour, pressed ones in grey. Reduced and
curved ones are grey, too: reduced until the noise is fine, or with a curve of the noise."""

SIDE, STRIDE = 16, 8
SLOW = 2
"""Number of bands of slow waves, which a prior counts as picture, noise or not."""

DRAWN: Sequence[Sort] = ("colour", "grey", "curved", "pressed")
"""Kinds with signs that need the noise which is drawn; see `beside_drawn`."""
_SPARED: Sequence[Sort] = ("colour", "pressed")
"""Kinds whose noise has peaks of its own, which tell only beside those of drawn noise: a camera's depends on the tone
and on edges, and a JPEG drops it in places."""

_CLIPPED, _FEW = 0.1, 9
_PERIOD = 8
_TAILS = 3.0
_WIDE, _FIRST_RING, _WEAK = 32, 3, 0.3
"""Side of the blocks that show a pattern which repeats, the slowest waves that count, in periods a block, and the share
of the mean power that hides a wave."""
_CHANCE = (0.16, 2.0)
"""Excess of a wave over others of its length in grain, as a logarithm: the first, and the second over the root of the
number of blocks. Grain of two pixels, reduced by 2, has 0.56 at 96x96 pixels, 0.30 at 192x192 and 0.24 at 384x384."""
_SLOWEST, _FINEST = 0.09, 0.5
"""Frequencies between which waves have a direction, in cycles a pixel."""
_COLOURED, _TINTED = 0.5, 0.8
_TINY = 1e-6
_CALM_DRAWN = 1.5
"""Most by which drawn noise lies below 0 in `calmness`: 1.38 in 60 training pictures of 18 kinds."""
_CALM_MOST = 0.2
"""Most of the sign `calm` that counts: noise on training crops has up to 0.24, fur 0.41 and sand 0.35."""
_SQUARE, _STILL, _FAINT = 4, 1e-5, 1e-7
"""Side of the squares of `tied`, and the power of steps of 0.4 of 255, below which all squares are alike."""
_ECHO, _LOUD, _MIDDLE = 5.0, 0.6, math.log(16)
_LACKS, _LESS = 6.0, 0.1
"""Weights of `echo` and of the level's logarithm beside `tied` in `follows`, and the level that adds nothing; weight of
what is `lacking` in `texture`, and how much of it adds nothing.

Loud noise drowns texture, so that the little that is taken of this follows nothing.
"""
_PEAKS_OF = 10.0
"""Level, of 255, whose peaks count in full in `bursts`."""
_LUMPS = (2, 4)
"""Sides of the squares whose power is `lumpy` in texture."""
_MANY = 121
"""Blocks of a picture of 96x96 pixels, from which signs are sure: thumbnails of 85x64 pixels have 63."""
_FLAT, _FEWEST = 0.3, 6
"""Share of the blocks that count as flat, and their least number."""
_PALE, _BLACK = 0.4, 0.05
"""Least ratio of the darkest channel to the brightest one in a pale colour, both over a level that counts as black."""

RULE: Mapping[str, tuple[float, float]] = {
    "share": (0.759, 5.399),
    "spread": (-1.087, -1.498),
    "calm": (-0.220, 6.030),
    "bound": (0.839, 3.490),
    "level": (2.359, 0.534),
    "grid": (0.160, -4.516),
    "direction": (-1.704, -0.933),
}
"""Neutral value of each sign, and its weight."""
_OFFSET: Mapping[Sort, float] = {
    "colour": -1.532,
    "grey": -2.552,
    "reduced": -2.052,
    "curved": -2.952,
    "pressed": -2.352,
    "compressed": -1.852,
}
"""Log-odds at the neutral values.

Without colours there is less evidence; a curve makes texture more even; the limit of the grey axis keeps it from harm.
Pressed ones do without the grid, which texture has least of.
"""

BEYOND: Mapping[str, tuple[float, float]] = {
    "peaks": (0.40, 3.0),
    "skew": (0.16, 12.0),
    "together": (-1.2, 5.0),
    "recurrence": (1.8, 8.0),
    "few": (0.0, 3.0),
    "tied": (-0.15, -20.0),
}
"""Of each sign of texture the value that noise keeps below, and what each unit beyond takes from the odds.

Chosen on training crops. The first two tell what is not Gaussian: on 57 crops three fifths of the harm go, and a
fortieth of the gain. The third one, from -1.5 on, takes seven tenths of the harm and a hundredth of the gain on 97
others; from -1.2 on it spares coarse grain.
"""

UNEVEN: Mapping[Sort, Mapping[str, tuple[float, float]]] = {
    "colour": {
        "calm": (-0.12, -6.0),
        "together": (-1.4, 4.0),
        "skew": (0.12, 10.0),
        "bursts": (0.3, 5.0),
        "turning": (0.012, 150.0),
        "texture": (0.3, 5.0),
    },
    "grey": {
        "calm": (-0.08, -10.0),
        "share": (0.70, -6.0),
        "peaked": (0.1, 40.0),
        "turning": (0.012, 100.0),
        "texture": (0.6, 20.0),
        "lumpy": (0.09, 40.0),
    },
    "reduced": {
        "calm": (-0.08, -10.0),
        "share": (0.70, -6.0),
        "peaks": (0.2, 8.0),
        "waves": (0.4, 12.0),
        "lumpy": (0.09, 40.0),
    },
    "curved": {"calm": (-0.08, -10.0), "turning": (0.012, 100.0), "texture": (0.6, 20.0)},
    "pressed": {"share": (0.70, -6.0), "uneven": (0.2, 10.0), "peaked": (0.1, 8.0), "texture": (0.6, 20.0)},
    "compressed": {
        "calm": (-0.08, -10.0),
        "share": (0.66, -12.0),
        "direction": (-1.4, 12.0),
        "pale": (0.5, -6.0),
        "follows": (0.79, 20.0),
        "lumpy": (0.1, 25.0),
    },
}
"""The same by kind of picture; a weight below 0 counts what lies below the value.

Texture has calm places, and noise has none. Chosen on 1,500 crops, a third of them from the 40 photographs with the
most texture of 1,624, some sharpened. From these 40 it takes two thirds of the harm; from the others hardly any gain.
Noise that is mostly colour is left to the rule: texture has little. That of red cloth has as much, and a JPEG hides
that it goes with the grey. White noise 10 under a JPEG has a direction of -1.42 and less; canvas has -1.21.

The limits of pressed ones were chosen on 76 grey training crops under JPEG 70 to 90, 33 of which gain by denoising: 20
are found, not 11, and none of the others loses more than 0.15 dB, instead of three.

Texture of a grey picture that was enlarged has waves of its own, and peaks. On 60 training crops full of it, enlarged
three times, six were harmed and one is left; on 60 others one was, and is. Of 101 grainy ones 85 are found, not 86.

What is taken from a grey picture is hardly more peaked than what is taken from noise that is drawn there, and turns no
more. Of the 300 clean middles of 128x128 pixels with the most texture, 23 fell below 39 dB, and 6 do. Peaks of grain
that depends on the tone tell nothing, since the drawn noise does not: of ten such crops three were lost by them.

Of a colour picture the `skew`, and the `share` in a JPEG, were chosen on 40 corners of training photographs that are
full of texture. Noise on 24 crops has a `skew` of at most 0.12 in nine tenths of them, and a `share` of at least 0.69
in a JPEG; of 12 textures that count as noise eight have a `skew` of 0.13 and more, and of 13 in JPEGs eight have a
`share` below 0.64.

What is taken from a colour picture turns from place to place. A camera's noise turns by at most 0.009 more than drawn
noise, in 14 photographs and on 12 others to which it was added. On 32 of the 40 corners it is 0.012 to 0.135. The other
eight have `bursts` of 0.3 to 1.2, or a `texture` of 0.3 to 0.6; noise has at most 0.3, and 0.3 unless it is loud.

`texture` and `follows` were chosen on corners and edges of other training photographs. Noise that was found and gains
2 dB or more has a `texture` of at most 0.63 on 63 grey files, and a `follows` of at most 0.3 in a JPEG in colour; noise
that gains 0.5 dB has up to 0.74 there. Of 41 undamaged grey files of 13 pictures, mostly wiped out before, 38 have 0.63
and more; of 12 JPEGs in colour nine have 0.84 and more.

`lumpy` was chosen on training crops that were reduced, sharpened or toned. From 0.05 on it would lose grain of 1.2
pixels. In colour it would refuse a camera's noise, which depends on the tone; there the signs before do as well. Of 13
undamaged crops in colour that lost texture as grain, 5 do; of 73 with noise or grain 62 are found, with all the gain.
"""
BESIDE: Mapping[str, tuple[float, float]] = {"apart": (1.6, 6.0), "flat": (-0.3, 3.0)}
"""Of each sign of noise that some pictures have the value that texture keeps below, and what each unit beyond adds.

Undamaged training photographs with texture in colours have `apart` of at most 1.7 where the level is credible.
"""


def probability(signs: Mapping[str, float], kind: Sort) -> float:
    """Share of pictures with such signs that gain by denoising, by a logistic rule.

    The rule was fitted to crops of training photographs with and without noise: `python -m benchmarks.noise_rule`.

    Args:
        signs: by name.
        kind: of the picture.
    """
    # The grid of a JPEG is in its noise as well, so that it tells nothing against it.
    told = {name: limits for name, limits in RULE.items() if name != "grid" or kind != "pressed"}
    rule = sum(weight * (signs[name] - middle) for name, (middle, weight) in told.items())
    odds = _OFFSET[kind] + rule + beside(signs, kind)
    return 1 / (1 + math.exp(-max(min(odds, 30.0), -30.0)))


def beside(signs: Mapping[str, float], kind: Sort) -> float:
    """Part of the log-odds by the signs that count beyond a limit only."""
    uneven = 0.0 if "apart" in signs else beyond(signs, UNEVEN[kind])
    limits = {name: limits for name, limits in BEYOND.items() if name != "peaks" or kind not in _SPARED}
    return beyond(signs, BESIDE) - beyond(signs, limits) - uneven


def beyond(signs: Mapping[str, float], limits: Mapping[str, tuple[float, float]]) -> float:
    """Part of the log-odds, 0 or more, of signs beyond their limits; a missing sign adds nothing.

    Args:
        signs: by name.
        limits: the limit and the weight of some signs; if the weight is below 0, values below the limit count.
    """
    return sum(max(0.0, weight * (signs.get(name, limit) - limit)) for name, (limit, weight) in limits.items())


def read(
    y: Tensor, x0: Tensor, taken: Tensor, told: Spectrum, bound: Spectrum, axes: int, compressed: bool = False
) -> dict[str, float]:
    """Measures the signs, except the removed share, and those by which it differs from drawn noise.

    Args:
        y: the picture, (1, C, H, W) in [-1, 1].
        x0: the prior's estimate.
        taken: power of y - x0 by block, colour and band, (N, C, BANDS).
        told: the noise given to the prior.
        bound: power of the calmest blocks.
        axes: colour axes that count.
        compressed: whether it was a JPEG, which changes how the colours go together.
    """
    kept = unclipped(y)
    light, left = brightness(x0)[kept], residual(y - x0, kept)
    return {
        "spread": math.log(spread(relative(taken[kept], told, axes), light)),
        "bound": told.level / bound.level,
        "level": math.log(told.level * 127.5),
        "few": math.log(max(_MANY / len(kept), 1.0)),
        "grid": _grid(y),
        "direction": math.log(direction(left)),
        **_recurring(to_opponent(y - x0)[:, :axes]),
        **_shape(left, told, axes),
        **({} if compressed or axes == 1 else _colours(y - x0, kept, told, axes)),
        "turned": _turned(left),
    }


def hopeless(signs: Mapping[str, float], own: float, kind: Sort, least: float) -> bool:
    """True if a probability stays below the least one, whatever drawn noise is going to tell.

    Args:
        signs: the `share`, and those of `read`.
        own: `calmness` of what the prior takes from the picture.
        kind: of the picture.
        least: the probability.
    """
    most = {"calm": calmer(own, -_CALM_DRAWN)} | ({"flat": 0.0} if kind == "compressed" else {})
    return probability({**signs, **most}, kind) < least


def beside_drawn(
    signs: Mapping[str, float], y: Tensor, x0: Tensor, taken: Tensor, told: Spectrum, axes: int = 1
) -> dict[str, float]:
    """Measures the signs that compare what the prior takes from a picture with what it takes from drawn noise there.

    A prior spares noise in some places, so that even what it takes of noise is uneven, and not quite Gaussian. A JPEG
    drops the weak noise of some tones and places, too.

    Args:
        signs: of the picture.
        y: its estimate with drawn noise.
        x0: the prior's estimate of that.
        taken: power of y - x0 by block.
        told: the drawn noise.
        axes: colour axes that count.

    Returns:
        `spread`, `peaks` and `turned` beyond those of the drawn noise; `bursts` are those peaks times the level over 10
        of 255, since faint noise has peaks at every edge that a prior does not foresee.
    """
    kept = unclipped(y)
    own = math.log(spread(relative(taken[kept], told, axes), brightness(x0)[kept]))
    left = residual(y - x0, kept)
    peaked = signs["peaks"] - max(_shape(left, told, axes)["peaks"], 0.0)
    return {
        "uneven": signs["spread"] - own,
        "peaked": peaked,
        "bursts": peaked * math.exp(signs["level"]) / _PEAKS_OF,
        "turning": signs["turned"] - _turned(left),
    }


def follows(y: Tensor, x0: Tensor, drawn: Tensor, x0_drawn: Tensor, level: float) -> dict[str, float]:
    """Measures how much more what a prior takes follows the picture than what it takes from drawn noise there.

    Texture is strong where it is seen, and a prior weakens it, so that what is taken has the form of what is left. Of
    noise it takes as much as of drawn noise, but for a little: that of texture `lacks` more.

    Args:
        y: the picture, (1, C, H, W).
        x0: the prior's estimate.
        drawn: the estimate with drawn noise.
        x0_drawn: the prior's estimate of that.
        level: logarithm of the noise's level, of 255.

    Returns:
        `tied` and `echo` beyond those of drawn noise, what is `lacking`, and their sums, weighted: `follows` of the
        first two and the level, `texture` of all.
    """
    more = tied(y - x0, x0) - tied(drawn - x0_drawn, x0_drawn)
    alike = echo(y - x0, x0) - echo(drawn - x0_drawn, x0_drawn)
    lacking = _removed(drawn - x0_drawn, x0_drawn) - _removed(y - x0, x0)
    own = more + _ECHO * alike + _LOUD * (level - _MIDDLE)
    return {
        "tied": more,
        "echo": alike,
        "lacking": lacking,
        "follows": own,
        "texture": own + _LACKS * (lacking - _LESS),
    }


def lumps(left: Tensor, drawn: Tensor, told: Spectrum, axes: int) -> dict[str, float]:
    """Measures how `lumpy` what a prior takes is beyond what it takes of drawn noise: grains and blades are lumps.

    That is the deviation of its power in small squares, as a logarithm, on the grey axis. Noise that is mostly colour
    gets none, since there is little of it on that axis.

    Args:
        left: what is taken, (1, C, H, W).
        drawn: the same of the estimate with drawn noise.
        told: the noise.
        axes: colour axes that count.
    """
    return {} if _coloured(told, axes) else {"lumpy": _lumpy(left) - _lumpy(drawn)}


def flat(spectrum: Spectrum) -> dict[str, float]:
    """Measures how flat noise is that was there before a JPEG: the fine waves of its grey axis over the middle ones.

    A sensor's noise is nearly white on that axis. Texture, and what a phone's own denoiser leaves, fall with frequency.
    Sharpened texture rises, so that 0 is the most.
    """
    grey = spectrum.power[0]
    return {"flat": min(math.log((grey[6:].mean() / grey[2:5].mean()).item()) / 2, 0.0)}


def line(power: Tensor, light: Tensor) -> tuple[float, float, Tensor]:
    """Fits a + b light to the power of blocks, both (N,): a, b and the fit, at least a tenth of the mean."""
    weight = torch.ones_like(power)
    a, b, fit = 0.0, 0.0, weight
    for _ in range(3):
        weight = weight / weight.sum()
        middle = (weight * light).sum()
        b = (
            (weight * (light - middle) * power).sum() / (weight * (light - middle) ** 2).sum().clamp_min(_TINY**2)
        ).item()
        a = (weight * power).sum().item() - b * middle.item()
        fit = (a + b * light).clamp_min(0.1 * power.mean().item())
        weight = fit**-2
    return a, b, fit


def brightness(x: Tensor) -> Tensor:
    """The mean of each block of an image, (N,), from 0 to 1."""
    return (tiles(x.mean(1)).mean((-2, -1)).flatten().cpu() + 1) / 2


def tiles(x: Tensor) -> Tensor:
    """Overlapping blocks of images (..., H, W), (..., rows, columns, 16, 16)."""
    return x.unfold(-2, SIDE, STRIDE).unfold(-2, SIDE, STRIDE)


def clipped(y: Tensor) -> Tensor:
    """Marks the pixels of an image, (1, H, W), of which a channel is at an end of its range: 1 there, else 0."""
    return (y.abs().amax(1) >= 1 - 1.01 / 127.5).float()


def flattest(activity: Tensor) -> Tensor:
    """Indices of the blocks that count as flat, by the activity of all, (N,)."""
    return activity.argsort()[: max(_FEWEST, int(_FLAT * len(activity)))]


def pale(y: Tensor, kept: Tensor) -> Tensor:
    """Marks the blocks whose colour is not deep, 1.0 there, else 0.0, (N,): texture of a deep colour has that colour.

    Args:
        y: one picture in colour, (1, C, H, W) in [-1, 1].
        kept: blocks that count, of which there are N.
    """
    light = (tiles(y)[0].mean((-2, -1)).flatten(1).cpu()[:, kept] + 1) / 2
    return (light.amin(0) + _BLACK >= _PALE * (light.amax(0) + _BLACK)).float()


def unclipped(y: Tensor) -> Tensor:
    """Selects blocks, (N,), that are hardly clipped, since clipping reduces noise; all if they are few."""
    parts = tiles(marked := clipped(y))
    if not marked.any():
        return torch.ones(parts.shape[-4:-2].numel(), dtype=torch.bool)
    kept = parts.mean((-2, -1)).flatten().cpu() < _CLIPPED
    return kept if kept.sum() >= max(_FEW, 0.2 * len(kept)) else torch.ones_like(kept)


def relative(power: Tensor, told: Spectrum, axes: int) -> Tensor:
    """Power of each block relative to the given noise, (N,)."""
    weight = (told.power * shares())[:axes, SLOW:]
    ratio = power[:, :axes, SLOW:] / told.power[:axes, SLOW:]
    return (ratio * weight / weight.sum()).sum((1, 2)).clamp_min(_TINY)


def spread(power: Tensor, light: Tensor) -> float:
    """Deviation of the blocks' log power after removal of its dependence on brightness; 0 of a single block."""
    return _TINY if len(power) < 2 else max((power / line(power, light)[2]).log().std().item(), _TINY)


def calmness(y: Tensor, taken: Tensor, told: Spectrum, axes: int) -> float:
    """Log-ratio of the power of calm blocks to that of typical ones, in what a prior takes; see `read`."""
    power = relative(taken[unclipped(y)], told, axes)
    return math.log((power.quantile(0.05) / power.median()).item())


def calmer(own: float, drawn: float) -> float:
    """Makes the sign `calm` of the `calmness` of a picture and of drawn noise there."""
    return min(own - drawn, _CALM_MOST)


def _grid(y: Tensor) -> float:
    """Excess of the columns at JPEG's block edges, on a logarithmic scale; 0 without a grid."""
    x = y.mean((0, 1))
    step = x.diff(dim=-1)
    jump = (step[:, 1:-1] - step[:, :-2] / 2 - step[:, 2:] / 2).abs().mean(0)
    edge = torch.arange(1, 1 + len(jump), device=y.device) % _PERIOD == _PERIOD - 1
    return max(0.0, math.log((jump[edge].mean() / jump[~edge].mean().clamp_min(_TINY)).item() + _TINY))


def residual(left: Tensor, kept: Tensor) -> Tensor:
    """Blocks of a residual's mean channel, (N, 16, 16), without their means."""
    block = tiles(left.mean(1))[0].flatten(0, 1)[kept.to(left.device)]
    return block - block.mean((-2, -1), keepdim=True)


def _recurring(left: Tensor) -> dict[str, float]:
    """Sign of a pattern that repeats, such as the dots of a print or a weave: waves far beyond all others of a length.

    The power of a residual's largest wave over the lower quartile of those in other directions, as a logarithm. Noise
    of any size of grain has about as much in all directions: grain found on training crops has at most 1.3, and prints
    in colours and regular weaves over them have 2.7 and more. `waves` is the same without what chance gives.
    """
    if min(left.shape[-2:]) < _WIDE:
        return {}
    block = left[0].unfold(-2, _WIDE, _WIDE // 2).unfold(-2, _WIDE, _WIDE // 2).flatten(1, 2)
    block = block - block.mean((-2, -1), keepdim=True)
    slope = torch.hann_window(_WIDE, device=left.device)
    power = torch.fft.rfft2(block * (slope[:, None] * slope)).abs().square().sum(0)
    own = power.mean((-2, -1), keepdim=True)
    power = (power / (own + own.mean()).clamp_min(_TINY**2)).mean(0).clamp_min(_TINY).cpu()
    at = torch.hypot(torch.fft.fftfreq(_WIDE)[:, None], torch.fft.rfftfreq(_WIDE)[None])
    rings = [power[(at * _WIDE).round() == ring] for ring in range(_FIRST_RING, _WIDE // 2 + 1)]
    least = _WEAK * power.mean()
    recurrence = math.log(max((ring.max() / (ring.quantile(0.25) + least)).item() for ring in rings))
    low, more = _CHANCE
    return {"recurrence": recurrence, "waves": recurrence - low - more / math.sqrt(block.shape[1])}


def _shape(block: Tensor, told: Spectrum, axes: int) -> dict[str, float]:
    """Signs of a residual that is not Gaussian on the grey axis: all 0 of Gaussian noise, and of noise with colour.

    The excess kurtosis of all blocks together, which places with more texture raise, and the skewness, of either sign,
    of blocks made alike in power. Texture has hardly any colour of its own.
    """
    if _coloured(told, axes):
        return {"peaks": 0.0, "skew": 0.0}
    block = block.flatten(1).cpu()
    own = block / block.std(1, keepdim=True).clamp_min(_TINY)
    every = block / block.std().clamp_min(_TINY)
    return {
        "peaks": min(max(every.pow(4).mean().item() - 3, -1.0), _TAILS),
        "skew": min(abs(own.pow(3).mean().item()), 1.0),
    }


def _colours(left: Tensor, kept: Tensor, told: Spectrum, axes: int) -> dict[str, float]:
    """Sign of a residual's colours: how far `apart` its axes are, or how much `together` if it is mostly grey.

    Layers of film and pixels of a sensor have noise of their own, and grain has no colour. Texture has one: its axes
    rise and fall together. The root mean square correlation of the axes counts, of the median block, as a logarithm.
    """
    block = tiles(to_opponent(left)[0]).flatten(1, 2)[:, kept.to(left.device)].flatten(2).cpu()
    block = block - block.mean(-1, keepdim=True)
    block = block / block.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    pairs = torch.einsum("cnp,dnp->ncd", block, block).square().triu(1).flatten(1)
    alike = pairs.sum(1) / math.comb(len(block), 2)
    together = math.log(max(alike.median().sqrt().item(), _TINY))
    if _coloured(told, axes):
        return {"apart": -together}
    # In a picture of a single tint noise has this tint, too.
    return {"together": together} if pairs.amax(1).median().sqrt() < _TINTED else {}


def _coloured(told: Spectrum, axes: int) -> bool:
    """True for noise with about as much power in colours as in grey."""
    grey, *colours = told.levels[:axes]
    return bool(colours) and sum(colours) / len(colours) >= _COLOURED * grey


def echo(left: Tensor, x0: Tensor) -> float:
    """Correlation of the fine waves of what is taken with those of the estimate, from -1 to 1.

    A prior weakens texture, so that what it takes has the form of what it leaves. Noise has a form of its own; what the
    prior leaves of it is the same in drawn noise.
    """
    return _correlation(*(_fine(image.mean(1, keepdim=True)) for image in (left, x0)))


def tied(left: Tensor, x0: Tensor) -> float:
    """Correlation of the power of what is taken, in squares of 4x4 pixels, with that of the estimate's steps.

    Both as logarithms. Noise is as strong beside the picture's edges as elsewhere; texture is strong where it is seen.
    """
    left, x0 = left.mean(1, keepdim=True), F.pad(x0.mean(1, keepdim=True), (1, 0, 1, 0), mode="replicate")
    across, down = x0.diff(dim=3)[..., 1:, :], x0.diff(dim=2)[..., 1:]
    powers = (F.avg_pool2d(power, _SQUARE) for power in (left.square(), across.square() + down.square()))
    return _correlation(*((power + least).log() for power, least in zip(powers, (_TINY, _STILL), strict=True)))


def _lumpy(left: Tensor) -> float:
    """Deviation of the power of a residual in small squares, as a logarithm, summed over their sides."""
    squares = (F.avg_pool2d(left.mean(1, keepdim=True).square(), side) for side in _LUMPS)
    return sum((power + _FAINT).log().std().item() for power in squares)


def _removed(left: Tensor, x0: Tensor) -> float:
    """Logarithm of the deviation of what is taken over that of the estimate."""
    taken, kept = (image.mean(1).std().clamp_min(_TINY) for image in (left, x0))
    return math.log(taken.item() / kept.item())


def _fine(x: Tensor) -> Tensor:
    """Fine waves of a grey image, (1, 1, H, W): without its means over 3x3 pixels, the nearer ones weighted more."""
    slope = x.new_tensor([1.0, 2.0, 1.0]) / 4
    smooth: Tensor = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), (slope[:, None] * slope)[None, None])
    return x - smooth


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp_min(_TINY))


def _turned(block: Tensor) -> float:
    """Strength of the direction that each block of a residual has, from 0 to 1: fur turns from place to place.

    The mean over the blocks, (N, 16, 16), of the squared mean of the directions of their waves, by power.
    """
    slope = torch.hann_window(SIDE, device=block.device)
    power = torch.fft.fft2(block * (slope[:, None] * slope)).abs().square().cpu()
    down, across = torch.fft.fftfreq(SIDE)[:, None], torch.fft.fftfreq(SIDE)[None]
    at = torch.complex(across.expand(SIDE, SIDE), down.expand(SIDE, SIDE))
    power = power * ((at.abs() > _SLOWEST) & (at.abs() < _FINEST))
    mean = (power * at.sgn().square()).sum((1, 2)) / power.sum((1, 2)).clamp_min(_TINY**2)
    return float(mean.abs().square().mean())


def direction(block: Tensor) -> float:
    """Difference of a spectrum from itself with axes exchanged or one reversed: 0 if isotropic."""
    slope = torch.hann_window(SIDE, device=block.device)
    power = torch.fft.fft2(block * (slope[:, None] * slope)).abs().square()
    power = (power / power.mean((-2, -1), keepdim=True).clamp_min(_TINY**2)).mean(0).clamp_min(_TINY).cpu()
    log = power.log()
    turned = log[:, -torch.arange(SIDE) % SIDE]
    at = torch.hypot(torch.fft.fftfreq(SIDE)[:, None], torch.fft.fftfreq(SIDE)[None])
    weight = ((at > _SLOWEST) & (at < _FINEST)) * power.sqrt()
    unlike = ((log - log.T) ** 2 + (log - turned) ** 2) / 2
    return max(float(((unlike * weight).sum() / weight.sum()).sqrt()), _TINY)
