"""The files of a folder, where one that cannot be looked into must not be passed over."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from ..errors import PellucidError


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files of a folder and of those in it, sorted; links to folders are not followed.

    Args:
        folder: where to look.
        suffixes: in small letters, that the files end in.

    Raises:
        PellucidError: a folder cannot be read, so that nobody knows what is in it.
    """

    def failed(error: OSError) -> None:
        raise PellucidError(f"{error.filename}: cannot be read ({error.strerror or error})")

    return sorted(
        path
        for place, _, names in os.walk(folder, onerror=failed)
        for path in (Path(place, name) for name in names)
        if path.suffix.lower() in suffixes and path.is_file()
    )
