"""Files that are whole under their name, or not there: however the process that writes them ends."""

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

from ..locks import lock

_TEMPORARY = re.compile(r"\.pellucid-([0-9a-f]{16})-[0-9a-f]{8}\.part")


@contextlib.contextmanager
def replacing(path: Path, *, new: bool = False) -> Iterator[IO[bytes]]:
    """A file that takes its name only when it is complete and on the disk.

    Until then it lies beside it under a name of its own, of fixed length: a long name stays possible. Whoever may read
    and write the file that it replaces may read and write this one, and nobody else.

    Args:
        path: the name to take; a file of this name is replaced, a link is replaced and not followed.
        new: whether nothing is replaced, be it that the file there has the same bytes.

    Raises:
        OSError: the place cannot be written to; `FileExistsError` if a new file's name is taken by then.
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
    """Gives a file a name that nobody has, in one step: whoever else wants it comes before or after.

    Returns:
        False where the disk has no second names and nobody seems to have this one.

    Raises:
        FileExistsError: somebody has it, and for other bytes.
    """
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        # Work that was done twice, as some executors do, gives the same bytes.
        if path.is_symlink() or not _are_equal(temporary, path):
            raise FileExistsError(errno.EEXIST, "it is there by now, from somebody else") from None
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it is there by now, from somebody else") from None
        return False
    temporary.unlink()
    return True


def _are_equal(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)


def clear(folder: Path, names: Iterable[str]) -> list[Path]:
    """Removes what killed processes left of files that were to have these names.

    What another process is writing at this moment stays: it holds a lock. Where a file system has no locks, everything
    stays.

    Args:
        folder: where to look; not below it.
        names: of the finished files. Those of other names may be another machine's.

    Returns:
        What was removed.
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
    """Gives a file the permissions of another, if that is there and there is such a thing as permissions here."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
