"""The current process, with all of the machine's cores."""

from __future__ import annotations

from collections.abc import Iterable

from ..plan import Item
from ..run import Outcomes, Progress
from ..work import Work


def this(work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
    """See `Executor`: one image after the other, or `work.batch` side by side."""
    return work.outcomes(items, progress)
