"""Interface of executors, and their messages about images that they lost."""

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
    """Place of a job's work: this process, several processes, several machines."""

    def __call__(self, work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """Does the work on all images.

        Args:
            work: what to do.
            items: the images; one is asked for when it is about to be begun.
            progress: see `run`; an executor may leave it alone.

        Yields:
            One outcome for each image that was asked for, as they are finished.
        """
        ...


class Groups:
    """Images in the groups that workers get: as many as they restore side by side, or one that a group was lost with.

    Args:
        items: the images.
        size: of a group.
    """

    def __init__(self, items: Iterable[Item], size: int) -> None:
        self._items, self._size = iter(items), size
        self._again: deque[Item] = deque()

    def next(self) -> list[Item]:
        """The next group; empty if there is none."""
        return [self._again.popleft()] if self._again else list(islice(self._items, self._size))

    def lost(self, items: Sequence[Item], why: str, seed: int) -> list[Outcome]:
        """Takes back what a worker had in work when it ended without a word.

        Args:
            items: what it had not finished. One of them is at fault: several are tried again, each by itself.
            why: what became of the worker.
            seed: the run's.

        Returns:
            The outcome of a single one.
        """
        clear(items)
        if len(items) != 1:
            self._again.extend(items)
            return []
        (item,) = items
        return [Outcome(item, item.seed(seed), 0, 0.0, None, f"{item.source}: {why}", lost=True)]


def clear(items: Iterable[Item]) -> None:
    """Removes what processes that are no more have written of these images under names that do not stay."""
    for item in items:
        with contextlib.suppress(OSError):
            images.clear(item.target.parent, [item.target.name])
