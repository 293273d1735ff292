"""Noise of any spectrum: what a prior removes on walks, with the signs that it is noise and no texture."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from ...maths.noise import Streams
from ...maths.stabilised import Curve, Variance
from ...priors.prior import Prior
from .blocks import Taken, calmest, limited, only
from .brightness import by_brightness, curved
from .calm import GROW, MORE_POWER, ROUNDS, Calm
from .finding import DOUBTFUL, LEAST, Noise, all_of
from .signs import (
    BESIDE,
    DRAWN,
    SLOW,
    Sort,
    beside_drawn,
    beyond,
    calmer,
    calmness,
    flat,
    flattest,
    follows,
    hopeless,
    lumps,
    pale,
    probability,
    read,
)
from .stationary import Observed, Spectrum, ladder, shares, simulated, walk

_CALM, _TESTS = 0.2, 3
_TARGET, _POWER = 0.82, 4
_SHRINK, _LESS = 0.03, 0.2
_GREY_FOUND = 2.5
"""Most power of the grey axis before a compression, of that of slow waves of colour, in what is found."""


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
    x0 = _walked(prior, seen, told, (rest + 1) // ROUNDS, axes)
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
    stops = credible and variance is None
    if stops and _hopeless(told, GROW * MORE_POWER):
        return None
    told = _corrected(Taken(y, _walked(prior, seen, told, rest // ROUNDS, axes)), told, axes, kept)
    if stops and _hopeless(told, MORE_POWER):
        return None
    taken = Taken(y, _walked(prior, seen, told, test, axes))
    ratio, weight = _ratio(taken, told, kept), (told.power * shares())[:axes, SLOW:]
    share = ((ratio[:axes, SLOW:] * weight).sum() / weight.sum()).item()
    signs = {"share": share, **read(y, taken.x0, taken.power, told, bound, axes, compressed)}
    if calm.kind == "compressed":
        signs["pale"] = pale(calm.y, calm.kept)[flattest(taken.activity[calm.kept])].mean().item()
    own = calmness(y, taken.power, told, axes)
    kind: Sort = "curved" if calm.kind in ("grey", "reduced") and isinstance(variance, Curve) else calm.kind
    if credible and hopeless(signs, own, kind, DOUBTFUL):
        return None
    drawn = taken.x0 + simulated(y, told, Streams([1]))
    again = Taken(drawn, _walked(prior, seen.beside(drawn), told, test, axes))
    signs["calm"] = calmer(own, calmness(y, again.power, told, axes))
    signs |= follows(y, taken.x0, drawn, again.x0, signs["level"])
    signs |= lumps(y - taken.x0, drawn - again.x0, told, axes)
    if kind in DRAWN:
        signs |= beside_drawn(signs, drawn, again.x0, again.power, told, axes)
    change = (_smooth(ratio / _ratio(again, told, kept)) ** 2).clamp(_LESS, MORE_POWER)
    spectrum = limited(Spectrum(only(told.power * change, axes)), axes, _GREY_FOUND if compressed else None)
    if credible and all_of(y, spectrum):
        return None
    coded = False
    if calm.kind == "compressed":
        signs |= flat(spectrum)
        coded = beyond(signs, {"flat": BESIDE["flat"]}) > 0
    return Noise(spectrum, 0.0, probability(signs, kind), signs, variance, coded)


def _hopeless(told: Spectrum, most: float) -> bool:
    """True if noise of at most so many times this power is too little to be credible."""
    return told.level * math.sqrt(most) < LEAST


def _corrected(taken: Taken, told: Spectrum, axes: int, kept: Tensor) -> Spectrum:
    """The given spectrum, less where the prior gives part of it back."""
    change = (_smooth(_ratio(taken, told, kept)) / _TARGET) ** _POWER
    return Spectrum(only(told.power * change.clamp(_SHRINK, GROW), axes))


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
