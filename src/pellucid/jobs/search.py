"""What a person names, as files: folders, patterns, and links that lead nowhere good."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from .. import images
from ..errors import PellucidError


def expand(inputs: Sequence[Path]) -> list[Path]:
    """Replaces each pattern by what it matches, sorted, where the shell has not; `**` stands for folders in folders.

    Args:
        inputs: files, folders and patterns. A file whose own name looks like a pattern is that file.

    Raises:
        PellucidError: a pattern matches nothing.
    """
    found = []
    for source in inputs:
        if os.path.lexists(source) or not glob.has_magic(str(source)):
            found.append(source)
            continue
        # Unlike Path.glob, this takes patterns that begin at the root, and leaves hidden files out.
        matches = sorted(Path(match) for match in glob.glob(str(source), recursive=True))  # noqa: PTH207
        if not matches:
            raise PellucidError(f"{source}: matches no file")
        found += matches
    return found


def find(source: Path, output: Path | None) -> list[tuple[Path, str]]:
    """The images of an input, each with its name relative to it; "" for a file.

    Links to folders are not followed, so that a loop of them ends; links to images are.

    Args:
        source: file or folder.
        output: the job's output folder; what lies in it is no input.

    Raises:
        PellucidError: a folder without images.
    """
    if not source.is_dir():
        return [(source, "")]
    own = None if output is None or real(source) not in real(output).parents else real(output)
    paths = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(source)
        for name in names
        if Path(name).suffix.lower() in images.SUFFIXES and not name.startswith(".")
    )
    paths = [path for path in paths if path.is_file() and (own is None or own not in real(path).parents)]
    if not paths:
        raise PellucidError(f"{source}: holds no images ({', '.join(images.SUFFIXES)})")
    return [(path, path.relative_to(source).as_posix()) for path in paths]


def real(path: Path) -> Path:
    """The path without links and `..`; a loop of links, at which `Path.resolve` may fail, stays as it is."""
    return Path(os.path.realpath(path))
