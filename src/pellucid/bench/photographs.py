"""Images for a table: those of a data set, or the package's photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path

from ..errors import UsageError
from . import data
from .data import Item
from .spec import Source

QUICK = 96
"""Side in pixels to which --quick reduces the package's photographs."""

Photographs = Callable[[], Iterator[Item]]
"""Source of a table's images, which can be read repeatedly."""


def bundled(limit: int | None = None) -> Photographs:
    """The package's photographs, reduced."""
    dataset = data.get("folder", crop="square", size=QUICK)
    return partial(dataset.items, Path(str(files("pellucid") / "assets")), limit)


def of_source(source: Source, folder: Path, listed: Path | None = None, limit: int | None = None) -> Photographs:
    """Reads a data set's images.

    Args:
        source: the data set.
        folder: its folder.
        listed: file with the names of images to use; None for all.
        limit: number of images, from the first; None for all.

    Raises:
        UsageError: the data set is missing.
    """
    dataset = data.get(source.name, files=listed)
    lacking = dataset.check(folder)
    if lacking is not None:
        raise UsageError(lacking)
    return partial(dataset.items, folder, limit)
