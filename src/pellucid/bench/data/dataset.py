"""A set of images as a paper uses it: which files of a folder, in which pairs, cut and resized how."""

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
"""Of the files that count as images."""


@dataclass(frozen=True)
class DatasetItem:
    """One image, or one pair.

    Attributes:
        name: the file's path in the folder, the damaged one's of a pair; with `/` on every system.
        clean: (1, 3, H, W) in [0, 1]; None where nobody knows it.
        damaged: the same; None where damage is to be simulated.
    """

    name: str
    clean: Tensor | None
    damaged: Tensor | None


@dataclass(frozen=True)
class Layout:
    """Layout of a data set's images in its folder.

    Attributes:
        told: in words, for people who look for them.
        chosen: what the path in the folder must match, as a regular expression.
        holds: whether the chosen files are clean ones, damaged ones alone, or the damaged ones of pairs.
        clean: what makes a damaged one's path its clean one's, without suffixes: replacements, one after the other.
    """

    told: str
    chosen: str = ""
    holds: Literal["clean", "damaged", "pairs"] = "clean"
    clean: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A layout and a preprocessing; the same folder gives the same items, in the order of their names or of a list.

    Attributes:
        name: of the set.
        layout: where its images lie.
        crop: what is done to each, by name; see `crops`.
        size: side of the squares in pixels; of no effect on "whole".
        files: a text file that names the images to use, one in a line; see `lists`. None for all there are.

    Raises:
        UsageError: there is no such crop, or the size is below 1.
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
        """Lists what a folder lacks of the set, in one line; None if nothing is missing. Opens no image."""
        try:
            self._pairs(folder)
        except PellucidError as error:
            return str(error)
        return None

    def items(self, folder: Path, limit: int | None = None) -> Iterator[DatasetItem]:
        """Reads the images, each when its turn comes.

        Args:
            folder: where they lie.
            limit: how many at most: the first ones.

        Returns:
            The items.

        Raises:
            UsageError: the limit is below 1.
            PellucidError: what `check` says, before the first; or a file is damaged, when its turn comes.
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
        """The path of each image in the folder, with its clean one's file."""
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
