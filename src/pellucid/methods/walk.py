r"""Noise removal: one call of the prior for white noise, a walk down the spectrum for other noise.

A denoiser is trained for white noise of a known level; no method has a smaller mean squared error than this one call
(Tweedie's formula). Other stationary noise is removed by the walk of `pellucid.diagnosis.noise.stationary`, which
keeps as much of each frequency and colour as the noise there permits. White noise that depends on brightness is first
made uniform (`pellucid.maths.stabilised`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..diagnosis import Diagnosis, Noise
from ..diagnosis.noise import changed, reduced, whitened
from ..diagnosis.noise.stationary import Observed, Spectrum, ladder, walk
from ..maths.noise import Streams, axis_level
from ..priors.prior import Counted, Padded
from .method import State
from .plan import Framing

CALLS, _USUAL = 7, 5
"""Largest number of evaluations of a walk: for undoubted coarse noise, and for any other."""

_COARSE = 1.12
"""Factor of the level of undoubted coarse noise, of which a walk leaves some in flat places even if the level is exact.

On 15 training crops with grain of 1.2 pixels it gains 0.32 dB where they are flat, 0.01 between, and loses 0.65 in
strong texture. With two calls more it gains 0.37, 0.23 and -0.12. Grain of 2 pixels in scans: 0.37, 0.15 and 0.17.
"""

_GRAIN = 1.2
"""The same of grain, which has no colour: its level is a little low.

On 14 other training crops with grain of 1.2 pixels, 1.2 times the level gains 0.16 dB more than 1.12 times, and loses
0.04 at most. Noise with colour loses 0.8 where the level is high.
"""

_CODED = 1.12
"""Factor of the level of undoubted noise before a JPEG, which makes it uneven: what fits its mean takes too little.

On 10 training crops, colour noise 25 under JPEG 92 gains 0.24 to 0.29 dB by 1.08 to 1.25, colour noise 10 0.07 by 1.12.
"""

_LEFT_OF_CODED = 1.4
"""Factor of the level of weak noise under a coarse JPEG: what is left of it are slow waves, which look like picture.

On 24 training crops of quality 75 with noise of 4 and 7, the compression undone gains 1.26 and 1.24 dB. Then the level
itself gains 2.44 and 3.65, 1.4 times the level 2.65 and 4.22, and 2 times 2.75 and 4.31. But that smooths weak texture.
"""


@dataclass(frozen=True)
class Denoising:
    """Removes diagnosed noise; see `plan.Treatment`.

    Attributes:
        noise: the finding.
        grey: whether the picture is grey and must stay grey.
        strength: factor of the assumed noise level, 1 for the estimated one.
    """

    frame: ClassVar[Framing] = "left out"

    noise: Noise
    grey: bool = False
    strength: float = 1.0

    @property
    def note(self) -> str:
        """Note on the removed noise, or on its partial removal if it is doubtful."""
        return f"{self.noise.text} {'partly removed' if self.noise.weight < 1 else 'removed'}"

    @property
    def nfe(self) -> int:
        """One evaluation for white noise, two if the picture is grey, up to `CALLS` for other noise."""
        return len(self._levels) if not self.noise.white else 2 if self.grey else 1

    @property
    def _levels(self) -> list[float]:
        return ladder(self._spectrum, CALLS if self._coarse else _USUAL, 1 if self.grey else None)

    @property
    def _coarse(self) -> bool:
        return self.noise.coarse and not self.noise.coded and self.noise.weight == 1

    @property
    def _spectrum(self) -> Spectrum:
        undoubted = self.noise.weight == 1
        coarse = _GRAIN if self.noise.colourless else _COARSE
        more = coarse if self._coarse else _CODED if self.noise.coded and undoubted else 1.0
        return self.noise.spectrum.scaled(self.strength * more)

    @torch.no_grad()
    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`."""
        scale, total = self.noise.scale, self.nfe
        if scale > 1:
            small = replace(self, noise=replace(self.noise, scale=1))
            for state in small.iterate(reduced(y, scale), Counted(Padded(prior)), rng):
                x0 = changed(y, state.x0, scale)
                x = x0 if state.x is state.x0 else changed(y, state.x, scale)
                yield replace(state, x=x, x0=x0, nfe=prior.nfe)
            return
        for step, (level, x0) in enumerate(self._estimates(y, prior, rng), 1):
            own = x0.mean(1, keepdim=True).expand_as(x0) if self.grey else x0
            end, weight = step == total, min(self.strength * self.noise.weight, 1.0)
            # Where noise is doubtful, half a step does a quarter of the harm and three quarters of the good.
            kept = torch.lerp(y, own, weight) if end and weight < 1 else own
            yield State(step, total, 0.0 if end else level, kept, own, prior.nfe)

    def _estimates(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[tuple[float, Tensor]]:
        level, variance = self.strength * self.noise.white, self.noise.variance
        level *= _LEFT_OF_CODED if self.noise.coded else 1.0
        if variance is not None:
            # Another spectrum is already that of the new picture.
            own = axis_level(variance.level, y.shape[1]) if self.grey else variance.level
            inner = replace(self, noise=replace(self.noise, white=own if level else 0.0, variance=None))
            for told, x0 in inner._estimates(variance.forward(y), prior, rng):
                yield told, variance.inverse(x0)
        elif not level:
            yield from walk(prior, Observed.of(y, rng), self._spectrum, self._levels)
        elif not self.grey:
            yield level, prior(y, level)
        else:
            # The missing noise of the other colour axes with either sign: what it does to the grey axis cancels.
            there = whitened(y, level, 1, rng)
            first = prior(there, level)
            yield level, first
            yield level, (first + prior(2 * y - there, level)) / 2


def white(sigma: float, channels: int, grey: bool) -> Noise:
    """White noise of a known level.

    Args:
        sigma: standard deviation in a channel, in [-1, 1] units.
        channels: number of channels.
        grey: whether the picture, and so its noise, is equal in all channels; else the noise is independent in them.
    """
    level = axis_level(sigma, channels) if grey else sigma
    return Noise(Spectrum.white(level, channels, 1 if grey else channels), level, 1.0)


def treatment(diagnosis: Diagnosis, strength: float) -> Denoising | None:
    """Denoising of diagnosed noise; see `plan.Maker`."""
    if diagnosis.noise is None:
        return None
    return Denoising(diagnosis.noise, diagnosis.inner.grey, strength)
