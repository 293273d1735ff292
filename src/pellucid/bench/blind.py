"""Blind methods, side by side on the same damaged images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .. import catalogue, degradations, methods
from ..catalogue import kind, tuned
from ..errors import UsageError
from ..methods import Method
from .entrants import entrant
from .spec import Protocol, Table, TableSource, TableTask

DAMAGES = ("multiple-jpeg", "noise", "poisson", "sr4", "deform", "water-drops", "low-light")
"""The damages that are compared by default, as for `catalogue.damage`."""


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
            raise UsageError(f"{name} must be told the degradation: compare it with pellucid bench known")
    only = tuned.ONLY_FOR
    suitable = [name for name in tuned.BLIND if name not in only or kind(damage) in only[name]]
    settings = tuned.blind(damage) if quick else {}
    return {name: methods.get(name, **settings.get(name, {})) for name in named or suitable}


def table(damages: Sequence[str] = (), named: Sequence[str] = ()) -> Table:
    """A table of every method on every damage; each is given the damaged images alone, and on any size.

    Args:
        damages: damages or tasks by name, or several in one text, as for `catalogue.damage`; empty for `DAMAGES`.
        named: see `contestants`.

    Raises:
        UsageError: there is no such damage, or what `contestants` raises.
    """
    tasks = tuple(TableTask(damage, damage={"name": _find(damage)}) for damage in dict.fromkeys(damages or DAMAGES))
    few = {task.name: contestants(task.name, named, quick=True) for task in tasks}
    names = {name: None for own in few.values() for name in own}
    return Table(
        title="Blind methods",
        paper="pellucid's own; no table of a paper's",
        data=(TableSource("folder", "any", 1),),
        tasks=tasks,
        methods=tuple(
            entrant(
                name,
                [task for task, own in few.items() if name in own],
                {task: own[name] for task, own in few.items() if name in own},
            )
            for name in names
        ),
        metrics=("psnr", "ssim", "lpips"),
        name="blind",
        protocol=Protocol(size=0, crop=""),
    )


def _find(name: str) -> str:
    """Name for `degradations.get` of a damage that leaves an image an image of its size."""
    found = catalogue.damage(name)
    damage, image = degradations.get(found), torch.zeros(1, 3, 1, 1)
    if damage(image, 0).shape != image.shape:
        raise UsageError(f"{name} makes several images of one: there is nothing to compare them with")
    return found
