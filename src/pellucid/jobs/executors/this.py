"""The current process, with all of the machine's cores."""

from __future__ import annotations

from collections.abc import Iterable

from ..plan import Item
from ..run import Outcomes, Progress
from ..work import Work


class InProcess:
    """Works in the current process: one image after the other, or `work.batch` side by side."""

    def __call__(self, work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """See `Executor`."""
        return work.outcomes(items, progress)
