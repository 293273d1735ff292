"""Runs work on untrusted files in separate processes: a hang, a crash or swelling memory there ends no other work.

Decoders read files from strangers. Within `inside` this process decodes nothing itself: `call` hands the work to a warm
process with a limit of time and memory. A process that ends is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .bounds import Bounds

if TYPE_CHECKING:
    from .processes import Processes

__all__ = ["Bounds", "call", "inside", "place", "warm"]

P = ParamSpec("P")
R = TypeVar("R")

_current: list[Bounds] = []


@contextmanager
def inside(bounds: Bounds | None = None) -> Iterator[None]:
    """Makes this process, with all its threads, run such work in other processes while the block lasts.

    Args:
        bounds: limits of a call; None for `Bounds()`.
    """
    own = bounds or Bounds()
    _current.append(own)
    try:
        yield
    finally:
        # By identity: blocks of several threads end in any order.
        del _current[next(index for index in reversed(range(len(_current))) if _current[index] is own)]


def call(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Calls a function in another process within `inside`, else here.

    Args:
        function: a function of a module; the other process imports it.
        arguments: whatever can be pickled.
        named: likewise.

    Returns:
        Its result: numbers, texts, bytes, tuples, lists, mappings, arrays, pictures.

    Raises:
        PellucidError: the function raises it, takes too long, or its process ends. The message is one line without a
            file's name.
    """
    if not _current:
        return function(*arguments, **named)
    found: R = _processes(_current[-1]).call(function, arguments, named)
    return found


def place(path: Path) -> Path:
    """Returns an absolute path for `call`, since the other process may be in another folder."""
    return path.absolute() if _current else path


def warm() -> None:
    """Starts a process in advance, beside the work of this one; does nothing outside `inside`."""
    if _current:
        _processes(_current[-1]).warm()


def _processes(bounds: Bounds) -> Processes:
    from .processes import of

    return of(bounds)
