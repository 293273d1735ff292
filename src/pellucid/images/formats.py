"""The table of formats. A new one is an entry and, unless Pillow knows it, a module that reads and writes it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np

from ..apart.bounds import free_memory
from ..errors import PellucidError, UsageError
from ..support.plural import one_of
from .colours import profile
from .metadata import segment
from .picture import Picture, bound

EIGHT, DEEP_GREY, DEEP, FLOAT = "8 bits", "16-bit grey", "16-bit colour", "floats"


class Codec(Protocol):
    """A module of this folder that reads and writes a family of formats.

    Its functions may raise anything for a broken file; a `PellucidError` needs no file name.
    """

    def sizes(self, path: Path) -> list[tuple[int, int]]:
        """Height and width of each page, upright, from the headers alone."""

    def read(self, path: Path, keep: bool = False) -> Picture:
        """Reads the whole file. Wrong sizes are rejected by `check_size` before any decoding.

        Args:
            path: the file.
            keep: whether to read a truncated file as far as it goes, if the codec can.
        """

    def write(self, picture: Picture, file: IO[bytes], saving: Mapping[str, Any]) -> None:
        """Writes a picture that the format can hold."""


@dataclass(frozen=True)
class Format:
    """A line of the table.

    Attributes:
        name: common name.
        suffixes: suffixes in lower case. Files are recognised by their content; raw files, which look like TIFF, by
            these.
        holds: kinds of pixels that it can store; empty for a format that is only read.
        alpha: whether it holds transparency.
        pages: whether it holds several images.
        codec: module of the codec.
        saving: options of the codec for writing.
        keeps: kinds of metadata that it can store.
        becomes: suffix added to the name of an output whose input's format cannot be written or cannot hold it.
    """

    name: str
    suffixes: tuple[str, ...]
    holds: tuple[str, ...] = ()
    alpha: bool = False
    pages: bool = False
    codec: str = "pillow"
    saving: Mapping[str, Any] = field(default_factory=dict)
    keeps: tuple[str, ...] = ()
    becomes: str = ".png"


_USUAL = ("icc_profile", "exif", "xmp")

_PNG_LEVEL = 1
"""Two fifths of the time of zlib's usual level, 6, for files about 4 % larger."""

FORMATS = (
    Format(
        "PNG",
        (".png",),
        (EIGHT, DEEP_GREY, DEEP),
        alpha=True,
        saving={"format": "PNG", "compress_level": _PNG_LEVEL},
        keeps=(*_USUAL, "dpi", "comment", "texts", "chunks", "shape"),
    ),
    Format(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        (EIGHT,),
        saving={"format": "JPEG", "quality": 95, "subsampling": 0},
        keeps=(*_USUAL, "dpi", "comment", "iptc", "shape"),
    ),
    Format(
        "WebP",
        (".webp",),
        (EIGHT,),
        alpha=True,
        saving={"format": "WEBP", "lossless": True, "exact": True},
        keeps=_USUAL,
    ),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        (EIGHT, DEEP_GREY, DEEP, FLOAT),
        alpha=True,
        pages=True,
        codec="tiff",
        keeps=(*_USUAL, "dpi", "iptc", "shape"),
    ),
    Format(
        "AVIF",
        (".avif",),
        (EIGHT,),
        alpha=True,
        saving={"format": "AVIF", "quality": 95, "subsampling": "4:4:4"},
        keeps=_USUAL,
    ),
    Format("BMP", (".bmp",), (EIGHT,), saving={"format": "BMP"}, keeps=("dpi",)),
    Format(
        "HEIF",
        (".heic", ".heif"),
        (EIGHT,),
        alpha=True,
        codec="heif",
        saving={"format": "HEIF", "quality": 95, "chroma": 444},
        keeps=_USUAL,
        becomes=".tif",  # 10 and 12 bits are read as 16
    ),
    Format("GIF", (".gif",)),
    Format("JPEG 2000", (".jp2", ".j2k")),
    Format("PPM", (".ppm", ".pgm", ".pbm")),
    Format(
        "camera raw",
        (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
        codec="raw",
        becomes=".tif",
    ),
)

_BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}

SUFFIXES = tuple(_BY_SUFFIX)
"""Suffixes of images in a folder."""

WRITTEN = tuple(suffix for suffix, form in _BY_SUFFIX.items() if form.holds)
"""Suffixes of outputs."""

MAX_PIXELS = 150_000_000
"""Number of pixels above which an image is rejected on its header, before any decoding."""


def check_suffix(path: Path) -> Format:
    """Returns the format of a name; rejects suffixes of no writable format.

    Raises:
        UsageError: the format cannot be written.
    """
    form = _BY_SUFFIX.get(path.suffix.lower())
    if form is None or not form.holds:
        raise UsageError(f"{path}: cannot write {path.suffix or 'without a suffix'}: use {', '.join(WRITTEN)}")
    return form


def targets_of(path: Path) -> tuple[Path, ...]:
    """Possible names of the output for an input, best first; see `fitting`.

    The first is the input's own name if its format can be written. The others have the suffix of a format without loss
    added.
    """
    form = _BY_SUFFIX.get(path.suffix.lower())
    first = ".png" if form is None else form.becomes
    added = sorted({".png", ".tif"}, key=lambda suffix: suffix != first)
    own = [path] if form is not None and form.holds else []
    return (*own, *(path.with_name(path.name + suffix) for suffix in added if _BY_SUFFIX[suffix] != form))


def fitting(picture: Picture, names: Sequence[Path]) -> tuple[Path, str | None]:
    """Chooses the first of an output's names whose format holds the picture.

    Args:
        picture: the picture.
        names: one or more; see `targets_of`.

    Returns:
        The name, and a note on the reason if it is not the first.

    Raises:
        PellucidError: as `check_holds`, if no format holds the picture.
    """
    lacks: list[str] = []
    for name in names:
        lack = lacking(picture, name)
        if lack is None:
            return name, f"{lacks[0]}, so it became {name.suffix}" if lacks else None
        lacks.append(lack)
    raise _refused(picture, names[0], lacks[0])


def check_holds(picture: Picture, path: Path) -> None:
    """Rejects a file whose format cannot hold the picture without loss.

    Raises:
        UsageError: the suffix is no writable format.
        PellucidError: the format lacks depth, transparency or pages.
    """
    lack = lacking(picture, path)
    if lack is not None:
        raise _refused(picture, path, lack)


def _refused(picture: Picture, path: Path, lack: str) -> PellucidError:
    able = [form.suffixes[0] for form in FORMATS if "quality" not in form.saving and _lack(picture, form) is None]
    return PellucidError(f"{path}: {lack}: name the output {one_of(able)}")


def lacking(picture: Picture, path: Path) -> str | None:
    """Names a lack of a file's format for a picture, as "BMP has no transparency"; None if it holds the picture.

    Raises:
        UsageError: the suffix is no writable format.
    """
    return _lack(picture, check_suffix(path))


def _lack(picture: Picture, form: Format) -> str | None:
    if not form.holds:
        return f"{form.name} cannot be written"
    if picture.alpha is not None and not form.alpha:
        return f"{form.name} has no transparency"
    if picture.more and not form.pages:
        return f"{form.name} has one page, not {len(picture.pages)}"
    for page in picture.pages:
        if (odd := _odd(page, form)) and ("icc_profile" not in form.keeps or profile(page.metadata["chunks"]) is None):
            return f"only PNG says which colours its numbers are ({odd})"
        if (kind := kind_of(page)) not in form.holds:
            return f"{form.name} has no {kind}"
    return None


_SRGB = {
    b"gAMA": (b"\x00\x00\xb1\x8e", b"\x00\x00\xb1\x8f", b"\x00\x00\xb1\x90"),
    b"cHRM": (struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),),
    b"cICP": (bytes([1, 13, 0, 1]),),
}
"""Colour chunks of a PNG in sRGB, which all formats assume."""


def _odd(page: Picture, form: Format) -> str:
    """Names of a PNG's chunks with colours other than sRGB, for a format that cannot store them."""
    chunks = page.metadata.get("chunks", {})
    if "chunks" in form.keeps or "icc_profile" in page.metadata or (b"sRGB" in chunks and b"cICP" not in chunks):
        return ""
    return ", ".join(kind.decode() for kind, content in chunks.items() if content not in _SRGB.get(kind, (content,)))


def coloured(picture: Picture, form: Format) -> Picture:
    """Adds a profile to a picture whose colour chunks the format cannot store."""
    pages = [
        replace(page, metadata=page.metadata | {"icc_profile": profile(page.metadata["chunks"])})
        if _odd(page, form)
        else page
        for page in picture.pages
    ]
    return bound(pages)


_SAID = {
    "icc_profile": "colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "dpi": "resolution",
    "comment": "comment",
    "texts": "texts",
    "iptc": "IPTC",
    "shape": "shape of its pixels",
}
_RECORD = "record of the restoration"


def left_out(picture: Picture, path: Path, before: Picture | None = None) -> str | None:
    """Names the metadata of a picture that a file's format cannot store; None if there are none.

    Args:
        picture: the picture to store.
        path: the file.
        before: the picture before its restoration. If it has no EXIF, that of the restored one is a record alone.
    """
    form = check_suffix(path)
    has = {key for page in picture.pages for key in page.metadata if key not in form.keeps}
    if any(b"pHYs" in page.metadata.get("chunks", {}) for page in picture.pages) and "shape" not in form.keeps:
        has.add("shape")
    if form.name == "JPEG" and "iptc" in picture.metadata and not segment(picture.metadata["iptc"]):
        has.add("iptc")
    alone = before is not None and not any("exif" in page.metadata for page in before.pages)
    named = [said for key, said in (_SAID | ({"exif": _RECORD} if alone else {})).items() if key in has]
    return f"{form.name} has no place for its {', '.join(named)}" if named else None


def kind_of(picture: Picture) -> str:
    """Kind of pixels that a page needs; transparency does not count, or counts as a channel."""
    if picture.colour.dtype == np.uint8:
        return EIGHT
    if picture.colour.dtype != np.uint16:
        return FLOAT
    return DEEP_GREY if picture.pixels.ndim == 2 else DEEP


def check_size(*sizes: tuple[int, int]) -> None:
    """Rejects images that are too large to decode, by height and width of each page.

    Raises:
        PellucidError: an image is too large, or a side is zero.
    """
    if not all(height > 0 and width > 0 for height, width in sizes):
        raise PellucidError("is damaged, one of its sides has no length")
    pixels = sum(height * width for height, width in sizes)
    if pixels > MAX_PIXELS:
        allowed = f"{MAX_PIXELS / 1e6:.0f} allowed: cut it into parts"
        raise PellucidError(f"has {pixels / 1e6:.0f} megapixels, more than the {allowed}")


READING = {
    "PNG": 14.3, "JPEG": 14.3, "MPO": 14.3, "BMP": 14.3, "PPM": 14.3, "HEIF": 14.6, "AVIF": 17.2, "JPEG2000": 19.2,
    "WEBP": 22.8, "TIFF": 12.4,
}  # fmt: skip
"""Bytes for each pixel when a file is read, by Pillow's name of its kind (`benchmarks/reading.py`)."""

_SMALL = 4_000_000
"""Number of pixels for which there is always memory."""


def check_room(kind: str, *sizes: tuple[int, int], stored: int = 0) -> None:
    """Rejects images that do not fit into free memory, by height and width of each page.

    Args:
        kind: one of `READING`; any other counts as the largest of these.
        sizes: sizes of the pages.
        stored: bytes of a pixel in the file, of which reading takes three times as many (measured on TIFFs).

    Raises:
        PellucidError: they do not fit; the message states the need.
    """
    pixels = sum(height * width for height, width in sizes)
    free = free_memory() if pixels > _SMALL else None
    need = round(max(READING.get(kind, max(READING.values())), 3 * stored) * pixels)
    if free is not None and need > free:
        raise PellucidError(
            f"has {pixels / 1e6:.0f} megapixels, which take {need / 1e9:.1f} GB of memory to read, "
            f"and {free / 1e9:.1f} GB are free: end other programs, or reduce it"
        )


def codec_for(path: Path) -> Codec:
    """Finds the codec of a file by its first bytes."""
    form = _BY_SUFFIX.get(path.suffix.lower())
    if form is not None and form.codec == "raw":
        return codec(form)
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return codec(_BY_SUFFIX[".tif"])
    return codec(_BY_SUFFIX[".heic" if _boxed(head) == "HEIF" else ".png"])


def is_coded_as(path: Path, form: Format) -> bool:
    """True if the first bytes of a file are those of a format, which is AVIF or HEIF."""
    with path.open("rb") as file:
        return _boxed(file.read(64)) == form.name


def _boxed(head: bytes) -> str:
    """Name of the format of a file of boxes, AVIF or HEIF, by its first bytes; empty for other files."""
    if head[4:8] != b"ftyp":
        return ""
    return "AVIF" if b"avif" in head[8:] else "HEIF" if head[8:12] in _HEIF else ""


_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def codec(form: Format) -> Codec:
    """Finds the codec of a format."""
    return cast(Codec, import_module(f".{form.codec}", __package__))
