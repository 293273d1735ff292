"""Work on each image of a job, as one object that can be sent to other processes and machines."""

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
        kernels: says in which file to save the kernel that was found for an item.
        batch: how many images are restored side by side in a process.
        strip: whether outputs go without what their inputs say beside the pixels.
        damaged: what becomes of files that are cut off; see `images.read`.
        truths: says in which file an item's clean image is, for its trace.
        dry: whether images are only looked at; see `look`.
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

    def outcomes(self, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """Does it to some images, in this process; see `run`."""
        if self.dry:
            return look(items, self.seed, self.damaged)
        return run(
            items, self.restorer, self.seed, progress, self.traces, self.kernels, self.batch, self.strip, self.damaged,
            self.truths,
        )  # fmt: skip


def expected(item: Item, restorer: Restorer) -> int:
    """About how many pixels will go through the network for an image, by the length of its file, which is not opened.

    Args:
        item: the image. A byte is taken for a pixel.
        restorer: what is done to it.
    """
    try:
        side = max(1, math.isqrt(os.stat(item.source).st_size))  # noqa: PTH116
        return restorer.work(side, side) or 1
    except (OSError, ValueError, PellucidError):
        return 1


def pixels(source: Path, restorer: Restorer) -> int:
    """Total of a file's progress, all its pages; 0 if it cannot be read, which its turn will report."""
    try:
        # A method that evaluates nothing is one step for each image.
        return sum(restorer.work(*size) for size in images.sizes_of(source)) or 1
    except PellucidError:
        return 0
