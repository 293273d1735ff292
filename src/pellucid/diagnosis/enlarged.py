r"""Enlarged pictures, in which each high frequency is a weak image of a low one.

Interpolation repeats the small picture's spectrum at multiples of its sampling frequency, 1/f for a factor f, and damps
the repetitions. So a frequency k beyond 1/(2 f) is coherent with k - 1/f: their product keeps its phase from row to
row. In other pictures, also blurred ones, the phase is random. The usual test, a periodic second derivative, sees the
same trace, but it fails for pictures that were made exactly twice as large.

.. math:: c = \operatorname{mean}_k \frac{|\sum_r Y_r(k)\, Y_r^*(k - 1/f)|}{\sum_r |Y_r(k)\, Y_r(k - 1/f)|}

References:
    Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images", CRV 2005.
    Mahdian and Saic, "Blind authentication using periodic properties of interpolation", IEEE TIFS 2008.
    Popescu and Farid, "Exposing digital forgeries by detecting traces of resampling", IEEE TSP 2005.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..maths.problem import to_unit
from .estimate import middle
from .spectrum import luminance

_MOST = 1024
_LEAST, _USUAL = 96, 256
_FACTORS = (1.5, 2.0, 3.0, 4.0)
_FIRM, _EMPTY = 0.4, 0.35
_REPEATS, _SMALL = 0.3, 192
"""Coherence that blurred pictures do not have, and the side below which more of it is chance.

Of 257 blurred training crops of 192 or 256 pixels, as PNG or JPEG 90, one has more. Of 63 enlarged JPEGs that were
taken for blurred, as PNG or JPEG 90, 57 have more; the others were mostly enlarged by factors that are not tried.
Of 30 blurred crops of 128 pixels none has more than 0.39.
"""
_TINY = 1e-12


@dataclass(frozen=True)
class Enlarged:
    """An earlier enlargement.

    Attributes:
        factor: factor of both sides.
        coherence: coherence of frequencies with their images, [0, 1], the smaller of both directions. 0.1 to 0.3 are
            usual.
        beyond: power beyond the small picture's frequencies relative to photographs, the larger of both directions.
    """

    factor: float
    coherence: float
    beyond: float

    @property
    def confidence(self) -> float:
        """Grows with the coherence and with the emptiness of the spectrum."""
        return 1 - 0.5 * math.exp(-20 * max(self.coherence - _FIRM, 0.0))

    @property
    def text(self) -> str:
        """The factor and the possible treatment, in words."""
        return (
            f"enlarged before, about {self.factor:g} times: a picture of 1/{self.factor:g} of its sides holds as much; "
            "reduce it to that size, then use --task enlarge"
        )

    @property
    def remedy(self) -> str:
        """Empty, since the picture must be reduced first."""
        return ""

    @property
    def evidence(self) -> dict[str, float]:
        """The factor and both signs."""
        return {"factor": self.factor, "coherence": self.coherence, "beyond": self.beyond}


def measure(image: Tensor) -> list[Enlarged]:
    """Both signs for each tested factor; empty for pictures below 96 pixels.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1]; the middle of a large one is used.
    """
    return list(_measured(image, math.inf))


def _measured(image: Tensor, empty: float) -> Iterator[Enlarged]:
    """Both signs for each factor beyond whose frequencies there is less power than `empty`."""
    bright = _bright(image)
    if min(bright.shape) < _LEAST:
        return
    ways = _ways(bright)
    powers = [size.square().mean(0) for _, size in ways]
    for factor in _FACTORS:
        beyond = max(_beyond(power, 0.5 / factor) for power in powers)
        if beyond < empty:
            yield Enlarged(factor, _least_coherence(ways, factor), beyond)


def repeats(image: Tensor) -> bool:
    """True if high frequencies repeat low ones more than in a blurred picture; less of that survives a later JPEG.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1], of 96 pixels or more each way; the middle of a large one is used.
    """
    bright = _bright(image)
    ways = _ways(bright)
    found = max(_least_coherence(ways, factor) for factor in (*_FACTORS, 2.5))
    return found > _REPEATS * max(1.0, _SMALL / min(bright.shape))


def estimate(image: Tensor, drawn: bool = False) -> Enlarged | None:
    """Looks for traces of an enlargement; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        drawn: whether it is text or a drawing, whose flat areas have hardly any spectrum.
    """
    if drawn:
        return None
    rows = min(*image.shape[-2:], _MOST)
    # Fewer rows have more of it by chance.
    firm = _FIRM * max(1.0, math.sqrt(_USUAL / rows))
    sure = [one for one in _measured(image, _EMPTY) if one.coherence > firm]
    # Twice is a part of four times, and one and a half of three.
    return max(sure, key=lambda one: one.factor, default=None)


def _bright(image: Tensor) -> Tensor:
    """Brightness of the middle of a picture, (H, W) in [0, 1]."""
    return to_unit(luminance(middle(image, _MOST).float()))[0, 0]


def _ways(bright: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Spectra of the rows and of the columns, each with its magnitudes."""
    return [(spectra, spectra.abs()) for spectra in map(_rows, (bright, bright.T))]


def _least_coherence(ways: list[tuple[Tensor, Tensor]], factor: float) -> float:
    """The coherence of the way that has less."""
    return min(_coherence(spectra, size, factor) for spectra, size in ways)


def _rows(bright: Tensor) -> Tensor:
    """Half of the spectra of the rows, (rows, N / 2 + 1); N is a multiple of 12, so that 1/f is a whole step."""
    rows = bright[:, : bright.shape[1] // 12 * 12]
    rows = rows - rows.mean(1, keepdim=True)
    spectra: Tensor = torch.fft.rfft(rows * torch.hann_window(rows.shape[1], dtype=rows.dtype))
    return spectra


def _coherence(spectra: Tensor, size: Tensor, factor: float) -> float:
    """Coherence of each frequency beyond the small picture's with its image one sampling frequency lower."""
    count = 2 * (spectra.shape[1] - 1)
    at = torch.arange(math.ceil(count * 0.55 / factor), math.floor(count * 0.47))
    lower = at - round(count / factor)
    own, image, less = spectra[:, at], spectra[:, lower.abs()], lower < 0
    # At a frequency below 0, real rows have the conjugate.
    image = torch.complex(image.real, torch.where(less, image.imag, -image.imag))
    both = (own * image).sum(0).abs()
    return (both / (size[:, at] * size[:, lower.abs()]).sum(0).clamp_min(_TINY)).mean().item()


def _beyond(power: Tensor, cut: float) -> float:
    """Power well beyond a frequency, relative to a spectrum that falls with the square of the frequency."""
    at = torch.arange(len(power), dtype=power.dtype) / (2 * (len(power) - 1))
    scaled = power * at.square()
    below, above = (at > 0.4 * cut) & (at < 0.8 * cut), at > min(1.25 * cut, 0.45)
    return (scaled[above].mean() / scaled[below].mean().clamp_min(_TINY)).item()
