"""A set of images as a paper uses it: the files of a folder, their pairs, the crop and the size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from ... import images
from ...errors import PellucidError, UsageError
from . import crops
from .lists import listed

SUFFIXES = (*images.SUFFIXES, ".jp2", ".ppm", ".pgm")
"""Suffixes of files that count as images."""


@dataclass(frozen=True)
class DatasetItem:
    """One image, or one pair.

    Attributes:
        name: path of the file in the folder, of a pair that of the damaged file; with `/` on every system.
        clean: (1, 3, H, W) in [0, 1]; None if unknown.
        damaged: the same; None if the damage is simulated.
    """

    name: str
    clean: Tensor | None
    damaged: Tensor | None


@dataclass(frozen=True)
class Layout:
    """Layout of a data set's images in its folder.

    Attributes:
        told: description for people.
        chosen: regular expression of the paths in the folder.
        holds: whether the chosen files are clean ones, damaged ones alone, or the damaged ones of pairs.
        clean: replacements, one after the other, that turn a damaged file's path into the clean one's, without
            suffixes.
    """

    told: str
    chosen: str = ""
    holds: Literal["clean", "damaged", "pairs"] = "clean"
    clean: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A layout and a preprocessing; one folder always gives the same items, in the order of names or of a list.

    Attributes:
        name: name of the set.
        layout: layout of its folder.
        crop: name of the crop; see `crops`.
        size: side of the squares in pixels; "whole" ignores it.
        files: a text file with the images to use, one a line; see `lists`. None for all.

    Raises:
        UsageError: unknown crop, or a size below 1.
    """

    name: str
    layout: Layout
    crop: str = "whole"
    size: int = 256
    files: str | Path | None = None

    def __post_init__(self) -> None:
        crops.find(self.crop)
        if self.size < 1:
            raise UsageError(f"{self.name}: size must be 1 or more pixels, not {self.size}")

    def check(self, folder: Path) -> str | None:
        """Describes in one line the missing files of a folder; None if nothing is missing. Opens no image."""
        try:
            self._pairs(folder)
        except PellucidError as error:
            return str(error)
        return None

    def items(self, folder: Path, limit: int | None = None) -> Iterator[DatasetItem]:
        """Reads the images, each when its turn comes.

        Args:
            folder: folder of the set.
            limit: number of images at most, from the first.

        Returns:
            The items.

        Raises:
            UsageError: the limit is below 1.
            PellucidError: the result of `check`, before the first image; or a damaged file, in its turn.
        """
        if limit is not None and limit < 1:
            raise UsageError(f"{self.name}: a limit is 1 image or more, not {limit}")
        pairs = self._pairs(folder)[:limit]
        return (self._item(folder, *pair) for pair in pairs)

    def _item(self, folder: Path, name: str, other: Path | None) -> DatasetItem:
        own = self._read(folder / name)
        if self.layout.holds == "clean":
            return DatasetItem(name, own, None)
        clean = None if other is None else self._read(other)
        if clean is not None and clean.shape != own.shape:
            raise PellucidError(f"{folder / name}: has not the size of its clean image {other}")
        return DatasetItem(name, clean, own)

    def _read(self, path: Path) -> Tensor:
        whole = images.read(path).tensor(3)
        crop = crops.find(self.crop)
        if crop is None:
            return whole
        try:
            cut = crop(images.to_pil(images.from_tensor(whole)), self.size)
        except PellucidError as error:
            raise PellucidError(f"{path}: {error}") from None
        return images.from_pil(cut).tensor(3)

    def _pairs(self, folder: Path) -> list[tuple[str, Path | None]]:
        """Paths of the images in the folder, each with its clean file."""
        if not folder.is_dir():
            raise PellucidError(f"{folder}: there is no such folder of {self.name}")
        found = {path.relative_to(folder).as_posix(): path for path in images.files_below(folder, SUFFIXES)}
        chosen = [name for name in found if re.search(self.layout.chosen, name)]
        if not chosen:
            raise PellucidError(f"{folder}: holds nothing of {self.name}, which is {self.layout.told}")
        if self.files is not None:
            chosen = self._of_list(folder, chosen, listed(Path(self.files)))
        if self.layout.holds != "pairs":
            return [(name, None) for name in chosen]
        stems = {stem(name): path for name, path in found.items()}
        return [(name, self._partner(folder, name, stems)) for name in chosen]

    def _of_list(self, folder: Path, chosen: list[str], named: tuple[str, ...]) -> list[str]:
        # Lists have paths from somewhere above or below the folder, with other suffixes or none: the name tells.
        known = {Path(stem(name)).name: name for name in chosen} | {stem(name): name for name in chosen}
        wanted = {name: known.get(stem(name), known.get(Path(stem(name)).name)) for name in named}
        lost = [name for name, found in wanted.items() if found is None]
        if lost:
            few = f"{len(lost)} of {len(wanted)} images of {self.files}"
            raise PellucidError(f"{folder}: lacks {few}, such as {lost[0]}")
        return [found for found in wanted.values() if found is not None]

    def _partner(self, folder: Path, name: str, stems: dict[str, Path]) -> Path:
        partner = stem(name)
        for pattern, replacement in self.layout.clean:
            partner = re.sub(pattern, replacement, partner)
        if partner not in stems or partner == stem(name):
            what = f"{self.name} is {self.layout.told}"
            raise PellucidError(f"{folder / name}: there is no clean image {partner} for it; {what}")
        return stems[partner]


def stem(name: str) -> str:
    """A path without the suffix of an image; other dots stay."""
    path = Path(name)
    known = path.suffix.lower() in SUFFIXES
    return (path.with_suffix("") if known else path).as_posix()
