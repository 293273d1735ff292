"""Blind methods, side by side on the same damaged images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from .. import degradations, methods
from ..degradations import Damage
from ..degradations.compose import is_composed
from ..errors import UsageError, unknown_name
from ..methods import Method
from ..metrics import Lpips
from ..noise import derive_seed
from ..priors.prior import Padded, Prior
from ..problem import Problem, to_unit
from .table import Case, Row, rows

DAMAGES: dict[str, Damage] = {
    "jpeg": degradations.get("multiple-jpeg"),
    "noise": degradations.get("noise"),
    "poisson": degradations.get("poisson"),
    "sr4": degradations.get("reduce"),
    "deformation": degradations.get("deform"),
    "water drops": degradations.get("water-drops"),
    "low light": degradations.get("low-light"),
}

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
"""Methods that suit certain damages and skip the others."""


def contestants(damage: str, named: Sequence[str] = (), quick: bool = False) -> dict[str, Method]:
    """The methods that take part in a damage, by name.

    Args:
        damage: name of the damage.
        named: names of blind methods for every damage; empty for the methods that suit the damage.
        quick: few evaluations, with hyper-parameters for them and the embedded prior in place of the papers' defaults.
            A method without such settings keeps its defaults.

    Raises:
        UsageError: unknown method, or a method that needs the degradation.
    """
    for name in named:
        if not methods.find(name).blind:
            raise UsageError(f"{name} needs the degradation: compare it with pellucid bench known")
    suitable = [name for name in QUICK if name not in _ONLY_FOR or damage in _ONLY_FOR[name]]
    tuned = QUICK | _QUICK_FOR.get(damage, {}) if quick else {}
    return {name: methods.get(name, **tuned.get(name, {})) for name in named or suitable}


def compare(
    prior: Prior,
    photographs: Mapping[str, Tensor],
    damages: Sequence[str] = (),
    chosen: Callable[[str], Mapping[str, Method]] = contestants,
    lpips: Lpips | None = None,
    seed: int = 0,
) -> Iterator[Row]:
    """Runs every method on every damage; methods get the damaged images alone, of any size.

    Args:
        prior: the prior of all methods.
        photographs: clean images by name, (1, C, H, W) in [-1, 1].
        damages: names from `DAMAGES`, or arguments of `degradations.get`; empty for all of `DAMAGES`.
        chosen: gives the methods of a damage by name.
        lpips: network for LPIPS; None to leave it out.
        seed: of the damage and of the methods, with the image's name.

    Returns:
        The rows, for each damage the damaged input first.

    Raises:
        UsageError: unknown damage, or an error of `chosen`; before any work.
    """
    entered = {damage: (_find(damage), chosen(damage)) for damage in damages or DAMAGES}
    padded = Padded(prior)
    return chain.from_iterable(
        rows(name, _cases(damage, photographs, seed), entrants, padded, lpips, seed)
        for name, (damage, entrants) in entered.items()
    )


def _find(name: str) -> Damage:
    """Finds a damage whose images keep their size."""
    if name in DAMAGES:
        return DAMAGES[name]
    if not is_composed(name) and name not in degradations.names() and ".py:" not in name:
        raise unknown_name("damage", name, dict.fromkeys((*DAMAGES, *degradations.names())))
    damage, image = degradations.get(name), torch.zeros(1, 3, 1, 1)
    if damage(image, 0).shape != image.shape:
        raise UsageError(f"{name} makes several images of one: there is nothing to compare them with")
    return damage


def _cases(damage: Damage, photographs: Mapping[str, Tensor], seed: int) -> list[Case]:
    cases = []
    for name, clean in photographs.items():
        # Clamped, as a file would be.
        damaged = damage(to_unit(clean), derive_seed(seed, name, 1)).clamp(0, 1)
        problem = Problem.of(damaged)
        cases.append(Case(name, clean, problem, problem.y))
    return cases
