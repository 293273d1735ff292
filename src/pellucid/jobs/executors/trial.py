"""Comparison of executors on this machine: one process with all threads against several with one thread each."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...images import from_array, write
from ...restoration.restorer import Restorer
from ..plan import make_folders, plan
from ..work import Work
from .executor import Executor
from .processes import Processes
from .this import InProcess

_ROUNDS = 3


class Pace(NamedTuple):
    """Time of a job.

    Attributes:
        begun: seconds until the first images are done.
        rest: seconds an image after that.
    """

    begun: float
    rest: float


def compare(restorer: Restorer, workers: int, size: int = 256) -> tuple[Pace, Pace]:
    """Restores random images in one process, then in several.

    Args:
        restorer: the work; one evaluation an image suffices.
        workers: number of processes.
        size: side of the images in pixels.

    Returns:
        The pace of one process, and that of several.
    """
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "in"
        source.mkdir()
        for index in range(workers * (1 + _ROUNDS)):
            pixels = np.random.default_rng(index).integers(0, 256, (size, size, 3), np.uint8)
            write(from_array(pixels), source / f"{index}.png")
        work = Work(restorer)
        one = pace(InProcess(1), 1, work, source, Path(place) / "one")
        return one, pace(Processes(workers), workers, work, source, Path(place) / "several")


def pace(executor: Executor, first: int, work: Work, source: Path, target: Path) -> Pace:
    """Measures a job on the images of a folder.

    Args:
        executor: executes it.
        first: number of images that are done at the same time; the clock starts anew with the last of the first ones.
        work: the work.
        source: folder of more images than these.
        target: folder for the outputs.

    Raises:
        RuntimeError: an image fails.
    """
    items = plan([source], target, overwrite=True)
    make_folders(items)
    times = [time.perf_counter()]
    for outcome in executor(work, items):
        if outcome.error is not None:
            raise RuntimeError(outcome.error)
        times.append(time.perf_counter())
    return Pace(times[first] - times[0], (times[-1] - times[first]) / (len(items) - first))
