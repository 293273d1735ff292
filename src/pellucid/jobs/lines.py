"""Lines of JSON that survive their process: none is lost, and a torn one harms no other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import PellucidError


def append(path: Path, values: Mapping[str, Any]) -> None:
    """Appends a line, which is on the disk on return; an interruption harms no other line.

    Raises:
        PellucidError: the file cannot be written.
    """
    line = json.dumps(values).encode() + b"\n"
    try:
        check(path)
        with path.open("ab+", buffering=0) as file:
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                line = b"\n" + line  # the one before was torn
            if file.write(line) != len(line):
                raise OSError("the disk is full")
            os.fsync(file.fileno())
    except OSError as error:
        raise PellucidError(f"{path}: cannot be written ({error.strerror or error})") from None


def check(path: Path) -> None:
    """Rejects pipes and the like, which could block for ever.

    Raises:
        PellucidError: it is no file.
    """
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113  # unlike Path.is_file, it never fails
        raise PellucidError(f"{path}: cannot be read or written, it is no file")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Reads the lines of a file, except torn ones and those that are no objects.

    Raises:
        PellucidError: it cannot be read.
    """
    try:
        check(path)
        written = path.read_bytes().split(b"\n")
    except OSError as error:
        raise PellucidError(f"{path}: cannot be read ({error.strerror or error})") from None
    for line in written:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            yield values
