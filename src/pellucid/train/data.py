"""Training crops from a folder or a tar of images, each a function only of the seed and its number.

There is no state to save: crop n of a run is the same in any thread and after any number of stops. So a position in the
data is one integer.
"""

from __future__ import annotations

import hashlib
import io
import math
import tarfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ..errors import PellucidError
from ..images import files_below
from ..images.formats import FORMATS
from . import variety as various

# What Pillow decodes by itself.
SUFFIXES = tuple(suffix for form in FORMATS if form.codec in ("pillow", "tiff") for suffix in form.suffixes)

# Crops take at most a few hundred pixels: more than this on the short side is memory for nothing.
_LARGEST = 1024

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PhotographFile:
    """Place of one image file's bytes.

    Attributes:
        name: path relative to the folder, or inside the tar.
        path: the file, or the tar.
        offset: first byte in `path`.
        size: length in bytes.
    """

    name: str
    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Reads the file's bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def find(data: Path) -> list[PhotographFile]:
    """Lists the images of a folder (with its subfolders) or of an uncompressed tar, by name.

    Raises:
        PellucidError: the folder or tar is missing or has no image, or a subfolder cannot be read.
    """
    if data.is_dir():
        files = files_below(data, SUFFIXES)
        sources = [PhotographFile(path.relative_to(data).as_posix(), path, 0, path.stat().st_size) for path in files]
    elif data.is_file():
        try:
            # "r:" refuses compression: a position inside a compressed tar cannot be read directly.
            with tarfile.open(data, "r:") as tar:
                sources = [
                    PhotographFile(entry.name, data, entry.offset_data, entry.size)
                    for entry in tar
                    if entry.isfile() and Path(entry.name).suffix.lower() in SUFFIXES
                ]
        except tarfile.TarError as error:
            raise PellucidError(f"{data}: is neither a folder nor an uncompressed tar ({error})") from None
    else:
        raise PellucidError(f"{data}: there is no such folder or tar")
    if not sources:
        raise PellucidError(f"{data}: holds no images ({', '.join(SUFFIXES)})")
    return sorted(sources, key=lambda source: source.name)


def split(sources: Sequence[PhotographFile], held_out: int) -> tuple[list[PhotographFile], list[PhotographFile]]:
    """Divides images into those to train on and those to validate on, by name: adding images moves few of them.

    Args:
        sources: all of them.
        held_out: number of validation images.

    Returns:
        The training and the validation images, each in the order of `sources`.
    """
    ranked = sorted(sources, key=lambda source: hashlib.sha256(source.name.encode()).digest())
    chosen = {source.name for source in ranked[:held_out]}
    return [s for s in sources if s.name not in chosen], [s for s in sources if s.name in chosen]


def decode(content: bytes, channels: int) -> Pixels:
    """Decodes an image file, upright, reduced to a short side of at most 1024.

    Args:
        content: the file's bytes.
        channels: 3 for RGB, 1 for grey.

    Returns:
        (H, W, channels), 8 bits.

    Raises:
        PellucidError: the file is damaged, or no image.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            # Lets the JPEG decoder skip the work for detail that the reduction below would remove.
            image.draft(None, (2 * _LARGEST, 2 * _LARGEST))
            image.load()
            upright = ImageOps.exif_transpose(image)
    # A damaged file can break a decoder in any way, and one such file must not end a night's run.
    except Exception as error:
        raise PellucidError(f"is no readable image ({error})") from None
    if upright.mode.startswith(("I", "F")):
        upright = _to_8_bits(upright)
    pixels = upright.convert("RGB" if channels == 3 else "L")
    short = min(pixels.size)
    if short > _LARGEST:
        width, height = (max(_LARGEST, round(side * _LARGEST / short)) for side in pixels.size)
        pixels = pixels.resize((width, height), Image.Resampling.BOX)
    array = np.asarray(pixels)
    return array if array.ndim == 3 else array[:, :, None]


def _to_8_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of 16-bit grey cuts at 255 and leaves a white picture.
    values = np.asarray(image, dtype=np.float64)
    full = 1.0 if image.mode == "F" else 65535.0
    return Image.fromarray((np.clip(values / full, 0, 1) * 255).round().astype(np.uint8))


class Photographs(Sequence[Pixels]):
    """Decoded images, kept in memory as long as they fit; broken and too small ones are left out.

    Args:
        sources: where they are.
        channels: 3 for RGB, 1 for grey.
        smallest: smallest usable side.
        memory: bytes of decoded images to keep; others are decoded again at each use.
        workers: threads that decode.

    Attributes:
        skipped: name and reason of each image left out.

    Raises:
        PellucidError: no image remains.
    """

    def __init__(
        self,
        sources: Sequence[PhotographFile],
        channels: int = 3,
        smallest: int = 64,
        memory: float = 8e9,
        workers: int = 2,
    ) -> None:
        self._channels = channels
        self._kept: list[tuple[PhotographFile, Pixels | None]] = []
        self.skipped: list[tuple[str, str]] = []
        with ThreadPoolExecutor(workers) as pool:
            # A few at a time: `map` over all would decode, and hold, more than `memory`.
            for start in range(0, len(sources), 64):
                for source, found in zip(
                    sources[start : start + 64], pool.map(self._try, sources[start : start + 64]), strict=True
                ):
                    if isinstance(found, str):
                        self.skipped.append((source.name, found))
                    elif min(found.shape[:2]) < smallest:
                        self.skipped.append((source.name, f"is smaller than {smallest} pixels"))
                    else:
                        memory -= found.nbytes
                        self._kept.append((source, found if memory >= 0 else None))
        if not self._kept:
            example = f"; {self.skipped[0][0]} {self.skipped[0][1]}" if self.skipped else ""
            raise PellucidError(f"none of the {len(sources)} images can be used{example}")

    def report(self, tell: Callable[[str], None]) -> None:
        """Reports the ignored images, and the number of all."""
        for name, reason in self.skipped:
            tell(f"left out {name}: {reason}")
        tell(f"{len(self)} images to train on")

    def _try(self, source: PhotographFile) -> Pixels | str:
        try:
            return decode(source.read(), self._channels)
        except (PellucidError, OSError) as error:
            return str(error)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: Any) -> Any:
        source, pixels = self._kept[index]
        return decode(source.read(), self._channels) if pixels is None else pixels


def crop(
    image: Pixels, size: int, rng: np.random.Generator, zoom: float = 3.0, native: float = 0.5, least: float = 1.0
) -> Pixels:
    """Crops a random square of an image, sometimes reduced from a larger one, mirrored half of the time.

    Squares at the original scale teach texture. Reduced ones teach larger structures and have no compression noise.

    Args:
        image: (H, W, C), H and W at least `size`.
        size: side of the result.
        rng: source of chance.
        zoom: largest reduction.
        native: share of squares at the original scale.
        least: smallest reduction of the others, if the image is large enough.

    Returns:
        (size, size, C), a copy or a view.
    """
    height, width, channels = image.shape
    side = size
    if rng.random() >= native:
        most = min(zoom, min(height, width) / size)
        side = int(size * math.exp(rng.uniform(math.log(min(least, most)), math.log(most))))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    square = image[top : top + side, left : left + side]
    if side != size:
        picture = Image.fromarray(square if channels == 3 else square[:, :, 0])
        reduced = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0))
        square = reduced if channels == 3 else reduced[:, :, None]
    return square[:, ::-1] if rng.random() < 0.5 else square


@dataclass(frozen=True)
class Variety:
    """Shares of the crops that differ from a plain piece of a photograph.

    Attributes:
        native: share at the original scale; the others are reduced.
        least: smallest reduction of the others. From 1.3 on, a JPEG's blocks do not teach wrong texture.
        grey: photographs without colours.
        relit: photographs that are darkened, faded or tinted.
        drawn: text, line drawings and screens instead of photographs.
    """

    native: float = 0.5
    least: float = 1.0
    grey: float = 0.0
    relit: float = 0.0
    drawn: float = 0.0


class Crops:
    """The endless, numbered sequence of training crops of a run.

    Every image is used once before any is used again, in a new order each time.

    Args:
        photographs: the images.
        size: side of a crop.
        seed: the run's seed.
        variety: kinds of crops.
    """

    def __init__(self, photographs: Sequence[Pixels], size: int, seed: int, variety: Variety | None = None) -> None:
        self._photographs = photographs
        self._size = size
        self._seed = seed
        self._variety = variety or Variety()
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def batch(self, numbers: Sequence[int]) -> Pixels:
        """Makes the crops with these numbers, (B, size, size, C)."""
        return np.stack([self._one(number) for number in numbers])

    def _one(self, number: int) -> Pixels:
        epoch, position = divmod(number, len(self._photographs))
        order = self._order
        if order[0] != epoch:
            rng = np.random.default_rng([self._seed, 0, epoch])
            # One assignment of one tuple, so that threads in two epochs at once disturb nobody.
            self._order = order = (epoch, rng.permutation(len(self._photographs)))
        rng = np.random.default_rng([self._seed, 1, number])
        photograph, variety = self._photographs[int(order[1][position])], self._variety
        own = _own(self._seed, number)
        grey, relit, drawn = own.random(3)
        if drawn < variety.drawn:
            return various.drawn(self._size, photograph.shape[-1], own)
        piece = crop(photograph, self._size, rng, native=variety.native, least=variety.least)
        if relit < variety.relit:
            piece = various.relit(piece, own)
        return various.grey(piece) if grey < variety.grey else piece


def drawn_ones(variety: Variety, seed: int, numbers: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Tells which crops of these numbers are text, line drawings and screens, (len(numbers),)."""
    return np.array([_own(seed, number).random(3)[2] < variety.drawn for number in numbers], bool)


def _own(seed: int, number: int) -> np.random.Generator:
    """The chance of a crop's kind: a stream of its own, so shares of zero leave the crops of a seed as they are."""
    return np.random.default_rng([seed, 4, number])


def batches(crops: Crops, start: int, batch: int, rank: int = 0, world: int = 1, workers: int = 2) -> Iterator[Pixels]:
    """Makes batches ahead of their use.

    Args:
        crops: the sequence.
        start: number of the first crop.
        batch: crops in a batch of all processes together.
        rank: number of this process, which gets the crops `start + rank`, `start + rank + world`, ...
        world: number of processes.
        workers: threads.

    Yields:
        This process's shares of an endless sequence of batches.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Pixels]] = deque()
        try:
            while True:
                while len(waiting) < 2 * workers:
                    waiting.append(pool.submit(crops.batch, range(start + rank, start + batch, world)))
                    start += batch
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
