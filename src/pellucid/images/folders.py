"""Files of a folder; unreadable folders raise an error."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from ..errors import PellucidError


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Lists the files of a folder and its subfolders, sorted; links to folders are not followed.

    Args:
        folder: folder to search.
        suffixes: suffixes of the files, in lower case.

    Raises:
        PellucidError: a folder cannot be read.
    """

    def failed(error: OSError) -> None:
        raise PellucidError(f"{error.filename}: cannot be read ({error.strerror or error})")

    return sorted(
        path
        for place, _, names in os.walk(folder, onerror=failed)
        for path in (Path(place, name) for name in names)
        if path.suffix.lower() in suffixes and path.is_file()
    )
