"""Simulated damage: from a clean image to a damaged one, the same for the same seed.

Each is a function of images (B, C, H, W) in [0, 1], of its parameters and, where it has anything random, of a seed. The
damaged images have the same size. Here they are by name, too, for command lines and tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import torch
from torch import Tensor

from .. import settings
from ..errors import unknown_name
from .jpeg import compress, multiple_jpeg
from .light import low_light
from .noise import gaussian_noise, mixed_noise, poisson
from .sharpness import blur, gaussian_blur, motion_blur, reduce
from .warp import deform, water_drops
from .weather import rain, snow

__all__ = [
    "blur",
    "compress",
    "deform",
    "describe",
    "find",
    "gaussian_blur",
    "gaussian_noise",
    "get",
    "low_light",
    "mixed_noise",
    "motion_blur",
    "multiple_jpeg",
    "names",
    "parameters",
    "poisson",
    "rain",
    "reduce",
    "snow",
    "water_drops",
]

Damage = Callable[[Tensor, int | Sequence[int]], Tensor]
"""What damages images (B, C, H, W) in [0, 1] by a seed, or by one for each image."""

_DAMAGES: dict[str, Callable[..., Tensor]] = {
    "jpeg": compress,
    "multiple-jpeg": multiple_jpeg,
    "noise": gaussian_noise,
    "poisson": poisson,
    "mixed-noise": mixed_noise,
    "blur": gaussian_blur,
    "motion-blur": motion_blur,
    "reduce": reduce,
    "deform": deform,
    "water-drops": water_drops,
    "low-light": low_light,
    "rain": rain,
    "snow": snow,
}


def names() -> tuple[str, ...]:
    """Names of all damages."""
    return tuple(_DAMAGES)


def find(name: str) -> Callable[..., Tensor]:
    """The function of a damage.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in _DAMAGES:
        raise unknown_name("damage", name, _DAMAGES)
    return _DAMAGES[name]


def parameters(name: str) -> dict[str, Any]:
    """The types of a damage's parameters by name; neither the image nor the seed is one.

    Raises:
        UsageError: there is no damage of that name.
    """
    hints = get_type_hints(find(name))
    return {key: kind for key, kind in hints.items() if key not in ("image", "seed", "return")}


def get(name: str, **chosen: Any) -> Damage:
    """A damage with its parameters, those of its function where nothing is said.

    Raises:
        UsageError: there is no such damage or parameter, or a value is out of its range.
    """
    function = find(name)
    settings.check_known(parameters(name), name, chosen)
    random = "seed" in inspect.signature(function).parameters

    def damage(image: Tensor, seed: int | Sequence[int] = 0) -> Tensor:
        return function(image, **chosen, seed=seed) if random else function(image, **chosen)

    # Wrong values are found on a single pixel, before there are images.
    damage(torch.zeros(1, 1, 1, 1), 0)
    return damage


def describe(name: str) -> dict[str, Any]:
    """What there is to say about a damage: `name`, `summary`, `parameters` with their defaults.

    Raises:
        UsageError: there is no damage of that name.
    """
    signature = inspect.signature(find(name)).parameters
    return {
        "name": name,
        "summary": (inspect.getdoc(find(name)) or "").partition("\n")[0],
        "parameters": {key: signature[key].default for key in parameters(name)},
    }
