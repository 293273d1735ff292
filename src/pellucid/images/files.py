"""Reading and writing image files: equal in, equal out, whole or not at all."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import PellucidError
from .atomic import replacing
from .picture import JpegCoding, Picture, from_array, from_pil, to_pil, turns

MAX_PIXELS = 150_000_000
"""Larger images are refused on their header, before anything is decoded."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Formats that are written; most others that Pillow knows can be read."""

_SAVING: dict[str, dict[str, Any]] = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
    ".tif": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    ".bmp": {"format": "BMP"},
}


def size_of(path: Path) -> tuple[int, int]:
    """Height and width from the file's header, as it will be read (orientation applied).

    Raises:
        PellucidError: as for `read`, as far as the header tells.
    """
    with _opened(path) as image, _decoding(path):
        width, height = image.size
        # Orientations 5 to 8 swap the sides. For TIFF Pillow has done so already; in PNG it would decode the whole
        # image to look for EXIF behind it, where hardly anybody puts it.
        told = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
        turned = told and image.getexif().get(0x0112, 1) >= 5
    return (width, height) if turned else (height, width)


def read(path: Path) -> Picture:
    """Reads a file whole: 8-bit grey, RGB and palette with or without alpha, 16-bit grey, and 16-bit colour from TIFF.

    The EXIF orientation is applied and reset; EXIF, ICC profile and resolution are kept in the picture's metadata.

    Raises:
        PellucidError: there is no such file, it is no image, damaged, too large, several images in one, or of a kind
            that would not come back as it was.
    """
    with _opened(path) as image:
        deep = _deep_tiff(path) if image.format == "TIFF" else None
        if deep is not None:
            return deep
        with _decoding(path):
            image.load()
            return replace(from_pil(ImageOps.exif_transpose(image)), jpeg=_jpeg_coding(image))


def write(picture: Picture, path: Path) -> None:
    """Writes a file in the format of its suffix, atomically: whole under its name, or nothing.

    PNG, TIFF, BMP and WebP are written without loss, JPEG at quality 95 with full colour resolution.

    Raises:
        PellucidError: the format cannot hold the picture, or the place cannot be written to.
    """
    check_holds(picture, path)
    saving = _SAVING[path.suffix.lower()]
    try:
        with replacing(path) as file:
            if _is_deep(picture):
                _write_deep(picture, file)
            else:
                to_pil(picture).save(file, **saving, **picture.metadata)
    except OSError as error:
        raise PellucidError(f"{path}: cannot be written ({error.strerror or error})") from None


def check_holds(picture: Picture, path: Path) -> None:
    """Refuses a file whose format cannot hold the picture without loss.

    Raises:
        PellucidError: the suffix is no format that can be written, or that format lacks depth or transparency.
    """
    check_suffix(path)
    kind = _SAVING[path.suffix.lower()]["format"]
    if picture.alpha is not None and kind in ("JPEG", "BMP"):
        raise PellucidError(f"{path}: {kind} has no transparency: name the output .png, .webp or .tif")
    if _is_deep(picture) and kind != "TIFF":
        raise PellucidError(f"{path}: 16-bit colour is written as TIFF only: name the output .tif")
    if picture.colour.dtype == np.uint16 and kind not in ("TIFF", "PNG"):
        raise PellucidError(f"{path}: {kind} has no 16-bit grey: name the output .png or .tif")


def _is_deep(picture: Picture) -> bool:
    """Whether it has 16 bits in several channels, which Pillow cannot hold."""
    return picture.colour.dtype == np.uint16 and picture.pixels.ndim == 3


def check_suffix(path: Path) -> None:
    """Refuses a name whose suffix is no format that can be written.

    Raises:
        PellucidError: it is not.
    """
    if path.suffix.lower() not in _SAVING:
        raise PellucidError(f"{path}: cannot write {path.suffix or 'without a suffix'}: use {', '.join(SUFFIXES)}")


def probe(folder: Path) -> None:
    """Finds out whether a file can be made in a folder, by making an empty one without a name that stays.

    Raises:
        OSError: it cannot.
    """
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Opens a file by its header alone and refuses what must not be decoded."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images at half our limit and about odd tags; our own checks speak instead.
            warnings.simplefilter("ignore")
            image = Image.open(path)
    except FileNotFoundError:
        raise PellucidError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise PellucidError(f"{path}: is a folder, not an image") from None
    except Image.DecompressionBombError:
        raise PellucidError(f"{path}: is larger than {MAX_PIXELS / 1e6:.0f} megapixels") from None
    except UnidentifiedImageError:
        raise PellucidError(f"{path}: is no image (or one of a kind that cannot be read)") from None
    except (OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
        raise PellucidError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PellucidError(
                f"{path}: has {width * height / 1e6:.0f} megapixels, more than the {MAX_PIXELS / 1e6:.0f} allowed"
            )
        # MPO is what phones write: a JPEG whose further images are previews or depth.
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise PellucidError(f"{path}: holds {image.n_frames} images: split it into single ones first")  # type: ignore[attr-defined]
        if image.format == "PNG" and _png_depth(path) == 16 and not image.mode.startswith("I"):
            raise PellucidError(f"{path}: 16-bit colour PNG would lose half its depth: convert it to 16-bit TIFF")
        yield image


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Makes whatever a broken file provokes in its decoder one clear line."""
    try:
        yield
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
        raise PellucidError(f"{path}: is damaged, not all of it can be read ({error})") from None


def _png_depth(path: Path) -> int:
    """Bits per channel from a PNG's header: Pillow reads 16-bit colour as 8-bit and does not say so."""
    with path.open("rb") as file:
        return file.read(25)[24]


def _jpeg_coding(image: Image.Image) -> JpegCoding | None:
    """What a JPEG's header says of its compression; None for other formats and for colours that are not YCbCr."""
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return None
    if image.mode == "RGB" and image.info.get("adobe_transform") == 0:
        return None
    # Each component: name, its share of columns and rows, number of its table.
    components: list[tuple[int, int, int, int]] = image.layer  # type: ignore[attr-defined]
    stored: dict[int, list[int]] = image.quantization  # type: ignore[attr-defined]
    tables = tuple(tuple(stored[table]) for *_, table in components[:2])
    (_, columns, rows, _), (_, few_columns, few_rows, _) = components[0], components[-1]
    return JpegCoding(tables, (rows // few_rows, columns // few_columns), image.getexif().get(0x0112, 1))


def _deep_tiff(path: Path) -> Picture | None:
    """A TIFF of 16-bit colour, which Pillow would read as 8-bit; None for every other kind."""
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            if page.dtype != np.uint16 or page.samplesperpixel not in (3, 4):
                if page.dtype is not None and page.dtype not in (np.uint8, np.uint16, np.bool_):
                    raise PellucidError(f"{path}: {page.dtype} TIFF cannot be restored yet: convert it to 16-bit")
                return None
            if page.photometric != tifffile.PHOTOMETRIC.RGB:
                raise PellucidError(f"{path}: 16-bit {page.photometric.name} cannot be restored: convert it to RGB")
            pixels = page.asarray()
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                pixels = np.moveaxis(pixels, 0, -1)
            metadata = {"icc_profile": page.iccprofile} if page.iccprofile else {}
            if "XResolution" in page.tags:
                metadata["dpi"] = tuple(page.get_resolution("INCH"))
            orientation = page.tags.valueof("Orientation", default=1)
    except PellucidError:
        raise
    except Exception as error:  # tifffile raises whatever a broken file provokes
        raise PellucidError(f"{path}: is damaged, not all of it can be read ({error})") from None
    return from_array(_upright(pixels, int(orientation)), metadata)


def _upright(pixels: np.ndarray[Any, Any], orientation: int) -> np.ndarray[Any, Any]:
    """Applies a TIFF or EXIF orientation, 1 to 8."""
    swapped, rows, columns = turns(orientation)
    if swapped:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])


def _write_deep(picture: Picture, file: IO[bytes]) -> None:
    dpi = picture.metadata.get("dpi")
    tifffile.imwrite(
        file,
        picture.pixels,
        photometric="rgb",
        extrasamples=["unassalpha"] if picture.alpha is not None else None,
        compression="adobe_deflate",
        iccprofile=picture.metadata.get("icc_profile"),
        resolution=dpi,
        resolutionunit="INCH" if dpi else None,
        metadata=None,
    )
