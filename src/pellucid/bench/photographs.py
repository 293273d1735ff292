"""Images for a table: those of a data set, or the package's photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

from torch import Tensor

from ..errors import UsageError
from ..maths.problem import to_unit
from . import data
from .data import DatasetItem
from .spec import TableSource

QUICK = 96
"""Side in pixels to which --quick reduces the package's photographs."""

Photographs = Callable[[], Iterator[DatasetItem]]
"""Source of a table's images, read as often as it is asked."""


def bundled(limit: int | None = None) -> Photographs:
    """The package's photographs, reduced."""
    dataset = data.get("folder", crop="square", size=QUICK)
    return partial(dataset.items, Path(str(files("pellucid") / "assets")), limit)


def in_memory(photographs: Mapping[str, Tensor]) -> Photographs:
    """Images that are read already.

    Args:
        photographs: clean ones by name, (1, C, H, W) in [-1, 1].
    """
    return lambda: (DatasetItem(name, to_unit(clean), None) for name, clean in photographs.items())


def of_source(source: TableSource, folder: Path, listed: Path | None = None, limit: int | None = None) -> Photographs:
    """A data set's images.

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
