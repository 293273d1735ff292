"""The images that are left of a job, handed out for as long as there is time and room for another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from .plan import Item
from .run import Outcome


class Feed:
    """Hands out a job's images, one whenever somebody is about to begin it.

    Args:
        items: the images.
        minutes: after which no further image is handed out; None for no limit. The first always is.

    Attributes:
        stopped: why images were kept back; "" if none were.
        full: whether it is that nothing more can be written.
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
        """Takes in what became of an image: after a full disk, the others are not begun."""
        self.full = self.full or outcome.stops
