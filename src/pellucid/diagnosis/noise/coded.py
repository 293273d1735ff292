"""Weak noise under a JPEG compression, which has rounded most of it away and left the slow waves of some blocks.

The calmest blocks of such a picture are exactly flat, so that they permit no noise. But a prior that is told three
times the noise takes the remaining waves away, in all flat places alike. From a clean JPEG it takes hardly anything
there. From texture it takes more than from the flat places, and hardly any colour, or the surface's own colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from ...priors.prior import Prior
from .blocks import Taken
from .calm import Calm
from .finding import Noise
from .signs import flattest, line, pale, residual, tiles
from .stationary import Spectrum, shares, to_opponent

_TINY = 1e-6

WEAK = 6 / 127.5
"""Level that the calmest blocks permit, below which noise is looked for here."""

_MOST = 0.65
"""Largest confidence: what is left of the noise takes some of the picture with it, so that four fifths are removed."""

_TOLD, _LEAST = 12 / 127.5, 0.1
"""Level that the prior is told; the quantile of the flat blocks that stands for all of them."""

_SAME = 2.0
"""Noise before the compression over what the prior takes from flat places, both per channel, on training crops."""

_EVERYWHERE, _EVEN = (1.45, 10.0), (0.70, 50.0)
_ROOM, _COLOURED, _COLOURS = (8.0, -0.8), 12.0, (0.25, 0.35)
"""Neutral value of each sign, and its weight; the weakest one decides.

What is taken also has colours if it is a sensor's noise, and hardly any if it is texture: then the flat places may be
less calm. Of 685 clean training crops of quality 30 to 93, in grey and in colour, one is found; of those with noise
of 4 before a compression of quality 75 a fifth, most of those that have flat places.
"""

_LITTLE, _STEADY, _SLOW, _PEAKS = (0.8, 10.0), (0.57, 50.0), (1.15, -12.0), (2.3, -5.0)
"""Limits and weights for a coarse file in colour, of what is taken from the flat blocks.

The least of nine tenths of them; how even it is apart from its dependence on brightness; slow waves over middle ones;
excess kurtosis.

A camera's noise is stronger in some tones, so that it is uneven in a picture of several: as even as this, much less of
it is noise. On 30 crops of cameras' files of quality 75, of which 25 have a level above the least, it is found in 20
instead of 7. Noise has at most 1.01 and 2.05 there. Muddy water and starry drawings have a kurtosis of 6 to 15, what
a blurred photograph has left, waves of 1.2 and more.
"""

_EVENLY, _PALER = (0.65, 0.70), 0.08
"""Values of `steady` between which noise in colour needs less colour to make up for calm places, and how much less.

Noise in three crops with texture in their flat places has 0.72 to 0.75, and a colour of 0.23 to 0.31. As even are
gravel and a drawn wall, which have at most 0.21 and less calm places.
"""

_EVEN_GREY, _BEYOND_GREY = (0.72, 50.0), (1.3, -12.0)
"""The same for grey pictures, which have no colours; also of what is taken from the typical block, over the flat ones.

That is 0.96 to 1.2 for noise of 4 on training crops, and 1.48 for white lace on a black cloth, which was wiped out.
"""

_FINE_COLOURS = (0.42, 30.0)
"""Neutral value and weight of the colours in a fine file.

There, noise from a Bayer mosaic has at least 0.45 on training crops, with reduced colours, too. The even texture of a
leaf has 0.33: removed, it lost 1.9 dB at quality 92. What a coarser file keeps of noise has as little colour.
"""

_FLAT_PALE, _TOGETHER = (0.5, 10.0), (0.42, -20.0)
"""Neutral value and weight of the share of flat blocks that are pale, and of the correlation of grey with a colour.

The texture of red cloth is red, so that it has as much colour as noise, also where a file with reduced colours hides
the correlation. That of noise is at most 0.27 on training crops, of red and blue cloth 0.36 to 0.73.
"""


def noise_under(prior: Prior, calm: Calm, fine: bool = False) -> Noise:
    """Estimates weak noise under a compression, with its confidence; costs one evaluation.

    Args:
        prior: the prior.
        calm: the picture, a JPEG.
        fine: see `judged`.
    """
    taken = Taken(calm.y, prior(calm.y, _TOLD))
    activity = taken.activity[calm.kept]
    flat = flattest(activity)
    own = {} if calm.axes == 1 else _tint(taken, calm.kept, flat)
    if calm.axes > 1 and not fine:
        own |= _form(taken, calm.kept, flat, calm.light[calm.kept][flat])
    return judged(activity, taken.power[calm.kept], calm.axes, fine, own)


def _tint(taken: Taken, kept: Tensor, flat: Tensor) -> dict[str, float]:
    """Signs of a texture in the surface's colour: share of flat blocks that are pale, and correlation of the axes."""
    parts = tiles(to_opponent(taken.y - taken.x0))[0].flatten(1, 2)[:, kept.to(taken.y.device)][:, flat]
    parts = F.avg_pool2d(parts, 2)
    grey, *colours = (parts - parts.mean((-2, -1), keepdim=True)).flatten(1)
    alike = [(grey @ one).abs() / (grey.norm() * one.norm()).clamp_min(_TINY) for one in colours]
    return {"pale": pale(taken.y, kept)[flat].mean().item(), "together": max(one.item() for one in alike)}


def _form(taken: Taken, kept: Tensor, flat: Tensor, light: Tensor) -> dict[str, float]:
    """Signs of a texture in what is taken on the grey axis: uneven at one brightness, too, slow waves, and peaks."""
    power = taken.power[kept][flat, 0]
    whole = (power * shares()).sum(1)
    waves = power.mean(0).sqrt()
    left = residual(taken.y - taken.x0, kept)[flat.to(taken.y.device)].flatten()
    return {
        "steady": math.sqrt((whole / line(whole, light)[2].clamp_min(_TINY**2)).quantile(_LEAST).item()),
        "slow": math.log((waves[1:3].mean() / waves[3:6].mean().clamp_min(_TINY)).clamp_min(_TINY).item()),
        "peaks": (left / left.std().clamp_min(_TINY)).pow(4).mean().item() - 3,
    }


def _between(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def judged(
    activity: Tensor, taken: Tensor, axes: int, fine: bool = False, tint: Mapping[str, float] | None = None
) -> Noise:
    """Makes the finding of what a prior takes.

    Args:
        activity: of the estimate by block, (N,).
        taken: power of the part that is taken, (N, C, BANDS).
        axes: colour axes that count.
        fine: whether the file is fine enough to keep the noise's colours.
        tint: further signs, "pale" and "together", of a picture in colour, and "steady", "slow" and "peaks" of a
            coarse file.
    """
    power = taken * shares()
    flat = flattest(activity)
    grey, others = power[flat, 0].sum(1), power[flat, 1:].sum((1, 2)).mean() / 2
    level, least = (math.sqrt(one.item() / power.shape[1]) for one in (grey.mean(), grey.quantile(_LEAST)))
    signs = {
        "everywhere": least * 127.5,
        "even": least / max(level, _TINY),
        "colours": math.sqrt(others.item()) / max(level * math.sqrt(power.shape[1]), _TINY),
        "room": 127.5 * activity[flat].mean().sqrt().item(),
        "beyond": math.sqrt(power[:, 0].sum(1).median().item() / power.shape[1]) / max(level, _TINY),
        **(tint or {}),
    }
    less = _PALER * _between(signs.get("steady", 0.0), *_EVENLY)
    coloured = _between(signs["colours"] + less, *_COLOURS)
    neutral = {"everywhere": _EVERYWHERE, "even": _EVEN, "room": (_ROOM[0] + _COLOURED * coloured, _ROOM[1])}
    if axes == 1:
        neutral |= {"even": _EVEN_GREY, "beyond": _BEYOND_GREY}
    elif fine:
        neutral["colours"] = _FINE_COLOURS
    if "pale" in signs:
        neutral |= {"pale": _FLAT_PALE, "together": _TOGETHER}
    if "steady" in signs:
        del neutral["even"]
        neutral |= {"everywhere": _LITTLE, "steady": _STEADY, "slow": _SLOW, "peaks": _PEAKS}
    odds = min(weight * (signs[name] - middle) for name, (middle, weight) in neutral.items())
    spectrum = Spectrum.white(_SAME * level * math.sqrt(power.shape[1] / axes), power.shape[1], axes)
    return Noise(
        spectrum,
        math.sqrt(spectrum.power[0, 0].item()),
        min(1 / (1 + math.exp(-max(min(odds, 30.0), -30.0))), _MOST),
        signs,
        coded=True,
    )
