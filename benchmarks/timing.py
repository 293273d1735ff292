"""Taking times on a machine that has other things to do as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""Wall time, and processor time of all threads, which other work on the machine changes less."""


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Of one run."""
    start = clock()
    action()
    return clock() - start


def in_turn(
    actions: Mapping[Key, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[Key, list[float]]:
    """The seconds of each in each round, after one to warm up; every other round goes backwards."""
    took: dict[Key, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for round_ in range(rounds):
        for name in list(actions)[:: 1 if round_ % 2 else -1]:
            took[name].append(seconds(actions[name], clock))
    return took
