"""The mean and the deviation of an image's samples, as files beside the samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import images
from ..errors import PellucidError, UsageError
from ..images import Picture
from ..jobs import Item
from ..restoration.samples import Spread
from .output import complain, tell

_WHITE = 0.25
"""Standard deviation shown as white, in [0, 1] units: half of the maximum."""


@dataclass(frozen=True)
class Maps:
    """The maps of one image.

    Attributes:
        samples: files of the samples in order.
        mean: file for their mean, of their format.
        deviation: file for their standard deviation, a PNG of 16 bits; for several pages, the samples' format.
        spare: the maps of samples under other names; see `Item.spare`.
    """

    samples: Sequence[Path]
    mean: Path
    deviation: Path
    spare: tuple[Maps, ...] = ()

    def write(self) -> Path | None:
        """Makes both maps from the samples' files; if files are missing, returns None and prints a line."""
        missing = [path for path in self.samples if not path.is_file()]
        other = next((maps for maps in self.spare if missing and all(path.is_file() for path in maps.samples)), None)
        if other is not None:
            return other.write()
        if missing:
            complain(f"{self.mean}: not made, for {missing[0]} is not there")
            return None
        try:
            self._write()
        except PellucidError as error:
            complain(str(error))
            return None
        tell(f"{self.mean}, {self.deviation}")
        return self.mean

    def _write(self) -> None:
        spreads: list[Spread] = []
        first: Picture | None = None
        for path in self.samples:
            picture = images.read(path)
            first = first or picture
            pages = list(picture.pages)
            spreads = spreads or [Spread() for _ in pages]
            for spread, page in zip(spreads, pages, strict=True):
                spread.add(page.tensor().double().numpy())
        assert first is not None
        means, deviations = [], []
        for page, spread in zip(first.pages, spreads, strict=True):
            means.append(page.with_tensor(_tensor(spread)))
            scaled = (spread.deviation[0] / _WHITE).clip(0, 1).transpose(1, 2, 0)
            deviations.append(images.from_array(np.ascontiguousarray((scaled * 65535).round(), np.uint16)))
        images.write(images.bound(means), self.mean)
        images.write(images.bound(deviations), self.deviation)


def of_items(items: Sequence[Item], samples: int, *, replace: bool) -> list[Maps]:
    """Makes the maps of a job's images.

    Args:
        items: all items of the job, with each image's samples.
        samples: number of samples of an image.
        replace: whether existing maps may be replaced.

    Raises:
        UsageError: a map exists.
    """
    firsts = {item.sources: item for item in reversed(items)}
    made = []
    for item in reversed(firsts.values()):
        first, *spare = [_of_sample(name, samples) for name in item.names]
        taken = [path for maps in (first, *spare) for path in (maps.mean, maps.deviation) if path.exists()]
        if taken and not replace:
            raise UsageError(f"{taken[0]}: exists; say --overwrite")
        made.append(dataclasses.replace(first, spare=tuple(spare)))
    return made


def _of_sample(first: Path, samples: int) -> Maps:
    """The maps of an image by a name of its first sample."""
    stem = first.stem.rpartition("-")[0]
    files = [first.with_name(f"{stem}-{number}{first.suffix}") for number in range(1, samples + 1)]
    many = ".png" if first.suffix.lower() not in (".tif", ".tiff") else first.suffix
    return Maps(files, first.with_name(f"{stem}-mean{first.suffix}"), first.with_name(f"{stem}-std{many}"))


def _tensor(spread: Spread) -> Tensor:
    return torch.from_numpy(spread.mean).float()
