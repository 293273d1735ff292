"""Simulated damage: from a clean image to a damaged one, reproducible by the seed.

Each damage is a function of images (B, C, H, W) in [0, 1], of its parameters and, if it is random, of a seed. The
damaged images have the same size and, except for `exposures`, the same channels. Command lines and tables use names,
also several in one text; see `compose`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import torch
from torch import Tensor

from ..errors import UsageError, unknown_name
from ..maths.noise import Streams, derive_seed
from ..support import settings
from ..support.settings import imported, names_object
from .age import old_photograph, scratched
from .compose import is_composed, steps
from .fourier import magnitudes
from .jpeg import compress, multiple_jpeg
from .light import exposures, faded, low_light
from .missing import box_mask, grey, random_mask, text_mask
from .noise import chroma_noise, gaussian_noise, grain, mixed_noise, poisson, poisson_gaussian, shared_noise
from .phone import phone
from .printed import printed
from .sharpness import anisotropic_blur, blur, disk_blur, gaussian_blur, motion_blur, reduce, uniform_blur
from .warp import deform, water_drops
from .weather import haze, rain, snow

__all__ = [
    "anisotropic_blur",
    "blur",
    "box_mask",
    "chroma_noise",
    "compress",
    "deform",
    "describe",
    "disk_blur",
    "exposures",
    "faded",
    "find",
    "gaussian_blur",
    "gaussian_noise",
    "get",
    "grain",
    "grey",
    "haze",
    "low_light",
    "magnitudes",
    "mixed_noise",
    "motion_blur",
    "multiple_jpeg",
    "names",
    "old_photograph",
    "parameters",
    "phone",
    "poisson",
    "poisson_gaussian",
    "printed",
    "rain",
    "random_mask",
    "reduce",
    "scratched",
    "shared_noise",
    "snow",
    "text_mask",
    "uniform_blur",
    "water_drops",
]

Damage = Callable[[Tensor, int | Sequence[int]], Tensor]
"""A damage of images (B, C, H, W) in [0, 1], by one seed or by a seed for each image."""

_DAMAGES: dict[str, Callable[..., Tensor]] = {
    "jpeg": compress,
    "multiple-jpeg": multiple_jpeg,
    "noise": gaussian_noise,
    "poisson": poisson,
    "mixed-noise": mixed_noise,
    "shared-noise": shared_noise,
    "grain": grain,
    "chroma-noise": chroma_noise,
    "poisson-gaussian": poisson_gaussian,
    "phone": phone,
    "blur": gaussian_blur,
    "disk-blur": disk_blur,
    "uniform-blur": uniform_blur,
    "anisotropic-blur": anisotropic_blur,
    "motion-blur": motion_blur,
    "reduce": reduce,
    "deform": deform,
    "water-drops": water_drops,
    "random-mask": random_mask,
    "box-mask": box_mask,
    "text-mask": text_mask,
    "grey": grey,
    "low-light": low_light,
    "faded": faded,
    "exposures": exposures,
    "rain": rain,
    "snow": snow,
    "haze": haze,
    "old-photograph": old_photograph,
    "scratched": scratched,
    "printed": printed,
}


def names() -> tuple[str, ...]:
    """Names of all damages.

    Example:
        >>> "water-drops" in degradations.names()
        True
    """
    return tuple(_DAMAGES)


def find(name: str) -> Callable[..., Tensor]:
    """Finds the function of a damage.

    Args:
        name: one of `names()`; or FILE.py:FUNCTION, a function of images, of its parameters, and of `seed` if it is
            random.

    Raises:
        UsageError: unknown name.

    Example:
        >>> degradations.find("noise") is degradations.gaussian_noise
        True
    """
    if name in _DAMAGES:
        return _DAMAGES[name]
    if not (".py:" in name and names_object(name)):
        raise unknown_name("damage", name, _DAMAGES)
    own: Callable[..., Tensor] = imported(name)
    if not inspect.isroutine(own) or not inspect.signature(own).parameters:
        raise UsageError(f"{name}: is no damage: a function of images (B, C, H, W) in [0, 1]")
    return own


def parameters(name: str) -> dict[str, Any]:
    """Types of a damage's parameters by name, without the image and the seed.

    Several damages in one text have their parameters in the text and no others.

    Raises:
        UsageError: there is no damage of that name.

    Example:
        >>> sorted(degradations.parameters("sr4"))
        []
    """
    if is_composed(name):
        return {}
    function = find(name)
    hints = get_type_hints(function)
    # The first is the images, whatever they are called.
    return {key: hints.get(key, str) for key in list(inspect.signature(function).parameters)[1:] if key != "seed"}


def get(name: str, **chosen: Any) -> Damage:
    """Makes a damage with its parameters, by default those of its function.

    Args:
        name: of the damage; or of several, with values, as in "sr4+noise:0.05|jpeg:10"; see `compose.steps`.
        chosen: the parameters of a single one.

    Raises:
        UsageError: unknown damage or parameter, or a value out of range.

    Example:
        >>> damage = degradations.get("sr4+noise:0.05|jpeg:30")
        >>> damage(torch.rand(1, 3, 32, 32), 0).shape
        torch.Size([1, 3, 32, 32])
    """
    if is_composed(name):
        if chosen:
            raise UsageError(f"{name} says its parameters itself: leave {min(chosen)} out")
        return _composed(name)
    function = find(name)
    settings.check_known(parameters(name), name, chosen)
    random = "seed" in inspect.signature(function).parameters

    def damage(image: Tensor, seed: int | Sequence[int] = 0) -> Tensor:
        # A list at every door: one's own function need not take a number, too.
        return function(image, **chosen, **({"seed": Streams.seeds(seed, len(image))} if random else {}))

    # Wrong values are found on a single pixel, before there are images.
    try:
        one = damage(torch.zeros(1, 1, 1, 1), 0)
    except TypeError as error:
        raise UsageError(f"{name}: does not accept its parameters ({error})") from error
    if not isinstance(one, Tensor) or one.ndim != 4:
        raise UsageError(f"{name}: is no damage: its results are no images (B, C, H, W)")
    return damage


def _composed(text: str) -> Damage:
    row = []
    for name, values in steps(text):
        types = parameters(name)
        if "" in values and not types:
            raise UsageError(f"{text!r}: {name} has no parameter to be {values['']!r}")
        # The value without a key is the first parameter's.
        named = {key or next(iter(types)): value for key, value in values.items()}
        row.append(get(name, **settings.read(types, name, named)))

    def damage(image: Tensor, seed: int | Sequence[int] = 0) -> Tensor:
        seeds = Streams.seeds(seed, len(image))
        for number, step in enumerate(row):
            # The first is what it would be alone; the noise of the others is not its noise again.
            image = step(image, [derive_seed(own, f"damage {number}" if number else "") for own in seeds])
        return image

    return damage


def describe(name: str) -> dict[str, Any]:
    """Describes a damage: `name`, `summary`, `parameters` with their defaults.

    Raises:
        UsageError: there is no damage of that name.

    Example:
        >>> degradations.describe("noise")["parameters"]
        {'sigma': 0.1}
    """
    if is_composed(name):
        return {"name": name, "summary": "Several damages, one after the other.", "parameters": {}}
    signature = inspect.signature(find(name)).parameters
    return {
        "name": name,
        "summary": (inspect.getdoc(find(name)) or "").partition("\n")[0],
        "parameters": {key: signature[key].default for key in parameters(name)},
    }
