"""Measurement of peak memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def peak(device: torch.device) -> Iterator[list[float]]:
    """Measures a block.

    Args:
        device: device of the block.

    Yields:
        A list; after the block it holds MiB: the block's peak on a GPU, else the peak of the process so far. 0 if the
        machine does not tell.
    """
    found: list[float] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    yield found
    found.append(torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else _process())


def _process() -> float:
    if sys.platform == "win32":
        return 0.0
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10
