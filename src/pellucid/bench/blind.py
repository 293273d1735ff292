"""Methods that are told nothing, side by side on the same damaged images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from .. import catalogue, degradations, methods
from ..catalogue import kind, tuned
from ..degradations import Damage
from ..errors import UsageError
from ..methods import Method
from ..metrics import Lpips
from ..noise import derive_seed
from ..priors.prior import Padded, Prior
from ..problem import Problem, to_unit
from .table import Case, Row, rows

DAMAGES = ("multiple-jpeg", "noise", "poisson", "sr4", "deform", "water-drops", "low-light")
"""What is compared where nothing is said, as for `catalogue.damage`."""


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
    only = tuned.ONLY_FOR
    suitable = [name for name in tuned.BLIND if name not in only or kind(damage) in only[name]]
    settings = tuned.blind(damage) if quick else {}
    return {name: methods.get(name, **settings.get(name, {})) for name in named or suitable}


def compare(
    prior: Prior,
    photographs: Mapping[str, Tensor],
    damages: Sequence[str] = (),
    chosen: Callable[[str], Mapping[str, Method]] = contestants,
    lpips: Lpips | None = None,
    seed: int = 0,
) -> Iterator[Row]:
    """Runs every method on every damage; each is given the damaged images alone, and on any size.

    Args:
        prior: what they all use.
        photographs: clean images by name, (1, C, H, W) in [-1, 1].
        damages: damages or tasks by name, or several in one text, as for `catalogue.damage`; empty for `DAMAGES`.
        chosen: what gives the methods for a damage, by name.
        lpips: to measure that, too.
        seed: of the damage and of the methods, with the image's name.

    Returns:
        The rows, for each damage the damaged input first.

    Raises:
        UsageError: there is no such damage, or what `chosen` raises; before any work.
    """
    entered = {damage: (_find(damage), chosen(damage)) for damage in damages or DAMAGES}
    padded = Padded(prior)
    return chain.from_iterable(
        rows(name, _cases(damage, photographs, seed), entrants, padded, lpips, seed)
        for name, (damage, entrants) in entered.items()
    )


def _find(name: str) -> Damage:
    """A damage that leaves an image an image of its size."""
    damage, image = degradations.get(catalogue.damage(name)), torch.zeros(1, 3, 1, 1)
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
