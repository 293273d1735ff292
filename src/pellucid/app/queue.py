"""Jobs in order of arrival, one on the device at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from ..methods.method import State


class Stopped(BaseException):
    """Somebody stopped the job; like KeyboardInterrupt this is no error of the current picture."""


class Job:
    """One press of a button: its restorations and their progress.

    Args:
        work: the work; calls `advance` and `see`, which end it after a stop.

    Attributes:
        state: its state; "done", "stopped" and "failed" are final.
        total: pixels through the network in all; 0 while unknown.
        done: pixels through the network so far.
        doing: the current step, in words.
        x0: the newest estimate of the clean picture, (1, C, H, W) in [-1, 1]; None before the first.
        error: why it failed; None if it did not.
        part: pixels that were done before the current picture, and pixels of this picture.
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
        """True if the job has ended."""
        return self.ended.is_set()

    @property
    def stopping(self) -> bool:
        """True if the job was told to stop and still runs."""
        return self._stop.is_set() and not self.over

    @property
    def seconds_left(self) -> float | None:
        """Remaining seconds, from the pixels so far; None before the first."""
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
        """Ends the work if the job was told to stop.

        Raises:
            Stopped: it was told to stop.
        """
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Tells the job to end at its next step."""
        self._stop.set()

    def run(self) -> None:
        """Does the work; any exception becomes the job's state."""
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
    """Queue of all jobs on this machine, done by one thread, first come first served."""

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
        """Queues a job."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job

    def spare(self, job: Job) -> None:
        """Takes a job to do while there is no other; the newest first, since older ones may belong to closed pages."""
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
        """Stops all jobs and waits until the current one has ended its step."""
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
