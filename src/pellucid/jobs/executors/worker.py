"""Loop of a worker process: takes images from a pipe until there are no more."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection

import torch

from ..work import Work


def main(pipe: Connection, work: Work, threads: int) -> None:
    """Works on the lists of items from the pipe.

    It answers None when it is ready, then, for each evaluation, the item and its share of the work, and each outcome.

    Args:
        pipe: connection to the process that hands out images.
        work: the work on each image.
        threads: number of threads.
    """
    # Ctrl-C reaches all processes of a terminal, a queue's limit all of a job; the first of them says what it means.
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    pipe.send(None)
    while True:
        try:
            items = pipe.recv()
        except EOFError:
            return
        for outcome in work.outcomes(items, lambda item, share: pipe.send((item, share))):
            pipe.send(outcome)


def _end_with_parent() -> None:
    """Ends this process with its parent, so that a killed job writes nothing afterwards."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
