"""Limits of memory and time for work in a process apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bounds:
    """Limits of one call.

    Attributes:
        seconds: time limit.
        memory: limit in bytes, of the call and of its answer; None for the free memory at its start. Only Linux
            enforces it.
        most: number of calls at a time; others wait.
    """

    seconds: float = 600.0
    memory: int | None = None
    most: int = 4


def free_memory() -> int | None:
    """Returns the bytes that a process may still take, by the limits of the machine, the container and the process.

    Returns:
        The smallest of them; None if the machine does not tell (any system but Linux).
    """
    found = [*_of_machine(), *_of_container(), *_of_process()]
    return max(0, min(found)) if found else None


def _of_machine() -> list[int]:
    return [1024 * value for key, value in _table("/proc/meminfo") if key == "MemAvailable:"]


def _of_container() -> list[int]:
    rooms = []
    for limit, used, counted in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        root = "/sys/fs/cgroup/"
        try:
            most, taken = (int(Path(root + name).read_text()) for name in (limit, used))
        except (OSError, ValueError):  # "max": there is no limit
            continue
        # Pages of files that nobody looks at are given back.
        cached = sum(value for key, value in _table(root + counted) if key in ("inactive_file", "total_inactive_file"))
        rooms.append(most - taken + cached)
    return rooms


def _of_process() -> list[int]:
    try:
        import resource
    except ImportError:  # Windows
        return []
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return [] if most == resource.RLIM_INFINITY else [most - used for used in data()]


def data() -> list[int]:
    """Returns the bytes of this process that RLIMIT_DATA counts; 0 if the machine does not tell."""
    return [1024 * value for key, value in _table("/proc/self/status") if key == "VmData:"]


def _table(path: str) -> list[tuple[str, int]]:
    try:
        rows = [line.split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return []
    return [(row[0], int(row[1])) for row in rows if len(row) > 1 and row[1].isdecimal()]
