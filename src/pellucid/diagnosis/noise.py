r"""Noise as it is: its power by colour and frequency, found by a prior and by the calmest parts of a picture.

White noise is looked for first: the level that the prior finds is its own fixed point, told it, the prior takes as much
away. If what it takes is not white, the spectrum is estimated. The calmest blocks of the picture bound it from above;
what a walk of the prior with that bound leaves over, where its own estimate is flattest, is compared with the bound:
of noise the prior leaves all, of texture it gives a part back. Two rounds of that shrink texture and keep noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ..estimate import WHOLE, excerpt
from ..noise import Streams
from ..priors.prior import Prior
from ..stationary import BANDS, EDGES, Spectrum, complement, from_opponent, ladder, radius, shares, to_opponent, walk
from .content import Content

CALLS = 10
"""The most evaluations that `estimate` makes."""

_SIDE, _STRIDE = 16, 8
_CALM, _CALMEST = 0.2, 0.1
_LEAST = 1e-8
LEAST = 0.02
"""The lowest level of noise that is believed, in [-1, 1] units: 2.5 of 255."""

_MORE, _SLOW, _FINE = 1.25, 2, 3
_WHITE, _SHORT, _WALKS = 4, (2, 1, 3), (3, 3, 4)
_WHITE_SHARE, _SHARE, _SHORT_SHARE = 0.65, 0.69, 0.8
_TARGET, _POWER = 0.86, 4
_SHRINK, _GROW = 0.03, 1.15


@dataclass(frozen=True)
class Noise:
    """Noise that was found in one picture.

    Attributes:
        spectrum: its power by colour and frequency.
        white: its level on each colour axis, in [-1, 1] units, if it is white, independent from pixel to pixel and
            channel to channel, or on the grey axis of a grey picture; else 0.
        confidence: see `Finding`.
        numbers: what that rests on.
    """

    spectrum: Spectrum
    white: float
    confidence: float
    numbers: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def level(self) -> float:
        """Root mean square over pixels and channels, in [-1, 1] units."""
        return self.spectrum.level

    @property
    def grain(self) -> float:
        """The frequency below which three quarters of the power lie, in cycles a pixel: 0.55 if white."""
        power = (self.spectrum.power * shares()).sum(0)
        total = power.cumsum(0) / power.sum()
        return EDGES[int((total < 0.75).sum()) + 1]

    @property
    def text(self) -> str:
        """Its level of 255 and its kind."""
        kind = "white noise"
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
        """The numbers that it rests on, with its levels of 255 by colour axis."""
        names = ("grey", "red-blue", "green") if len(self.spectrum.power) == 3 else ()
        levels = dict(zip(names, (level * 127.5 for level in self.spectrum.levels), strict=False))
        return {**self.numbers, **levels, "grain": self.grain}


_COARSE = 0.30


def blocks(x: Tensor, *, centred: bool = True) -> Tensor:
    """Mean power of overlapping 16x16 blocks by colour and band, (N, C, BANDS).

    Args:
        x: one image, (1, C, H, W), of 16x16 or more.
        centred: whether each block's mean is taken away first.
    """
    own = to_opponent(x)[0].unfold(1, _SIDE, _STRIDE).unfold(2, _SIDE, _STRIDE).permute(1, 2, 0, 3, 4).flatten(0, 1)
    if centred:
        own = own - own.mean((-2, -1), keepdim=True)
    slope = torch.hann_window(_SIDE, dtype=x.dtype, device=x.device)
    window = slope[:, None] * slope
    power = torch.fft.rfft2(own * (window / window.square().mean().sqrt()), norm="ortho").abs().square()
    member = _members().to(power)
    mean: Tensor = power.flatten(2) @ (member / member.sum(0))
    return mean.cpu().float()


def _members() -> Tensor:
    """How much each coefficient of a block counts in each band, (coefficients, BANDS)."""
    at = torch.bucketize(radius(_SIDE, _SIDE), torch.tensor(EDGES[1:-1]), right=True)
    twice = torch.full((_SIDE // 2 + 1,), 2.0)
    twice[0] = twice[-1] = 1.0
    return torch.stack([((at == band) * twice).flatten() for band in range(BANDS)], 1)


@torch.no_grad()
def estimate(prior: Prior, y: Tensor, content: Content) -> Noise | None:
    """Looks for white noise, where the calmest blocks have room for it, and then for any other.

    Costs at most `CALLS` evaluations, of large pictures of an `excerpt`.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        content: the kind of picture; in one with exactly flat areas no noise is looked for.
    """
    y = excerpt(y)
    if content.clean or min(y.shape[-2:]) < _SIDE:
        # Less than a block tells nothing.
        return None
    axes = 1 if content.grey else y.shape[1]
    bound, calls, least = _bound(y, axes), _WALKS, _SHARE
    room = bound.power[:axes, 3:].min().sqrt().item()
    if room >= LEAST:
        level, share = white_level(prior, y, axes, room, _WHITE)
        if level >= LEAST and share >= _WHITE_SHARE:
            confidence = _confidence(share, _WHITE_SHARE)
            return Noise(Spectrum.white(level, y.shape[1], axes), level, confidence, {"share": share})
        calls, least = _SHORT, _SHORT_SHARE
    return _coloured(prior, y, axes, bound, calls, least)


def white_level(prior: Prior, y: Tensor, axes: int, above: float, calls: int) -> tuple[float, float]:
    """The level of white noise, and the share of what a prior was told that it took in the end.

    Told a quarter more than there is, a prior takes the noise and hardly anything else, in flat places and in texture;
    told less, it spares texture with its noise. From above, each call is told a quarter more than the last one took.
    Where there is no noise, a prior takes at most half of what it is told, and this comes down towards nothing.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        axes: colour axes that are looked at: 1 for grey pictures, whose level is that of the grey axis.
        above: a level that is not below the noise's.
        calls: evaluations.
    """
    told, taken = _MORE * above, 0.0
    for _ in range(calls):
        told = _MORE * taken or told
        x0 = prior(whitened(y, told, axes, Streams([0])), told)
        fine = blocks(y - x0, centred=False)[:, :axes, _FINE:]
        taken = fine.mean((1, 2)).median().sqrt().item() / WHOLE
    return taken, WHOLE * taken / told


def whitened(y: Tensor, level: float, axes: int, rng: Streams) -> Tensor:
    """Pictures, (B, C, H, W), with white noise of a level on all colour axes but the first `axes`."""
    if axes == y.shape[1]:
        return y
    fresh = to_opponent(complement(y, rng))
    fresh[:, :axes] = 0
    return y + level * from_opponent(fresh)


def _coloured(prior: Prior, y: Tensor, axes: int, bound: Spectrum, calls: Sequence[int], least: float) -> Noise | None:
    """Noise of any spectrum, in walks of so many calls each: the last one is a test, the others correct it."""
    told, share = bound, 0.0
    for number, own in enumerate(calls, 1):
        *_, (_, x0) = walk(prior, y, told, ladder(told, own, axes), Streams([0]))
        ratio = (_left(y, x0) / told.power).sqrt()
        # The slowest waves are the picture's own to a prior, noise or not.
        weight = (told.power * shares())[:axes, _SLOW:]
        share = ((ratio[:axes, _SLOW:] * weight).sum() / weight.sum()).item()
        if number < len(calls):
            smooth = F.avg_pool1d(F.pad(ratio[None], (1, 1), mode="replicate"), 3, 1)[0]
            told = Spectrum(_only(told.power * ((smooth / _TARGET) ** _POWER).clamp(_SHRINK, _GROW), axes))
    if told.level < LEAST or share < least:
        return None
    # The less a prior took, the more of the noise it spared with the texture that is about it.
    spectrum = told.scaled(min(max((_TARGET / share) ** 0.75, 1.0), 1.2))
    return Noise(spectrum, 0.0, _confidence(share, least), {"share": share, "bound": bound.level * 127.5})


def _confidence(share: float, least: float) -> float:
    """A half where the share is the least that is believed, and near 1 a tenth above."""
    return 1 / (1 + math.exp(-30 * (share - least)))


def _bound(y: Tensor, axes: int) -> Spectrum:
    """The mean power of the calmest blocks, which is that of the noise or more."""
    power = blocks(y)
    activity = (power / power.median(0).values.clamp_min(_LEAST)).sum((1, 2))
    calmest = activity.argsort()[: max(4, int(len(activity) * _CALMEST))]
    bound = power[calmest].mean(0)
    bound[:, 0] = bound[:, 1]
    return Spectrum(_only(bound, axes))


def _left(y: Tensor, x0: Tensor) -> Tensor:
    """The mean power, (C, BANDS), of what an estimate leaves over, in the blocks where it is flattest itself."""
    order = blocks(x0).sum((1, 2)).argsort()
    return blocks(y - x0, centred=False)[order[: max(6, int(len(order) * _CALM))]].mean(0)


def _only(power: Tensor, axes: int) -> Tensor:
    """The power on the first axes, and as good as none on the others."""
    power = power.clamp_min(_LEAST)
    power[axes:] = _LEAST
    return power
