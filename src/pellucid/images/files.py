"""Reading and writing of image files: without change, and whole or not at all."""

from __future__ import annotations

import io
import stat
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from .. import apart
from ..errors import PellucidError
from . import jpeg, metadata
from .atomic import replacing
from .formats import MAX_PIXELS, Format, check_holds, check_suffix, codec, codec_for, coloured, is_coded_as
from .picture import Coded, Picture
from .pillow import turn

T = TypeVar("T")


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of the first page; see `sizes_of`."""
    return sizes_of(path)[0]


def sizes_of(path: Path) -> list[tuple[int, int]]:
    """Height and width of each page from the file's header, after its orientation.

    Raises:
        PellucidError: as for `read`, as far as the header shows it.
    """
    return _of(path, _sizes)


Damaged = Literal["refuse", "keep"]
"""Treatment of a truncated file."""


def read(path: Path, damaged: Damaged = "refuse") -> Picture:
    """Reads a whole file at its depth: 8 or 16 bits or floats, grey or colour, with or without alpha.

    The content decides the format, not the name. The EXIF orientation is applied and reset; EXIF, XMP,
    ICC profile and resolution are kept in the picture's metadata. All pages of a TIFF are read.

    Args:
        path: the file.
        damaged: "keep" reads a truncated JPEG as far as it goes, makes the rest grey and adds a note.

    Raises:
        PellucidError: the file is missing, no image, damaged, too large, an animation, or of a kind that cannot be
            written back unchanged. The message is one line that begins with the path.
    """
    return replace(_of(path, _read, damaged == "keep"), name=path.name)


def write(picture: Picture, path: Path, *, new: bool = False, source: Path | None = None) -> None:
    """Writes a file in the format of its suffix, atomically.

    PNG, TIFF, BMP and WebP are written without loss; JPEG, AVIF and HEIF at quality 95 with full colour resolution.

    Args:
        picture: the picture to write.
        path: the file.
        new: whether to keep a file of this name with other bytes, and raise an error.
        source: file with the picture's pixels. A JPEG takes over the coded data of a JPEG without another loss (see
            `Picture.has_coding_of`). AVIF and HEIF are copied whole (see `copies`).

    Raises:
        PellucidError: the format cannot hold the picture, the place is not writable, or the name is taken.
    """
    check_holds(picture, path)
    form = check_suffix(path)
    try:
        coded = source.read_bytes() if source is not None and "quality" in form.saving else None
        with replacing(path, new=new) as file:
            if coded is None:
                codec(form).write(coloured(picture.sized(), form), file, form.saving)
            else:
                file.write(_recoded(picture, coded, form) if form.name == "JPEG" else coded)
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None
    except OSError as error:
        raise PellucidError(f"{path}: cannot be written ({error.strerror or error})") from None
    except ValueError as error:
        raise PellucidError(
            f"{path}: {form.name} cannot hold its metadata ({error}): say --strip-metadata, or name the output .tif"
        ) from None


def keeps_coding(picture: Picture, original: Picture, path: Path) -> bool:
    """True if a file of the picture can keep the coded data of its original; see `Picture.has_coding_of`."""
    return check_suffix(path).name == "JPEG" and picture.has_coding_of(original)


def copies(source: Path, path: Path) -> bool:
    """True if a file is best a copy of its unchanged source: both are AVIF or HEIF, which lose at each coding."""
    return is_coded_as(source, check_suffix(path))


def coded_anew(picture: Picture, original: Picture, path: Path) -> str | None:
    """Note on the unchanged pixels of a picture that a file's format stores with loss; None if it loses nothing."""
    form = check_suffix(path)
    kept = "quality" not in form.saving or keeps_coding(picture, original, path)
    if kept or not np.array_equal(picture.colour, original.colour):
        return None
    return f"{form.name} coded its pixels anew, at quality {form.saving['quality']}: .png would keep them"


def _recoded(picture: Picture, coded: bytes, form: Format) -> bytes:
    """A JPEG with the coded data of another and the picture's metadata, for its stored orientation and colours."""
    said, headers = picture.coded or Coded(), io.BytesIO()
    if said.orientation >= 5:
        picture = replace(picture, colour=picture.colour.swapaxes(0, 1), metadata=dict(picture.metadata))
        turn(picture.metadata)
    picture = picture.sized() if said.converted else coloured(picture.sized(), form)
    own = metadata.turned(picture.metadata, said.orientation)
    if said.converted:
        own = metadata.unsaid(own, said.converted) | {"icc_profile": said.profile}
    codec(form).write(replace(picture, colour=picture.colour[:1, :1], metadata=own), headers, form.saving)
    return jpeg.with_headers(coded, headers.getvalue())


def probe(folder: Path) -> None:
    """Checks that a folder is writable, by making an empty temporary file.

    Raises:
        OSError: the folder is not writable.
    """
    with tempfile.TemporaryFile(dir=folder):
        pass


def _sizes(path: Path) -> list[tuple[int, int]]:
    return codec_for(path).sizes(path)


def _read(path: Path, keep: bool) -> Picture:
    return codec_for(path).read(path, keep)


def _of(path: Path, function: Callable[..., T], *arguments: bool) -> T:
    """Reads a file with a decoder, in another process within `apart.inside`; any failure becomes one line."""
    try:
        return apart.call(_decoded, function, apart.place(path), *arguments)
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None


def _decoded(function: Callable[..., T], path: Path, *arguments: bool) -> T:
    try:
        _check_file(path)
        with warnings.catch_warnings():
            # Pillow warns of large images at half our limit and about odd tags; our own checks speak instead.
            warnings.simplefilter("ignore")
            return function(path, *arguments)
    except Exception as error:
        raise PellucidError(" ".join(_line(error).split())) from None


def _check_file(path: Path) -> None:
    """Rejects pipes and the like, whose reading might never end, and files without a byte."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise PellucidError("there is no such file") from None
        raise PellucidError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if stat.S_ISDIR(found.st_mode):
        raise PellucidError("is a folder, not an image: name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise PellucidError("is a pipe or a device, not a file")
    if not found.st_size:
        raise PellucidError("is empty: copy it again")


def _line(error: Exception) -> str:
    if isinstance(error, PellucidError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than the {MAX_PIXELS / 1e6:.0f} megapixels allowed: cut it into parts"
    if isinstance(error, UnidentifiedImageError):
        return "is no image (or one of a kind that cannot be read)"
    if isinstance(error, MemoryError):
        return "does not fit into memory"
    if isinstance(error, OSError) and error.strerror is not None:
        return f"cannot be read ({error.strerror})"
    # Words such as "list index out of range" are about the decoder, not about the file.
    said = f" ({error})" if isinstance(error, OSError | SyntaxError | ValueError) and str(error) else ""
    return f"is damaged, not all of it can be read{said}: copy it again"
