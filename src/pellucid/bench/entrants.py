"""Methods with the settings that they have outside the papers' tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import methods
from ..methods import Method
from .spec import Entrant


def entrant(name: str, tasks: Sequence[str], quick: Mapping[str, Method]) -> Entrant:
    """A method as it is when nothing is said: its own defaults, also where its paper has others.

    Args:
        name: what `methods.find` takes; the label, too.
        tasks: that it takes part in.
        quick: with few evaluations, by task.

    Raises:
        UsageError: there is no such method.
    """
    settings = {task: differing(method, name) for task, method in quick.items() if task in tasks}
    return Entrant(name, name, of_defaults(name), quick_per_task=settings, tasks=tuple(tasks))


def of_defaults(name: str) -> dict[str, Any]:
    """The defaults of what a method's preset of its paper changes, which the papers' tables begin from."""
    changed = methods.find(name).presets.get("paper", {})
    usual = methods.get(name) if changed else None
    return {key: getattr(usual, key) for key in changed}


def differing(method: Method, name: str) -> dict[str, Any]:
    """Hyper-parameters that make a method of its paper's: those that are not its defaults, or not its paper's."""
    return of_defaults(name) | methods.differing(method)
