"""Work on each image of a job, as one object that can go to other processes and machines."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import images
from ..api import Restorer
from ..errors import PellucidError
from .plan import Item
from .run import Outcomes, Progress, look, run


@dataclass(frozen=True)
class Work:
    """The arguments of `run` that are the same for all images.

    Attributes:
        restorer: the method on its prior.
        seed: the run's.
        traces: folder for a `Trace` of each image.
        kernels: gives the file for the estimated kernel of an item.
        batch: number of images to restore side by side in a process.
        strip: whether to remove metadata from outputs.
        damaged: treatment of truncated files; see `images.read`.
        truths: gives the file of an item's clean image, for its trace.
        dry: whether to only read the images; see `look`.
    """

    restorer: Restorer
    seed: int = 0
    traces: Path | None = None
    kernels: Callable[[Item], Path] | None = None
    batch: int = 1
    strip: bool = False
    damaged: images.Damaged = "refuse"
    truths: Callable[[Item], Path] | None = None
    dry: bool = False

    def outcomes(self, items: Iterable[Item], progress: Progress | None = None, lanes: int = 1) -> Outcomes:
        """Works on some images in this process; see `run`."""
        if self.dry:
            return look(items, self.seed, self.damaged)
        return run(
            items, self.restorer, self.seed, progress, self.traces, self.kernels, self.batch, self.strip, self.damaged,
            self.truths, lanes,
        )  # fmt: skip


def expected(item: Item, restorer: Restorer) -> int:
    """Estimates the pixels through the network for an image by the size of its file, without opening it.

    Args:
        item: the image. A byte is taken for a pixel.
        restorer: its restorer.
    """
    try:
        side = max(1, math.isqrt(os.stat(item.source).st_size))  # noqa: PTH116
        return restorer.work(side, side) or 1
    except (OSError, ValueError, PellucidError):
        return 1


def pixels(source: Path, restorer: Restorer) -> int:
    """Total of a file's progress over all pages; 0 if it cannot be read, which its turn will report."""
    try:
        # A method that evaluates nothing is one step for each image.
        return sum(restorer.work(*size) for size in images.sizes_of(source)) or 1
    except PellucidError:
        return 0
