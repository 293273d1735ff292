"""Taking times on a machine that has other things to do as well, and memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
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


def rise(action: Callable[[], object]) -> float:
    """By how much an action raises the peak of this process's memory, in MiB; on Linux."""
    # Not `getrusage`: a process passes the peak of its memory on to those it starts.
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    action()
    return _peak() - before


def _peak() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
