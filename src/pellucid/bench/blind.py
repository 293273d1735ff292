"""Methods that are told nothing, side by side on the same damaged images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import degradations, methods
from ..degradations.compose import is_composed
from ..errors import UsageError, unknown_name
from ..methods import Method
from .entrants import entrant
from .spec import Source, Table, Task

DAMAGES: dict[str, str] = {
    "jpeg": "multiple-jpeg",
    "noise": "noise",
    "poisson": "poisson",
    "sr4": "reduce",
    "deformation": "deform",
    "water drops": "water-drops",
    "low light": "low-light",
}
"""What `degradations.get` takes, by the names here."""

# Nobody tells a blind method what the damage is, so each has one setting for all of it but low light.
QUICK: dict[str, dict[str, Any]] = {
    "denoise": {},
    "dreamclean": {"strength": 50, "corrections": 3, "schedule": "none"},
    "auto": {},
    "diip": {"steps": 2, "rate": 0.02, "slope": 0.004, "iterations": 100},
    "gdp": {"steps": 60, "scale": 100_000, "degradation": "kernel", "rate": 0.05, "kernel": 9},
    "bird": {"steps": 2, "rate": 0.02, "iterations": 60, "kernel": 9},
    "blinddps": {"steps": 50, "scale": 20.0, "kernel_scale": 1.0, "kernel": 9},
    "gibbsddrm": {"steps": 20, "begin": 0.15, "repeats": 1, "ridge": 0.5, "kernel": 9},
    "dip": {"iterations": 100, "levels": 4, "channels": 32, "average": 0.9},
    "dgp": {
        "candidates": 100, "spread": 1.0, "iterations": 20, "feature_weight": 0.0, "error_weight": 10.0,
        "rates": (0.0, 5e-4, 5e-4, 1e-4), "latent_rates": (3e-2, 1e-2, 1e-2, 3e-3),
    },
    "zero-dce": {},
    "lowlight": {},
    "unfade": {},
}  # fmt: skip

_QUICK_FOR: dict[str, dict[str, dict[str, Any]]] = {
    # What its authors made it for.
    "low light": {"gdp": {"steps": 60, "scale": 500_000, "map_rate": 0.0, "bright": 0.003, "level": 0.5}}
}

_ONLY_FOR: dict[str, tuple[str, ...]] = {"zero-dce": ("low light",), "lowlight": ("low light",), "unfade": ()}
"""Methods that are made for some of the damages and take no part in the others."""


def contestants(damage: str, named: Sequence[str] = (), quick: bool = False) -> dict[str, Method]:
    """The methods that take part in a damage, by name.

    Args:
        damage: which.
        named: names of blind methods, each of which takes part in everything; empty for those that suit the damage.
        quick: with few evaluations, and the hyper-parameters that suit them and the embedded prior, instead of the
            papers' defaults. A method without such a setting has its defaults.

    Raises:
        UsageError: there is no such method, or it must be told the degradation.
    """
    for name in named:
        if not methods.find(name).blind:
            raise UsageError(f"{name} must be told the degradation: compare it with pellucid bench known")
    suitable = [name for name in QUICK if name not in _ONLY_FOR or damage in _ONLY_FOR[name]]
    tuned = QUICK | _QUICK_FOR.get(damage, {}) if quick else {}
    return {name: methods.get(name, **tuned.get(name, {})) for name in named or suitable}


def table(damages: Sequence[str] = (), named: Sequence[str] = ()) -> Table:
    """A table of every method on every damage; each is given the damaged images alone, and on any size.

    Args:
        damages: names from `DAMAGES`, or what `degradations.get` takes; empty for all of the former.
        named: see `contestants`.

    Raises:
        UsageError: there is no such damage, or what `contestants` raises.
    """
    tasks = tuple(Task(damage, damage={"name": _find(damage)}) for damage in dict.fromkeys(damages or DAMAGES))
    tuned = {task.name: contestants(task.name, named, quick=True) for task in tasks}
    names = {name: None for own in tuned.values() for name in own}
    return Table(
        title="Methods that are told nothing",
        paper="pellucid's own; no table of a paper's",
        data=(Source("folder", "any", 1),),
        tasks=tasks,
        methods=tuple(
            entrant(
                name,
                [task for task, own in tuned.items() if name in own],
                {task: own[name] for task, own in tuned.items() if name in own},
            )
            for name in names
        ),
        metrics=("psnr", "ssim", "lpips"),
        name="blind",
    )


def _find(name: str) -> str:
    """What `degradations.get` takes for a damage that leaves an image an image of its size."""
    if name in DAMAGES:
        return DAMAGES[name]
    if not is_composed(name) and name not in degradations.names() and ".py:" not in name:
        raise unknown_name("damage", name, dict.fromkeys((*DAMAGES, *degradations.names())))
    damage, image = degradations.get(name), torch.zeros(1, 3, 1, 1)
    if damage(image, 0).shape != image.shape:
        raise UsageError(f"{name} makes several images of one: there is nothing to compare them with")
    return name
