"""The current process, with all of the machine's cores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...priors.prior import device_of
from .. import overlap
from ..plan import Item
from ..run import Outcomes, Progress
from ..work import Work


@dataclass(frozen=True)
class InProcess:
    """Works in the current process: `work.batch` images side by side, or images whose work overlaps.

    Args:
        lanes: number of images in work at once; None for `overlap.usual`.
    """

    lanes: int | None = None

    def __call__(self, work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """See `Executor`; outcomes come in order of the images, except those of a batch."""
        lanes = overlap.usual(device_of(work.restorer.prior)) if self.lanes is None else self.lanes
        return work.outcomes(items, progress, lanes)
