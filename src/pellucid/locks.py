"""Locks of files that end with the process that has them, however it ends."""

from __future__ import annotations

import sys
from typing import IO

_FAR = 1 << 30
"""Position of Windows' locked byte, behind all content: nobody else may read what is locked."""


def lock(file: IO[bytes], *, sure: bool = False) -> bool:
    """Locks a file for as long as it is open.

    Args:
        file: an open one.
        sure: whether a disk without locks is one on which somebody may have it.

    Returns:
        False if another process, or another opening of the file in this one, has the lock; True also on disks without
        locks, unless `sure` is said.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this disk has no locks
        return not sure
    return True
