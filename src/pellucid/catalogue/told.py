"""Damages as operators that methods can be told, by the names and parameters that `pellucid degrade` gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import degradations
from ..degradations.compose import is_composed, steps
from ..errors import UsageError, unknown_name
from ..operators import AveragePool, Blur, Denoise, Grayscale, Mask, Operator
from ..operators.blur import gaussian, uniform
from ..support import settings
from .words import damage


def _box(height: int, width: int, share: float = 0.3125) -> Mask:
    tall, wide = round(share * height), round(share * width)
    return Mask.box(height, width, (height - tall) // 2, (width - wide) // 2, tall, wide)


OPERATORS: Mapping[str, Callable[..., Operator]] = {
    "noise": lambda height, width: Denoise(),
    "reduce": lambda height, width, factor=4: AveragePool(factor),
    # Periodic, unlike the damage, whose edges go on: so there is a decomposition, which many methods need.
    "blur": lambda height, width, std=2.0: Blur(gaussian(std)),
    "uniform-blur": lambda height, width, size=9: Blur(uniform(size)),
    "random-mask": lambda height, width, share=0.5, seed=0: Mask.random(height, width, share, seed),
    "box-mask": _box,
    "grey": lambda height, width: Grayscale(),
}
"""Makers of operators by the damage's name, of an image's height and width and of the damage's parameters."""


def operator(
    name: str, height: int, width: int, makers: Mapping[str, Callable[..., Operator]] = OPERATORS, **parameters: Any
) -> Operator:
    """An operator by name.

    Args:
        name: one of `makers`.
        height: of the image.
        width: of the image.
        makers: where it is looked up.
        parameters: of the damage, as values.

    Raises:
        UsageError: there is none of that name, or it has no such parameter.
    """
    make = makers.get(name)
    if make is None:
        raise unknown_name("operator", name, makers)
    settings.check_known(make.__code__.co_varnames[2 : make.__code__.co_argcount], name, parameters)
    return make(height, width, **parameters)


def maker(text: str) -> Callable[[int, int], Operator]:
    """Function that makes the operator of a damage for images of a height and a width.

    Args:
        text: the name of a damage, or of the task that undoes it, or with parameters, as "random-mask:0.25" or "sr4".

    Raises:
        UsageError: there is no such damage or parameter, or methods cannot be told it.
    """
    named = damage(text)
    (name, texts), *more = steps(named) if is_composed(named) else [(named, {})]
    if more or name not in OPERATORS:
        raise unknown_name("task", text, (*OPERATORS, "sr4"))
    types = degradations.parameters(name)
    chosen = settings.read(types, name, {key or next(iter(types), ""): value for key, value in texts.items()})
    try:
        operator(name, 64, 64, **chosen)
    except UsageError as error:
        raise UsageError(f"{text}: {error}") from None
    return lambda height, width: operator(name, height, width, **chosen)
