"""Several processes on this machine, each with a share of the cores and all with shared weights."""

from __future__ import annotations

import contextlib
import math
import pickle
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from torch import multiprocessing

from ... import methods
from ...apart.processes import ended
from ...errors import PellucidError, UsageError
from ..plan import Item
from ..run import Outcome, Outcomes, Progress
from ..work import Work
from . import worker
from .executor import Groups, clear
from .shared import share

READING = 600.0
"""Seconds after which the reading of a file is given up, together with the process that reads it."""


@dataclass(frozen=True)
class Processes:
    """See `Executor`. A process that dies loses its current image, and another process takes its place.

    Args:
        workers: number of processes. Each has an even share of the cores as threads.
        reading: time limit for reading a file, in seconds.

    Raises:
        UsageError: a number is out of range.
    """

    workers: int
    reading: float = READING

    def __post_init__(self) -> None:
        if self.workers < 1 or not self.reading > 0:
            raise UsageError(f"several processes are 1 or more, not {self.workers}")

    def __call__(self, work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """See `Executor`.

        Raises:
            UsageError: the work cannot be sent to another process.
            PellucidError: a process ends before its start is complete.
        """
        share(work.restorer.prior)
        groups = Groups(items, work.batch)
        threads = max(1, torch.get_num_threads() // self.workers)
        idle: list[_Worker] = []
        busy: list[_Worker] = []
        try:
            while True:
                while len(busy) < self.workers and (group := groups.next()):
                    busy.append(idle.pop() if idle else _Worker(work, threads))
                    busy[-1].give(group)
                if not busy:
                    return
                patience = min(one.patience(self.reading) for one in busy)
                heard = wait([one.pipe for one in busy], patience if patience < math.inf else None)
                for one in tuple(busy):
                    if one.pipe in heard:
                        outcome = one.hear(progress)
                        if outcome is not None:
                            yield outcome
                    elif one.patience(self.reading) == 0:
                        one.end(f"took more than {self.reading:.0f} s to read and was given up")
                    if one.over:
                        busy.remove(one)
                        yield from groups.lost(one.left, one.over, work.seed)
                    elif not one.left:
                        busy.remove(one)
                        idle.append(one)
        finally:
            for one in (*busy, *idle):
                one.end()
                clear(one.left)


class _Worker:
    """A process from the side of the one that hands out images.

    Attributes:
        pipe: connection to it.
        left: its unfinished images.
        over: reason for its end; "" while it runs.
    """

    def __init__(self, work: Work, threads: int) -> None:
        context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        # Torch is imported once for all of them, in a process that has no threads yet: those after the first begin at
        # once, also in the place of one that died.
        context.set_forkserver_preload([worker.__name__, methods.__name__])
        self.pipe: Connection
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=worker.main, args=(other, work, threads), daemon=True)
        try:
            self._process.start()
        except (pickle.PickleError, AttributeError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"this cannot be sent to other processes ({reason}): say --executor this") from None
        finally:
            other.close()
        self.left: list[Item] = []
        self.over = ""
        self._ready = False
        self._unread: set[Item] = set()
        self._heard = time.monotonic()

    def give(self, items: list[Item]) -> None:
        """Hands it images; they are lost if it has ended."""
        self.left, self._unread, self._heard = items, set(items), time.monotonic()
        with contextlib.suppress(OSError):  # its end of the pipe says so, when it is heard
            self.pipe.send(items)

    def patience(self, reading: float) -> float:
        """Seconds until its time limit; infinite if it is not reading."""
        return max(0.0, self._heard + reading - time.monotonic()) if self._ready and self._unread else math.inf

    def hear(self, progress: Progress | None) -> Outcome | None:
        """Takes in one message; returns an outcome if it is one."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):
            # It has closed its end, but may take a moment more to be gone.
            self._process.join(1)
            self.end()
            if not self._ready:
                raise PellucidError(f"a process for images {self.over}, before it began: see above") from None
            return None
        self._heard = time.monotonic()
        if said is None:
            self._ready = True
        elif isinstance(said, Outcome):
            self.left = [item for item in self.left if item != said.item]
            self._unread.discard(said.item)
            return said
        else:
            self._unread.discard(said[0])
            if progress is not None:
                progress(*said)
        return None

    def end(self, why: str = "") -> None:
        """Ends it if it still runs."""
        if self.over:
            return
        self.pipe.close()
        self._process.kill()
        self._process.join()
        self.over = why or f"its process {ended(self._process.exitcode)}"
        self._process.close()
