"""Lists of files: which images of a large set a paper used."""

from __future__ import annotations

from pathlib import Path

from ...errors import PellucidError
from ...support.settings import bytes_of

_MOST = 1 << 28
"""Largest size of a list in bytes; that of ImageNet's training images has 50 MB."""


def listed(path: Path) -> tuple[str, ...]:
    """Reads a list: each line has a file's name or path, with or without suffix, and optionally a class number.

    Raises:
        PellucidError: the file cannot be read, is empty or names an image twice.
    """
    try:
        lines = bytes_of(path, _MOST).decode().splitlines()
    except UnicodeDecodeError as error:
        raise PellucidError(f"{path}: cannot be read as a list of images ({error})") from None
    names = [_name(line) for line in lines if line.strip()]
    if not names:
        raise PellucidError(f"{path}: is an empty list of images")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PellucidError(f"{path}: names {name} twice")
        seen.add(name)
    return tuple(names)


def _name(line: str) -> str:
    name, _, number = line.strip().rpartition(" ")
    # Names may have spaces; a number behind one is a class.
    return name.strip() if name and number.isdecimal() else line.strip()
