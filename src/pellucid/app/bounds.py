"""Limits of a request to the page, checked before anything is made of it."""

from __future__ import annotations

from typing import get_args, get_type_hints

from ..errors import UsageError
from ..restoration.recipe import Choice
from .choices import Choices

MOST_NUMBER = 10_000
"""The largest whole number that a method is given: of steps, of corrections, of iterations."""

MOST_EVALUATIONS = 1_000_000
"""Of the prior, for one picture in one variant."""

LEAST_TILE = 64
"""The smallest side of a tile, in pixels: a large picture has a great many of less."""

MOST_WRITTEN = 4000
"""Letters of all further settings together."""


def check(choices: Choices) -> Choice:
    """The choices with nothing left open; refuses those that ask for more work than anybody waits for.

    Raises:
        UsageError: they do, or they exclude each other.
        PellucidError: a file of theirs cannot be read.
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
    """Refuses what takes too many evaluations of the prior.

    Raises:
        UsageError: it does.
    """
    if number > MOST_EVALUATIONS:
        raise UsageError(f"this takes {number} evaluations, more than the {MOST_EVALUATIONS} allowed on the page")
