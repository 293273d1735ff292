"""Search for the files that a person names: folders, patterns, and links."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import images
from ..errors import PellucidError

MANIFEST = ".pellucid"
"""Prefix of the names of manifests, which let a job resume (see `Manifest`), and of unfinished files."""

_SHOWN = 3
"""Number of files of a kind that are named; the others are counted."""


@dataclass(frozen=True)
class Left:
    """A file that the job does not begin.

    Attributes:
        path: the file.
        why: reason, as the end of a sentence about it.
        failed: whether it may be or contain an image that a person expects.
    """

    path: Path
    why: str
    failed: bool = False


def described(left: Sequence[Left]) -> list[str]:
    """Describes ignored files that are no failures, a line for each kind; names the first of each."""
    kinds: dict[str, list[Path]] = {}
    for one in left:
        if not one.failed:
            kinds.setdefault(one.why, []).append(one.path)
    lines = []
    for why, paths in kinds.items():
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        lines.append(f"not taken, {why}: {', '.join(map(str, paths[:_SHOWN]))}{more}")
    return lines


def expand(inputs: Sequence[Path], left: list[Left] | None = None) -> list[Path]:
    """Expands patterns to sorted matches if the shell has not; `**` stands for nested folders.

    Args:
        inputs: files, folders and patterns. An existing file whose name looks like a pattern is that file.
        left: receives unreadable folders.

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
        closed = list(_closed(source))
        if not matches:
            raise PellucidError(f"{closed[0].path}: {closed[0].why}" if closed else f"{source}: matches no file")
        found += matches
        if left is not None:
            left += closed
    return found


def search(
    inputs: Sequence[Path], output: Path | None = None, left: list[Left] | None = None
) -> list[tuple[Path, str]]:
    """Finds the images of all inputs, each with its name relative to its folder; "" for a file.

    Args:
        inputs: files, folders and patterns. A missing file is kept; it fails in its turn.
        output: the job's output folder; files in it are no inputs.
        left: receives ignored files in the folders and below, and unreadable folders.

    Raises:
        PellucidError: a folder without images, or a pattern without files.
    """
    return [pair for source in expand(inputs, left) for pair in find(source, output, left)]


def find(source: Path, output: Path | None, left: list[Left] | None = None) -> list[tuple[Path, str]]:
    """Finds the images of an input, each with its name relative to it; "" for a file.

    Links to folders are not followed, so that a loop of them ends; links to images are.

    Args:
        source: file or folder.
        output: the job's output folder; files in it are no inputs.
        left: receives ignored files, in the folder and below.

    Raises:
        PellucidError: a folder without images.
    """
    if not os.path.isdir(source):  # noqa: PTH112  # unlike Path.is_dir, this has no name that it fails at
        return [(source, "")]
    own = None if output is None or real(source) not in real(output).parents else real(output)
    paths, others = [], []
    for one in _below(source):
        place = one if isinstance(one, Path) else one.path
        if own is not None and own in (real(place), *real(place).parents):
            continue
        if isinstance(one, Path):
            paths.append(one)
        else:
            others.append(one)
    if not paths:
        why = next((f"{one.path}: {one.why}" for one in others if one.failed), None)
        more = f"; {len(others)} other files" if others else ""
        raise PellucidError(why or f"{source}: holds no images ({', '.join(images.SUFFIXES)}){more}")
    if left is not None:
        left += sorted(others, key=lambda one: one.path)
    return [(path, path.relative_to(source).as_posix()) for path in sorted(paths)]


def real(path: Path) -> Path:
    """Path without links and `..`; a loop of links, at which `Path.resolve` may fail, stays unchanged."""
    return Path(os.path.realpath(path))


def _below(folder: Path) -> Iterator[Path | Left]:
    """Images of a folder and its subfolders, and everything else in them but a job's own records."""
    folders = [folder]
    while folders:
        place = folders.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(place / entry.name)
                    elif not entry.name.startswith(MANIFEST):
                        yield _why_not(entry) or Path(entry.path)
        except OSError as error:
            yield Left(place, f"cannot be read ({error.strerror or error})", failed=True)


def _why_not(entry: os.DirEntry[str]) -> Left | None:
    """Reason for ignoring a file; None for an image."""
    path = Path(entry.path)
    named = path.suffix.lower() in images.SUFFIXES
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if not named:
            return Left(path, _by_name(path))
        lost = "is a link to nothing" if entry.is_symlink() else f"cannot be read ({error.strerror or error})"
        return Left(path, lost, failed=True)
    if stat.S_ISDIR(mode):
        return Left(path, "a link to a folder")
    if path.name.startswith("."):
        return Left(path, "its name begins with a dot")
    if not named:
        return Left(path, _by_name(path))
    if not stat.S_ISREG(mode):
        return Left(path, "is a pipe or a device, not a file", failed=True)
    return None


def _by_name(path: Path) -> str:
    return f"{path.suffix.lower() or 'no suffix'} is not read in folders"


def _closed(pattern: Path) -> Iterator[Left]:
    """Unreadable folders on the way of a pattern, which the search itself skips."""
    parts = pattern.parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:first])
    depth = None if "**" in parts else len(parts) - first - 1
    closed: list[Left] = []

    def failed(error: OSError) -> None:
        closed.append(Left(Path(error.filename), f"cannot be read ({error.strerror or error})", failed=True))

    for folder, names, _ in os.walk(root, onerror=failed):
        if depth is not None and len(Path(folder).relative_to(root).parts) >= depth:
            names.clear()
    # A folder that is not there is no closed one: nothing matches.
    yield from (one for one in closed if os.path.lexists(one.path))
