"""Work on files that nobody vouches for, in processes apart: what hangs, crashes or swells there ends no other work.

Decoders read what strangers wrote. `inside` says that this process decodes nothing itself; `call` then hands the work
to a process that is kept warm, with a limit of time and of memory, and replaced when it ends.
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
    """Makes this process, all of its threads, leave such work to others for as long as the block lasts.

    Args:
        bounds: how much of the machine a call may take; None for `Bounds()`.
    """
    own = bounds or Bounds()
    _current.append(own)
    try:
        yield
    finally:
        # By identity: blocks of several threads end in any order.
        del _current[next(index for index in reversed(range(len(_current))) if _current[index] is own)]


def call(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Calls a function apart where `inside` is said, else here.

    Args:
        function: one of a module, which the other process imports.
        arguments: whatever can be pickled.
        named: likewise.

    Returns:
        What it returns: numbers, texts, bytes, tuples, lists, mappings, arrays, pictures.

    Raises:
        PellucidError: as the function does; or in one line, without a file's name, that it took too long, or that its
            process has ended.
    """
    if not _current:
        return function(*arguments, **named)
    found: R = _processes(_current[-1]).call(function, arguments, named)
    return found


def place(path: Path) -> Path:
    """A path as `call` takes it: processes apart may be in another folder."""
    return path.absolute() if _current else path


def warm() -> None:
    """Starts a process that is going to be needed, beside what this one does; where `inside` is not said, nothing."""
    if _current:
        _processes(_current[-1]).warm()


def _processes(bounds: Bounds) -> Processes:
    from .processes import of

    return of(bounds)
