r"""Noise of any kind: its power by colour and frequency, from a prior and from a picture's calmest parts.

A JPEG with hardly any room for noise is first asked for what its compression may have left of it. Then the search is
for white noise. Its level is a fixed point: given this level, the prior removes exactly as much. If
the removed part is not white, the spectrum is estimated. The calmest blocks of the picture bound it from above. The
prior walks with that bound; the residual, where the estimate is flattest, is compared with the bound. The residual
contains all noise, but only a part of texture. Two rounds of this shrink texture and keep noise. A last walk on the
estimate plus drawn noise shows how much the prior removes from pure noise in this picture. That sets the level, and its
`signs` separate noise from texture.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...priors.prior import Prior
from ..content import Content
from .calm import Calm
from .coded import WEAK, noise_under
from .coloured import measure
from .finding import DOUBTFUL, LEAST, SURE, Noise
from .stationary import Spectrum
from .white import FINE, beside_drawn, bounded, on_paper, variance, white_level

CALLS = 10
"""Largest number of evaluations in `estimate`."""
_LEAST_SIDE = 32
_PRINTED = SURE
"""Least confidence in what the dots of a print leave: detail finer than these cannot be the picture's.

On 18 prints of 6 training crops, with and without noise, its removal gains 0.17 to 3.3 dB; 7 had one below 0.1.
"""
_WHITE, _OTHER = 4, 6
"""Most evaluations for white noise; fewest for any other noise."""


@torch.no_grad()
def estimate(
    prior: Prior, y: Tensor, content: Content, compressed: bool = False, fine: bool = False, *, printed: bool = False
) -> Noise | None:
    """Looks for white noise, if the calmest blocks permit it, and then for any other noise.

    Costs at most `CALLS` evaluations; for large pictures, on a `part`.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        content: the kind of picture; one with exactly flat areas has no noise.
        compressed: whether it was a JPEG; see `limited`.
        fine: whether that one has quality `MILD` or more.
        printed: whether the dots of a print were removed: what they leave is noise.
    """
    calm, calls = None if content.clean and not content.inked else Calm.of(y, content, compressed), CALLS
    if calm is None:
        return None
    if content.patterned:
        return _paper(calm, content)
    if compressed and calm.bound.level < WEAK:
        under, calls = noise_under(prior, calm, fine), calls - 1
        if _credible(under):
            return under
    found = None if calm.reduced.silent else examined(prior, calm, calls, credible=not printed)
    if printed and found is not None:
        found = replace(found, confidence=max(found.confidence, _PRINTED))
    return found if _credible(found) else _paper(calm, content)


def _paper(calm: Calm, content: Content) -> Noise | None:
    """Noise on the paper of a page, if that is credible."""
    found = on_paper(calm) if content.inked else None
    return found if _credible(found) else None


def _credible(found: Noise | None) -> bool:
    return found is not None and found.level >= LEAST and found.confidence >= DOUBTFUL


def examined(prior: Prior, calm: Calm, calls: int = CALLS, *, credible: bool = False) -> Noise | None:
    """Estimates the noise as if there were some, however unlikely; None for a picture that is too small.

    Args:
        prior: the prior.
        calm: the picture.
        calls: most evaluations, 9 or more.
        credible: whether to stop, with None, as soon as no credible noise can result.
    """
    y, axes = calm.y, calm.axes
    room = calm.bound.power[:axes, FINE:].min().sqrt().item()
    if room >= LEAST:
        seen = white_level(prior, calm, room, min(_WHITE, calls - _OTHER))
        if seen.certain(axes):
            level = seen.level if calm.compressed else bounded(seen.level, calm)
            spectrum = Spectrum.white(level, y.shape[1], axes)
            seen = beside_drawn(prior, calm, seen) if axes == 1 else seen
            return Noise(spectrum, level, seen.confidence, seen.numbers, variance(y, seen.x0, axes))
        calls -= seen.calls
    calm = calm.reduced
    if min(y.shape[-2:]) < _LEAST_SIDE or (credible and calm.silent):
        return None
    found = measure(prior, calm, calls, credible=credible)
    return None if found is None else replace(found, scale=calm.scale)
