"""Limits of memory and time for work in a process apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bounds:
    """Of one call.

    Attributes:
        seconds: that it may take.
        memory: bytes that it may take, and its answer; None for what is free when it begins. Linux alone keeps to it.
        most: how many calls are in work at a time; others wait.
    """

    seconds: float = 600.0
    memory: int | None = None
    most: int = 4


def free_memory() -> int | None:
    """Bytes that a process of this machine may still take, by the machine, its container and its own limit.

    Returns:
        The least of them; None where the machine does not say (it is no Linux).
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
    """Bytes of this process that RLIMIT_DATA counts; nothing where the machine does not say."""
    return [1024 * value for key, value in _table("/proc/self/status") if key == "VmData:"]


def _table(path: str) -> list[tuple[str, int]]:
    try:
        rows = [line.split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return []
    return [(row[0], int(row[1])) for row in rows if len(row) > 1 and row[1].isdecimal()]
