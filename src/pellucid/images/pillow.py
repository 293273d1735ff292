"""Codecs of Pillow's formats; 16-bit colour in PNG, which it would halve, goes another way."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageOps, PngImagePlugin, features

from ..errors import PellucidError
from . import png
from .formats import check_room, check_size, kind_of
from .metadata import segment
from .picture import Picture
from .pil import from_pil, jpeg_coding, orientation, to_pil, transparent

# A megabyte is little for what programs write into a text, or for a profile; all texts together are limited, too.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

# Not all that Pillow knows: its EPS runs a program.
_KINDS = ("PNG", "JPEG", "WEBP", "BMP", "AVIF", "GIF", "JPEG2000", "PPM")


def sizes(path: Path) -> list[tuple[int, int]]:
    """See `formats.Codec`."""
    with opened(path, _KINDS) as image:
        return [size_of(image)]


def read(path: Path, keep: bool = False) -> Picture:
    """See `formats.Codec`; of those that are cut off, JPEGs are kept."""
    with opened(path, _KINDS) as image:
        if keep and image.format in ("JPEG", "MPO"):
            return _kept(path, image)
        if _depth(path, image) > 8 and not image.mode.startswith("I"):
            if image.format != "PNG":
                raise PellucidError("is deeper than the 8 bits that can be read of its kind: convert it to 16-bit TIFF")
            return png.read(path, image)
        if image.mode.startswith("I") and transparent(image) is not None:
            png.codecs()  # which alone writes it
        return decoded(image)


def _kept(path: Path, image: Image.Image) -> Picture:
    """A JPEG, whole or cut off; what is missing is grey."""
    try:
        return decoded(image)
    except OSError as error:
        if "truncated" not in str(error):
            raise
    # With an end behind what there is, the decoder takes the rest for grey.
    with Image.open(io.BytesIO(path.read_bytes() + b"\xff\xd9" * 2), formats=["JPEG"]) as whole:
        return decoded(whole).noted("the file is cut off: what is missing of it was taken for grey")


def write(picture: Picture, file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """See `formats.Codec`."""
    if saving["format"] == "PNG" and kind_of(picture) == "16-bit colour":
        return png.write(picture, file)
    return save(to_pil(picture), picture.metadata, file, saving)


def save(image: Image.Image, metadata: Mapping[str, Any], file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """Writes a Pillow image with as much of the metadata as one of Pillow's formats holds."""
    kept = {key: metadata[key] for key in ("icc_profile", "exif", "xmp", "dpi") if key in metadata}
    if saving["format"] == "PNG":
        kept["pnginfo"] = _texts(metadata)
    elif saving["format"] == "JPEG":
        kept["comment"] = metadata.get("comment", b"")
        kept["extra"] = segment(metadata["iptc"]) if "iptc" in metadata else b""
    if saving["format"] == "AVIF" and not features.check("avif"):
        raise PellucidError("this Pillow has no AVIF: pip install -U 'pillow>=11.3'")
    shape = metadata.get("chunks", {}).get(b"pHYs") if saving["format"] == "PNG" else None
    if shape is None:
        image.save(file, **saving, **kept)
        return
    # Pillow writes this chunk with a unit alone.
    whole = io.BytesIO()
    image.save(whole, **saving, **kept)
    file.write(png.with_chunk(whole.getvalue(), b"pHYs", shape))


def _texts(metadata: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """Texts of a PNG."""
    texts = PngImagePlugin.PngInfo()
    if "xmp" in metadata:
        texts.add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode("utf-8", "replace"))
    said = metadata.get("texts", {})
    if "comment" in metadata and "Comment" not in said:
        texts.add_text("Comment", metadata["comment"].decode("utf-8", "replace"))
    for key, text in said.items():
        texts.add_text(key, text)
    for kind, content in metadata.get("chunks", {}).items():
        if kind != b"pHYs" and not (kind == b"sRGB" and "icc_profile" in metadata):
            texts.add(kind, content)
    return texts


@contextlib.contextmanager
def opened(path: Path, kinds: tuple[str, ...]) -> Iterator[Image.Image]:
    """Opens a file by its header alone and refuses what must not be decoded."""
    Image.init()
    _check_head(path)
    with Image.open(path, formats=[kind for kind in kinds if kind in Image.OPEN]) as image:
        check_size((image.height, image.width))
        check_room(str(image.format), (image.height, image.width))
        # MPO is what phones write: a JPEG whose further images are previews or depth.
        if (frames := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
            raise PellucidError(f"holds {frames} images: split it into single ones first")
        yield image


_HEAD = 1 << 16
"""Bytes that the header of a PPM may take."""


def _check_head(path: Path) -> None:
    """Refuses a PPM whose header does not end soon: Pillow reads its comments byte by byte."""
    with path.open("rb") as file:
        if not re.fullmatch(rb"P[1-6]\s|P[1-6]#", file.read(3)):
            return
        file.seek(2)
        head = file.read(_HEAD)
    words = b" ".join(line.partition(b"#")[0] for line in head.split(b"\n")).split()
    if len(words) < 3 and len(head) == _HEAD:
        raise PellucidError(f"is no image, or its header is longer than {_HEAD} bytes")


def size_of(image: Image.Image) -> tuple[int, int]:
    """Height and width of an image that is not decoded yet, upright."""
    # Orientations 5 to 8 swap the sides. In PNG Pillow would decode the whole image to look for EXIF behind it, where
    # hardly anybody puts it.
    told = image.format != "PNG" or "exif" in image.info
    turned = told and orientation(image) >= 5
    return (image.width, image.height) if turned else (image.height, image.width)


def decoded(image: Image.Image) -> Picture:
    """The picture of an opened image, upright."""
    key = transparent(image)
    image.load()
    if isinstance(image, PngImagePlugin.PngImageFile):
        # Where copies have them; some come behind the pixels.
        image.info["texts"] = dict(image.text)
        if image.filename:
            image.info["chunks"] = png.colours(Path(os.fsdecode(image.filename)))
    further = getattr(image, "n_frames", 1) - 1 if image.format == "MPO" else 0
    note = f"{further} further images in the file (previews, depth, gain maps) were left out" if further > 0 else None
    picture = replace(from_pil(upright(image), key), jpeg=jpeg_coding(image, upright=True)).noted(note)
    name = getattr(image, "filename", "")
    if image.format in ("JPEG", "MPO") and name and "video" not in (picture.note or ""):
        return picture.noted(_VIDEO if _has_video(Path(os.fsdecode(name)).read_bytes()) else None)
    return picture


_VIDEO = "the video behind it was left out"
_BRANDS = (b"isom", b"iso2", b"mp41", b"mp42", b"qt  ", b"avc1", b"3gp4", b"3gp5")


def _has_video(content: bytes) -> bool:
    """Whether a film follows the end of a JPEG, as phones put it there, with or without a word in its metadata."""
    place = content.find(b"ftyp")
    while place >= 0:
        # The box that an MP4 begins with: its length, its kind, its brand.
        length = int.from_bytes(content[place - 4 : place], "big") if place >= 4 else 0
        if 16 <= length <= 256 and content[place + 4 : place + 8] in _BRANDS and b"\xff\xd9" in content[: place - 4]:
            return True
        place = content.find(b"ftyp", place + 4)
    return False


def upright(image: Image.Image) -> Image.Image:
    """Applies and resets the EXIF orientation; where EXIF cannot be read, there is none."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are sound
        return image


def _depth(path: Path, image: Image.Image) -> int:
    """Bits per channel from the header: Pillow reads deep colours as 8-bit and does not say so."""
    if image.format == "PPM":
        arguments = image.tile[0][3]  # type: ignore[attr-defined]
        return int(arguments[-1]).bit_length() if isinstance(arguments, tuple) and len(arguments) > 1 else 8
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if image.format == "PNG":
        return head[24]
    if image.format == "AVIF":
        bits = re.search(rb"pixi.{5}(.)", head, re.DOTALL)
        return bits[1][0] if bits else 8
    if image.format == "JPEG2000":
        bits = re.search(rb"\xff\x4f\xff\x51.{38}(.)", head, re.DOTALL)
        return (bits[1][0] & 127) + 1 if bits else 8
    return 8
