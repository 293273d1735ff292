"""Unfinished images of a job, handed out while time and disk space remain."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from .plan import Item
from .run import Outcome


class Feed:
    """Hands out a job's images, each right before its start.

    Args:
        items: the images.
        minutes: time limit for the start of an image; None for no limit. The first image always starts.

    Attributes:
        stopped: reason for unstarted images; "" if all were started.
        full: whether the reason is that the disk cannot be written to.
    """

    def __init__(self, items: Sequence[Item], minutes: float | None = None) -> None:
        self._items, self.full = items, False
        self._end = None if minutes is None else time.monotonic() + 60 * minutes
        self.stopped = ""

    def __iter__(self) -> Iterator[Item]:
        for index, item in enumerate(self._items):
            if self.full:
                self.stopped = "nothing more can be written"
            elif index and self._end is not None and time.monotonic() >= self._end:
                self.stopped = "time limit reached"
            if self.stopped:
                return
            yield item

    def heed(self, outcome: Outcome) -> None:
        """Takes in an outcome: after a full disk, no other image is started."""
        self.full = self.full or outcome.stops
