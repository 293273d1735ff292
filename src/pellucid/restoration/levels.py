"""Noise levels that methods are given: told ones, and those estimated from a measurement."""

from __future__ import annotations

import torch
from torch import Tensor

from ..diagnosis.content import is_grey
from ..diagnosis.estimate import noise_level
from ..errors import UsageError
from ..maths.noise import axis_level
from ..maths.problem import to_model
from ..methods import Method
from ..operators import Blur, Mask, Operator

QUANTISATION_NOISE = 0.5 / 255
"""Least estimate: half a step of 8 bits, the rounding of files."""


def for_method(
    noise: tuple[float, ...], image: Tensor, operator: Operator | None, method: Method, *, told: bool
) -> tuple[float, ...]:
    """Levels for a method from those of a channel: a grey picture has its noise on a single axis, where it adds up.

    An estimate is trusted that far only if a blur has left no texture, which is partly taken for noise.

    Args:
        noise: a level for each image.
        image: measurements with the channels of the prior's images.
        operator: the degradation, if known.
        method: the method.
        told: whether the levels are given, not estimated.
    """
    seen_to = not method.needs_prior or method.takes_grey_noise
    if seen_to or operator is None or not operator.keeps_grey or not (told or isinstance(operator, Blur)):
        return noise
    greys = [is_grey(to_model(one)) for one in image.split(1)]
    return tuple(axis_level(one, image.shape[1]) if grey else one for one, grey in zip(noise, greys, strict=True))


def estimated(measured: Tensor, operator: Operator | None) -> tuple[float, ...]:
    """Estimates the noise level of each measurement separately.

    Raises:
        UsageError: it is no picture.
    """
    if operator is not None and not operator.keeps_grey:
        raise UsageError(f"{type(operator).__name__} measures no image, whose noise could be estimated: give noise")
    levels: list[float] = []
    for i, image in enumerate(measured):
        if i and not isinstance(operator, Mask) and torch.equal(image, measured[i - 1]):
            levels.append(levels[-1])
            continue
        mask = operator.alone(i) if isinstance(operator, Mask) else None
        levels.append(max(QUANTISATION_NOISE, noise_level(image[None], mask.known if isinstance(mask, Mask) else None)))
    return tuple(levels)
