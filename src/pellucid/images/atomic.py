"""Atomic files: complete under their name or absent, however the writing process ends."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ..support.locks import lock

_TEMPORARY = re.compile(r"\.pellucid-([0-9a-f]{16})-[0-9a-f]{8}\.part")


@contextlib.contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[IO[bytes]]:
    """A file that takes its name only when it is complete and on the disk.

    Until then it has a temporary name of fixed length in the same folder, so that long names stay possible. It has the
    permissions of the file that it replaces.

    Args:
        path: the name to take. A file or a link of this name is replaced; links are not followed.
        new: whether to replace nothing, except a file with the same bytes.

    Raises:
        OSError: the place is not writable; `FileExistsError` if a new file's name is taken meanwhile.
    """
    temporary = path.with_name(f".pellucid-{_key(path.name)}-{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb+") as file:
            lock(file)
            _open_to_the_same(file, path)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not (new and _taken(temporary, path)):
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _taken(temporary: Path, path: Path) -> bool:
    """Gives a file an unused name in one step, so that concurrent attempts come before or after it.

    Returns:
        False if the disk has no hard links and the name seems to be free.

    Raises:
        FileExistsError: the name belongs to a file with other bytes.
    """
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        # Work that was done twice, as some executors do, gives the same bytes.
        if path.is_symlink() or not _are_equal(temporary, path):
            raise FileExistsError(errno.EEXIST, "somebody else has written it meanwhile") from None
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "somebody else has written it meanwhile") from None
        return False
    temporary.unlink()
    return True


def _are_equal(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)


def clear(folder: Path, names: Iterable[str]) -> list[Path]:
    """Removes temporary files that killed processes left for these names.

    Files that another process is writing stay, since it holds a lock. On file systems without locks everything stays.

    Args:
        folder: folder to search, without subfolders.
        names: names of the finished files. Temporary files of other names may belong to another machine.

    Returns:
        The removed files.
    """
    keys = {_key(name) for name in names}
    removed = []
    for path in list(folder.iterdir()):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None or match[1] not in keys or path.is_symlink() or not path.is_file():
            continue
        with contextlib.suppress(OSError):
            with path.open("rb+") as file:
                left = lock(file, sure=True)
            if left:
                path.unlink()
                removed.append(path)
    return removed


def _key(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _open_to_the_same(file: IO[bytes], path: Path) -> None:
    """Copies the permissions of another file, if it exists and the system has permissions."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
