"""Dependence of noise on brightness: a line through the power of blocks, or a curve that their calmest ones set."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...maths.few import median
from ...maths.stabilised import Curve, Variance
from .blocks import LEAST_POWER, WHOLE, Taken, calm_of
from .signs import SLOW, brightness, line, relative, unclipped
from .stationary import BANDS, Spectrum, shares

_DEPENDS, _EXPLAINED, _FAINT = 1.4, 0.8, 0.03
_HALF = 0.5
_CLASSES, _FEW, _PART, _CALM = 10, 8, 0.1, 0.2
_GROUPS = ((SLOW, 4), (4, 6), (6, BANDS))
_CURVED, _STEEP = 3.5, 1.4


def straight(power: Tensor, light: Tensor) -> Variance | None:
    """Variance of noise by the power of blocks, in [-1, 1] units, and their brightness; None if it is negligible."""
    a, b, fit = line(power, light)
    low, high = fit.quantile(0.05).item(), fit.quantile(0.95).item()
    # A line must explain what it is fitted to: texture, where a prior spares noise, may be dark or bright by chance.
    explained = _uneven(power, fit) < _EXPLAINED * _uneven(power, power.mean())
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
    return straight(power[calm] * told.level**2, brightness(taken.x0)[kept][calm].clamp(0, 1))


def floor(power: Tensor, light: Tensor, axes: int) -> Curve | None:
    """Upper bound of the noise by brightness, from the calmest blocks of each; None if it is much the same.

    Noise that depends on brightness does so alike at all frequencies and colours, unlike texture: the least ratio
    between two brightnesses counts, of the groups of bands where the calmest blocks have any power.

    Args:
        power: power of the blocks that count, (N, C, BANDS).
        light: their brightness, (N,).
        axes: colour axes that count.
    """
    bound = grouped(calm_of(power, axes).power[None, :axes])[0]
    matters = bound >= _PART * bound.max()
    if axes > 1 and not matters[len(_GROUPS) :].any():
        # Grain that was the same everywhere had curves on textured photographs: a single axis is too little evidence.
        return None
    power = grouped(power[:, :axes])[:, matters]
    found = []
    for own in _classes(light):
        calm = own[(power[own] / median(power)).sum(1).argsort()[: max(4, int(len(own) * _CALM))]]
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
    return torch.stack([weighted[..., low:high].sum(-1) for low, high in _GROUPS], 2).flatten(1).clamp_min(LEAST_POWER)


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
    found, fitted = _curve(places, powers, counts, _DEPENDS), straight(power, light)
    if found is None or _uneven(power, found.at(light)) >= _EXPLAINED * _uneven(power, torch.ones_like(light)):
        return fitted
    if fitted is None or _uneven(power, fitted.at(light)) >= _EXPLAINED * _uneven(power, found.at(light)):
        return found
    return fitted


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
