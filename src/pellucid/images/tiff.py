"""TIFF of any depth and number of pages: Pillow reads 8 bits; tifffile reads the rest and writes all."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from PIL import ExifTags, Image, TiffImagePlugin, TiffTags

from ..errors import PellucidError, on_page
from . import metadata
from .formats import check_room, check_size
from .picture import Picture, bound, from_array, upright
from .pil import from_pil
from .pillow import turn

# What it has to say of broken files, ours says.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

MAX_PAGES = 5000
"""Number of pages above which a file is rejected unread."""

_WRITTEN_APART = {282, 283, 296, *metadata.PARTS}


def sizes(path: Path) -> list[tuple[int, int]]:
    """See `formats.Codec`."""
    with tifffile.TiffFile(path) as tiff:
        return [_size(page) for page in _pages(tiff)]


def read(path: Path, keep: bool = False) -> Picture:
    """See `formats.Codec`; reduced pages, which are previews, are skipped."""
    with tifffile.TiffFile(path) as tiff:
        pages = _pages(tiff)
        # Pillow goes from page to page once, and not from the first to each.
        with contextlib.ExitStack() as opened, path.open("rb") as file:

            def by_pillow(index: int) -> Picture:
                if not seen:
                    # Not by its name: Pillow then maps the file, and one that lies on its side comes out scrambled.
                    stored = opened.enter_context(path.open("rb"))
                    seen.append(opened.enter_context(Image.open(stored, formats=["TIFF"])))
                return _by_pillow(seen[0], index)

            seen: list[Image.Image] = []
            pictures: list[Picture] = []
            for number, page in enumerate(pages, 1):
                with on_page(number, len(pages)):
                    pictures.append(_read(file, page, by_pillow))
            return bound(pictures)


def write(picture: Picture, file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """See `formats.Codec`. Written without loss."""
    tags = [metadata.load(page.metadata) for page in picture.pages]
    metadata.make_true(tags[0], [page.pixels.shape for page in picture.pages])
    with tifffile.TiffWriter(file, byteorder="<") as writer:
        for page, exif in zip(picture.pages, tags, strict=True):
            resolution, unit = _resolution_of(page)
            apart = {700: page.metadata.get("xmp"), metadata.IPTC: page.metadata.get("iptc")}
            extra = [(tag, 1, len(said), said, True) for tag, said in apart.items() if said and tag not in exif]
            writer.write(
                page.pixels,
                photometric="rgb" if page.colour.shape[2] == 3 else "minisblack",
                planarconfig="contig" if page.pixels.ndim == 3 else None,
                extrasamples=["unassalpha"] if page.alpha is not None else None,
                compression="adobe_deflate",
                iccprofile=page.metadata.get("icc_profile"),
                resolution=resolution,
                resolutionunit=unit,
                metadata=None,
                software=False,
                extratags=[*_tags(exif), *extra],
            )
    _write_parts(file, tags)


def _pages(tiff: tifffile.TiffFile) -> list[Any]:
    found: list[Any] = []
    for page in tiff.pages:
        found.append(page)
        if len(found) > MAX_PAGES:
            raise PellucidError(f"has more than {MAX_PAGES} pages: split it first")
    pages = [page for page in found if not page.is_reduced] or found[:1]
    if pages[0].is_reduced and pages[0].subifds:
        raise PellucidError("shows a preview alone, as raw files do: name it as its camera does (.dng, .nef, .cr2)")
    if len(found) == 1 and (claimed := _claimed(tiff)) > 1:
        raise PellucidError(f"holds {claimed} images but the place of only one: save each as a separate page")
    sizes = [_size(page) for page in pages]
    check_size(*sizes)
    stored = max(page.samplesperpixel * (page.dtype.itemsize if page.dtype else 1) for page in pages)
    check_room("TIFF", *sizes, stored=stored)
    for page in pages:
        if page.is_tiled:
            check_size((page.tilelength, page.tilewidth))
    return pages


def _claimed(tiff: tifffile.TiffFile) -> int:
    """Number of images in a file with a single directory for all, as ImageJ and tifffile write long stacks."""
    if not (tiff.is_imagej or tiff.is_shaped):
        return 1
    try:
        # Further samples of a page are no further images.
        return round(tiff.series[0].size / tiff.pages.first.size)
    except (ValueError, TypeError, KeyError, IndexError, ZeroDivisionError):
        return 1  # a description that is nonsense


def _size(page: Any) -> tuple[int, int]:
    size = int(page.imagelength), int(page.imagewidth)
    return (size[1], size[0]) if _orientation(page) >= 5 else size


def _orientation(page: Any) -> int:
    return int(page.tags.valueof(274, default=1))


def _read(file: IO[bytes], page: Any, by_pillow: Callable[[int], Picture]) -> Picture:
    if page.dtype is not None and page.dtype.kind not in "ufb":
        raise PellucidError(f"{page.dtype} TIFF cannot be restored: convert it to uint16, without signs")
    if (page.photometric, page.compression) == (tifffile.PHOTOMETRIC.YCBCR, tifffile.COMPRESSION.NONE):
        raise PellucidError("YCbCr TIFF without compression cannot be read: convert it to RGB")
    if page.imagedepth != 1:
        raise PellucidError(f"has {page.imagedepth} slices in a page: save each as a separate page")
    grey = page.samplesperpixel == 1 and page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
    # Pillow leaves out a channel that nobody has said is transparency.
    known = page.dtype != np.uint8 or tifffile.EXTRASAMPLE.UNSPECIFIED not in page.extrasamples
    if page.dtype is None or (page.dtype.itemsize == 1 and known) or (page.dtype == np.uint16 and grey):
        picture = by_pillow(page.index)
    else:
        picture = from_array(upright(_deep(page), _orientation(page)))
    resolution = _resolution(page)
    file.seek(0)
    said = {"icc_profile": page.iccprofile, "xmp": page.tags.valueof(700), "iptc": page.tags.valueof(metadata.IPTC)}
    kept, note = metadata.of_tiff(file, page.offset, resolution.pop("dpi", None), **said)
    kept |= resolution
    if "icc_profile" in picture.metadata:
        kept["icc_profile"] = picture.metadata["icc_profile"]  # a conversion may have changed it
    notes = [said for said in (picture.note, note) if said]
    return replace(picture, metadata=kept, note="; ".join(notes) or None)


def _resolution(page: Any) -> dict[str, Any]:
    """`dpi` of an upright page; without a unit, the shape of its pixels, as `chunks` of a PNG have it."""
    if 282 not in page.tags:
        return {}
    found: dict[str, Any] = {}
    if page.tags.valueof(296, default=tifffile.RESUNIT.INCH) != tifffile.RESUNIT.NONE:
        found["dpi"] = page.get_resolution("INCH")
    elif shape := _shape(*page.get_resolution()):
        found["chunks"] = {b"pHYs": shape}
    if _orientation(page) >= 5:
        turn(found)
    return found


def _shape(across: float, down: float) -> bytes | None:
    """A pHYs chunk without a unit; None for square pixels without a number, and for nonsense."""
    if (across, down) == (1, 1) or not all(1e-3 < one < 1e6 for one in (across, down)):
        return None
    parts = [Fraction(one).limit_denominator(1000) for one in (across, down)]
    common = math.lcm(*(part.denominator for part in parts))
    return struct.pack(">IIB", *(int(part * common) for part in parts), 0)


def _resolution_of(page: Picture) -> tuple[tuple[float, float] | None, str | None]:
    """Resolution of a page and its unit, as tifffile takes them."""
    if dpi := page.metadata.get("dpi"):
        return dpi, "INCH"
    if shape := page.metadata.get("chunks", {}).get(b"pHYs"):
        return struct.unpack(">II", shape[:8]), "NONE"
    return None, None


def _by_pillow(image: Image.Image, index: int) -> Picture:
    image.seek(index)
    check_size((image.height, image.width))
    image.load()  # Pillow applies the orientation of TIFF
    return from_pil(image)


def _deep(page: Any) -> np.ndarray[Any, Any]:
    """Pixels as stored, (H, W) or (H, W, C)."""
    if page.dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64) or page.bitspersample % 8:
        raise PellucidError(f"{page.bitspersample}-bit {page.dtype} TIFF cannot be restored: convert it to 16-bit")
    kind = page.photometric
    if kind not in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE):
        name = getattr(kind, "name", kind)
        raise PellucidError(f"{page.dtype} {name} cannot be restored: convert it to RGB")
    channels = page.samplesperpixel - (3 if kind == tifffile.PHOTOMETRIC.RGB else 1)
    if channels not in (0, 1):
        raise PellucidError(f"has {page.samplesperpixel} channels: convert it to RGB")
    if tifffile.EXTRASAMPLE.ASSOCALPHA in page.extrasamples:
        raise PellucidError("its colours are premultiplied by its transparency: convert it to straight alpha")
    try:
        pixels: np.ndarray[Any, Any] = page.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise PellucidError(f'its compression needs imagecodecs: pip install "pellucid[deep]" ({error})') from None
        raise
    if page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        pixels = np.moveaxis(pixels, 0, -1)
    if kind == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = (1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max) - pixels
    return pixels


def _tags(exif: Image.Exif) -> Iterator[tuple[int, int, int, Any, bool]]:
    """Tags for tifffile, with room for the offsets of further parts."""
    content = exif.tobytes()[6:]
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        for tag in tiff.pages.first.tags:
            if tag.code not in _WRITTEN_APART:
                # Texts as they are: nobody knows how they are encoded.
                text = content[tag.valueoffset : tag.valueoffset + tag.valuebytecount]
                yield tag.code, tag.dtype, tag.count, text if tag.dtype == tifffile.DATATYPE.ASCII else tag.value, True
    for part in metadata.PARTS:
        if part in exif:
            yield part - 1, 4, 1, 0, True  # tifffile does not write the tag itself; `_write_parts` makes it that


def _write_parts(file: IO[bytes], tags: list[Image.Exif]) -> None:
    """Appends parts that tifffile cannot write: EXIF's directories of the camera and of the place."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        for page, exif in zip(tiff.pages, tags, strict=True):
            for part in metadata.PARTS:
                if part not in exif:
                    continue
                offset = file.seek(0, io.SEEK_END)
                offset += offset % 2
                directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
                for tag, value in exif.get_ifd(part).items():
                    directory[tag] = exif.get_ifd(tag) if tag == ExifTags.IFD.Interop else value
                    if (kind := _kind_of(value)) and directory.tagtype[tag] not in kind:
                        directory.tagtype[tag] = kind[0]
                content = directory.tobytes(offset)
                file.seek(offset)
                file.write(content)
                tag = page.tags[part - 1].overwrite(offset)
                file.seek(tag.offset)
                file.write(struct.pack("<H", part))


def _kind_of(value: object) -> tuple[int, ...]:
    """Types in which a tag's text or fraction can be written; empty for other values.

    Pillow takes the type that is usual for the tag's number, which in a damaged file may be another tag's.
    """
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(value, str):
        return (TiffTags.ASCII,)
    if not any(isinstance(one, float | TiffImagePlugin.IFDRational) for one in values):
        return ()
    signed = any(one < 0 for one in values)
    usual = TiffTags.SIGNED_RATIONAL if signed else TiffTags.RATIONAL
    return (usual, TiffTags.FLOAT, TiffTags.DOUBLE, *(() if signed else (TiffTags.SIGNED_RATIONAL,)))
