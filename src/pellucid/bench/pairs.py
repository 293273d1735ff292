"""Pairs of restored, true and damaged images, matched by their paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import PellucidError, UsageError
from ..jobs.search import Left, find
from .data.dataset import stem

_SAMPLE = re.compile(r"-\d+$")
_MAP = re.compile(r"-(?:mean|std)$")
"""End of the stem of a map that `pellucid restore --maps` writes beside samples."""


@dataclass(frozen=True)
class Pair:
    """Files of one image.

    Attributes:
        name: path of the restored file in its folder; for a single file, its name.
        restored: the file.
        truth: the clean file; None if there is none.
        damaged: the input of the restoration; likewise.
    """

    name: str
    restored: Path
    truth: Path | None = None
    damaged: Path | None = None


def pairs(
    restored: Path,
    truth: Path | None,
    damaged: Path | None = None,
    *,
    samples: bool = False,
    left: list[Left] | None = None,
) -> tuple[list[Pair], list[str]]:
    """Pairs two or three files, or the images of two or three folders by their paths in them.

    Suffixes may differ if the names stay unambiguous: `a.jpg` matches `a.png` unless another `a.png` does. `a.pgm.png`,
    the output for an input whose format cannot be written, matches `a.pgm`.

    Args:
        restored: file or folder.
        truth: of the same kind; None if no metric needs it.
        damaged: likewise.
        samples: whether restored files are samples, `a-1`, `a-2` and so on, which all match `a`; see `images_of`.
        left: receives files that are no images, and files that cannot be read.

    Returns:
        The pairs in the order of their names, and a line for each file without a partner.

    Raises:
        UsageError: files are named beside folders.
        PellucidError: a path does not exist, a folder holds no images, or no image has a partner.
    """
    places = [place for place in (restored, truth, damaged) if place is not None]
    for place in places:
        if not place.exists():
            raise PellucidError(f"{place}: there is no such file or folder")
    if len({place.is_dir() for place in places}) > 1:
        raise UsageError("files are compared with files and folders with folders, not one with the other")
    if not restored.is_dir():
        return [Pair(restored.name, restored, truth, damaged)], []
    ours = images_of(restored, left, samples=samples)
    truths, lines = _matched(ours, restored, truth, samples, left)
    inputs, more = _matched(ours, restored, damaged, samples, left)
    paired = [
        Pair(name, path, truths.get(name), inputs.get(name))
        for name, path in ours.items()
        if truth is None or name in truths
    ]
    if not paired:
        raise PellucidError(f"{restored}: no image in it has a partner in {truth}")
    return paired, lines + more


def images_of(folder: Path, left: list[Left] | None = None, *, samples: bool = False) -> dict[str, Path]:
    """The images below a folder, by their paths in it.

    Args:
        folder: which.
        left: see `pairs`.
        samples: whether they are samples; their maps, `a-mean` and `a-std` beside `a-1`, are left out.

    Raises:
        PellucidError: there are none.
    """
    found = {name: path for path, name in find(folder, None, left)}
    stems = {stem(name) for name in found}
    maps = {name for name in found if samples and f"{_MAP.sub('', stem(name))}-1" in stems and _MAP.search(stem(name))}
    if left is not None:
        left += [Left(found[name], "a map of samples") for name in sorted(maps)]
    return {name: path for name, path in found.items() if name not in maps}


def _matched(
    ours: Mapping[str, Path], folder: Path, other: Path | None, samples: bool, left: list[Left] | None
) -> tuple[dict[str, Path], list[str]]:
    """Matches each file with one of another folder; returns a line for each file without a match."""
    if other is None:
        return {}, []
    theirs = images_of(other, left)
    partners = _partners(ours, theirs, samples)
    used = set(partners.values())
    lines = [f"{path}: has no partner in {other}" for name, path in ours.items() if name not in partners]
    lines += [f"{path}: has no partner in {folder}" for name, path in theirs.items() if name not in used]
    return {name: theirs[partner] for name, partner in partners.items()}, lines


def _partners(ours: Iterable[str], theirs: Iterable[str], samples: bool) -> dict[str, str]:
    """Names the partner of each file that has exactly one; only samples share theirs."""
    ours, theirs = list(ours), set(theirs)
    partners = {name: name for name in ours if name in theirs}
    free: dict[str, set[str]] = {}
    for name in theirs if samples else theirs - partners.keys():
        free.setdefault(stem(name), set()).add(name)
        free.setdefault(name, set()).add(name)
    wanted: dict[str, list[str]] = {}
    for name in ours:
        key = _SAMPLE.sub("", stem(name)) if samples else stem(name)
        if name not in partners and len(found := free.get(key, set())) == 1:
            wanted.setdefault(min(found), []).append(name)
    shared = {name: partner for partner, names in wanted.items() for name in names if samples or len(names) == 1}
    return partners | shared
