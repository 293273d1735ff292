"""Limits of uploads, checked on a file's size and header before anything is decoded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .. import images
from ..apart import Bounds
from ..errors import PellucidError, UsageError

READING = 60.0
"""Seconds after which reading a file is given up."""

_LIBRARIES, _A_PIXEL = 400_000_000, 40
"""Bytes that a decoder may take: a fixed part, and a part for each pixel; no format takes more
(`benchmarks/reading.py`).
"""


@dataclass(frozen=True)
class Limits:
    """Share of the machine that one person may take.

    Attributes:
        bytes: of one file.
        pixels: of one picture, all its pages together.
        pictures: at a time.
        share: bytes that one person may keep here, with results and uploads in progress.
        total: bytes that all people together may keep.

    Raises:
        UsageError: one of them is less than 1.
    """

    bytes: int = 200_000_000
    pixels: int = 50_000_000
    pictures: int = 200
    share: int = 5_000_000_000
    total: int = 20_000_000_000

    def __post_init__(self) -> None:
        if min(self.bytes, self.pixels, self.pictures, self.share, self.total) < 1:
            raise UsageError("the limits of what may be uploaded are numbers above 0")

    @property
    def reading(self) -> Bounds:
        """Limits for the decoder of a file; a file that needs more is no picture of this size."""
        return Bounds(seconds=READING, memory=_LIBRARIES + _A_PIXEL * self.pixels, most=2)

    def check(self, path: Path, name: str) -> tuple[int, int]:
        """Rejects a file that is too large or no picture.

        Args:
            path: its place.
            name: its owner's name for it.

        Returns:
            Height and width of its first page.

        Raises:
            PellucidError: it is too large or no picture.
        """
        size = path.stat().st_size
        if size > self.bytes:
            raise PellucidError(f"{name}: has {size / 1e6:.0f} MB, more than the {self.bytes / 1e6:g} allowed here")
        try:
            sizes = images.sizes_of(path)
        except PellucidError as error:
            raise PellucidError(named(error, path, name)) from None
        pixels = sum(height * width for height, width in sizes)
        if pixels > self.pixels:
            raise PellucidError(
                f"{name}: has {pixels / 1e6:.1f} megapixels, more than the {self.pixels / 1e6:g} allowed here"
            )
        return sizes[0]


def named(error: object, path: Path, name: str) -> str:
    """The line of an error with the owner's name of a file in place of its path on this machine."""
    text = str(error).replace(str(path), name)
    return text if name in text else f"{name}: {text}"


def clean_name(name: str, taken: Collection[str] = ()) -> str:
    """Name of a file as its owner has it, without folders and control characters.

    Args:
        name: the uploaded name.
        taken: names of other files. Upper and lower case count as equal; restored files differ in name, too.
    """
    written = {each for other in taken for each in _written(other)}
    last = re.split(r"[/\\]", name)[-1]
    printable = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    path = Path(printable.strip(". ") or "picture")
    # Names are 255 bytes long at most, and the restored one is longer.
    stem = path.stem.encode()[:150].decode(errors="ignore")
    name, number = stem + path.suffix[:20], 1
    while written.intersection(_written(name)):
        number += 1
        name = f"{stem}-{number}{path.suffix[:20]}"
    return name


def _written(name: str) -> list[str]:
    return [path.name.casefold() for path in images.targets_of(Path(name))]
