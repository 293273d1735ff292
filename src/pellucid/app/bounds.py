"""Limits of a request to the page, checked before any work."""

from __future__ import annotations

from typing import get_args, get_type_hints

from ..errors import UsageError
from ..restoration.recipe import Choice
from .choices import Choices

MOST_NUMBER = 10_000
"""Largest whole number that a method accepts: for steps, corrections and iterations."""

MOST_EVALUATIONS = 1_000_000
"""Most evaluations of the prior for one picture in one variant."""

LEAST_TILE = 64
"""Smallest side of a tile in pixels: smaller tiles of a large picture would be too many."""

MOST_WRITTEN = 4000
"""Letters of all further settings together."""


def check(choices: Choices) -> Choice:
    """Resolves all open choices; rejects those that ask for too much work.

    Raises:
        UsageError: the choices ask for too much, or exclude each other.
        PellucidError: a chosen file cannot be read.
    """
    if sum(map(len, choices.settings)) > MOST_WRITTEN:
        raise UsageError(f"the further settings are longer than {MOST_WRITTEN} letters")
    if choices.tile is not None and choices.tile < LEAST_TILE:
        raise UsageError(f"tile is {LEAST_TILE} or more on the page, not {choices.tile}")
    if choices.steps is not None and choices.steps > MOST_NUMBER:
        raise UsageError(f"steps are {MOST_NUMBER} or less on the page, not {choices.steps}")
    found = choices.choice()
    kinds = get_type_hints(type(found.restores))
    for key, value in found.hyper_parameters.items():
        # A scale or a weight may be any number, and be written as a whole one.
        if int not in (kinds.get(key), *get_args(kinds.get(key))):
            continue
        numbers = value if isinstance(value, (tuple, list)) else (value,)
        if any(isinstance(number, int) and abs(number) > MOST_NUMBER for number in numbers):
            raise UsageError(f"{key} is {MOST_NUMBER} or less on the page")
    return found


def check_evaluations(number: int) -> None:
    """Rejects more evaluations of the prior than the limit.

    Raises:
        UsageError: there are too many evaluations.
    """
    if number > MOST_EVALUATIONS:
        raise UsageError(f"this takes {number} evaluations, more than the {MOST_EVALUATIONS} allowed on the page")
