"""Reuse of freed memory by the C library."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of `mallopt` in glibc's malloc.h."""

KEPT = 256 << 20
"""Freed bytes at the end of the heap that stay with the process."""


def keep_freed() -> None:
    """Lets this process keep up to `KEPT` freed bytes for its next tensors; does nothing without glibc.

    By default glibc gives most of a network's intermediate results back to the system, and every image of a large
    picture at once. The system then clears each page again, which takes 7 % of the processor time of a JPEG of a
    megapixel. So the main thread's tensors of any size come from the heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, KEPT)
