"""Hashes of files; a separate module, so that other processes import it fast."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from .. import apart
from ..errors import PellucidError


def file_hash(path: Path) -> str:
    """SHA-256 of the bytes of a file, read in another process within `apart.inside`.

    Raises:
        PellucidError: the file cannot be read, or is a pipe or the like, which could block for ever.
    """
    try:
        return apart.call(_hash, apart.place(path))
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PellucidError("is a pipe, a device or a folder, not a file")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise PellucidError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise PellucidError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return digest.hexdigest()
