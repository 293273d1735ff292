"""Interface of executors, and their messages about lost images."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

from ... import images
from ..plan import Item
from ..run import Outcome, Outcomes, Progress
from ..work import Work


class Executor(Protocol):
    """Executes a job in this process, in several processes or on several machines."""

    def __call__(self, work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """Does the work on all images.

        Args:
            work: the work.
            items: the images; each is requested right before its start.
            progress: see `run`; an executor may ignore it.

        Yields:
            One outcome for each requested image, in order of completion.
        """
        ...


class Groups:
    """Images in groups for workers: as many as run side by side, or single ones after a lost group.

    Args:
        items: the images.
        size: size of a group.
    """

    def __init__(self, items: Iterable[Item], size: int) -> None:
        self._items, self._size = iter(items), size
        self._again: deque[Item] = deque()

    def next(self) -> list[Item]:
        """Returns the next group; empty at the end."""
        return [self._again.popleft()] if self._again else list(islice(self._items, self._size))

    def lost(self, items: Sequence[Item], why: str, seed: int) -> list[Outcome]:
        """Takes back the unfinished images of a worker that ended without a message.

        Args:
            items: the unfinished images. One of them is at fault; several are tried again one by one.
            why: reason for the worker's end.
            seed: the run's.

        Returns:
            The outcome of a single image.
        """
        clear(items)
        if len(items) != 1:
            self._again.extend(items)
            return []
        (item,) = items
        return [Outcome(item, item.seed(seed), 0, 0.0, None, f"{item.source}: {why}", lost=True)]


def clear(items: Iterable[Item]) -> None:
    """Removes temporary files that dead processes wrote for these images."""
    for item in items:
        with contextlib.suppress(OSError):
            images.clear(item.target.parent, [name.name for name in item.names])
