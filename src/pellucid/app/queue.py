"""Jobs in the order in which they came, one on the device at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from ..methods.method import State


class Stopped(BaseException):
    """Somebody stopped the job; like KeyboardInterrupt it is no error of the picture in work."""


class Job:
    """One press of a button: everything that is to be restored, and how far it is.

    Args:
        work: does it; calls `advance` and `see`, which end it when it is to stop.

    Attributes:
        state: where it stands; it never leaves "done", "stopped" or "failed".
        total: pixels through the network in all; 0 while nobody knows.
        done: pixels through the network so far.
        doing: what it is at, in words.
        x0: the newest estimate of the clean picture, (1, C, H, W) in [-1, 1]; None before the first.
        error: why it failed; None if it did not.
        part: how many pixels were done before the picture in work, and how many are its own.
    """

    def __init__(self, work: Callable[[Job], object]) -> None:
        self.state: Literal["waiting", "running", "done", "stopped", "failed"] = "waiting"
        self.total = self.done = 0
        self.doing = ""
        self.x0: Tensor | None = None
        self.error: str | None = None
        self.part = (0, 0)
        self._work = work
        self._stop = threading.Event()
        self._began = 0.0
        self.ended = threading.Event()

    @property
    def over(self) -> bool:
        """True if nothing more will come of it."""
        return self.ended.is_set()

    @property
    def stopping(self) -> bool:
        """True if it was told to stop and has not yet done so."""
        return self._stop.is_set() and not self.over

    @property
    def seconds_left(self) -> float | None:
        """From the pixels that went through the network so far; None before the first."""
        if not self.done or not self.total:
            return None
        return (time.monotonic() - self._began) * max(self.total - self.done, 0) / self.done

    def advance(self, pixels: int) -> None:
        """Takes the progress of `Restorer.picture` after each evaluation of the network.

        Raises:
            Stopped: it was told to stop.
        """
        self.check()
        self.done += pixels

    def see(self, state: State) -> None:
        """Takes the states of `Restorer.picture` after each step.

        Raises:
            Stopped: it was told to stop.
        """
        self.check()
        self.x0 = state.x0.detach()

    def check(self) -> None:
        """Ends the work.

        Raises:
            Stopped: it was told to stop.
        """
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Tells it to end at its next step."""
        self._stop.set()

    def run(self) -> None:
        """Does the work; whatever it raises becomes its state."""
        self.state, self._began = "running", time.monotonic()
        try:
            self.check()
            self._work(self)
            self.state = "done"
        except Stopped:
            self.state = "stopped"
        # One person's job must not end the page for all others.
        except Exception as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            self.state, self.error = "failed", first
        finally:
            self.x0 = None
            self.ended.set()


class Queue:
    """Jobs of everybody who has the page open, done by one thread, first come first served."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._spare: list[Job] = []
        self._at_spare = False
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="pellucid-queue", daemon=True)
        self._thread.start()

    def add(self, job: Job) -> Job:
        """Lines a job up."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job

    def spare(self, job: Job) -> None:
        """Takes a job that is done while there is no other; the newest first: older ones may be of closed pages."""
        with self._changed:
            self._spare.insert(0, job)
            self._changed.notify()

    def position(self, job: Job) -> int:
        """Number of jobs before it; 0 for the one on the device and for those that are over."""
        with self._changed:
            before = self._running is not None and not self._at_spare
            return self._waiting.index(job) + before if job in self._waiting else 0

    def stop(self, job: Job) -> None:
        """Ends a job: at once if it waits, within one step if it runs."""
        job.stop()
        with self._changed:
            if job not in self._waiting:
                return
            self._waiting.remove(job)
        job.run()  # without work: it is told to stop already

    def close(self) -> None:
        """Stops everything, and waits for the job on the device to end its step."""
        with self._changed:
            self._closed = True
            jobs = [*self._waiting, *self._spare, *([self._running] if self._running else [])]
            self._changed.notify()
        for job in jobs:
            self.stop(job)
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._spare or self._closed)
                if self._closed:
                    return
                self._at_spare = not self._waiting
                self._running = (self._waiting or self._spare).pop(0)
            self._running.run()
            with self._changed:
                self._running = None
