"""Locks of files that end with their process in any case."""

from __future__ import annotations

import sys
from typing import IO

_FAR = 1 << 30
"""Position of Windows' locked byte, beyond all content: nobody else may read a locked one."""


def lock(file: IO[bytes], *, sure: bool = False) -> bool:
    """Locks a file while it is open.

    Args:
        file: an open file.
        sure: whether to assume a foreign lock on a disk without locks.

    Returns:
        False if another process, or another opening of the file in this one, has the lock. True also on disks without
        locks, unless `sure` is set.
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
