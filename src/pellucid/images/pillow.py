"""Codecs of Pillow's formats; 16-bit colour in PNG, which Pillow halves, goes elsewhere."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from PIL import ExifTags, Image, ImageOps, PngImagePlugin, features

from ..errors import PellucidError
from . import jpeg, png
from .colours import numbered
from .formats import check_room, check_size, kind_of
from .metadata import segment
from .picture import Coded, Picture
from .pil import from_pil, jpeg_coding, orientation, to_pil, transparent

# A megabyte is little for what programs write into a text, or for a profile; all texts together are limited, too.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

# Not all that Pillow knows: its EPS runs a program.
_KINDS = ("PNG", "JPEG", "WEBP", "BMP", "AVIF", "GIF", "JPEG2000", "PPM")


def sizes(path: Path) -> list[tuple[int, int]]:
    """See `formats.Codec`."""
    with opened(path, _KINDS) as image:
        return [size_of(image)]


_LACKING = "is damaged, some of its data are missing: the rest is read by pellucid restore --damaged-files keep"


def read(path: Path, keep: bool = False) -> Picture:
    """See `formats.Codec`; truncated JPEGs can be kept."""
    with opened(path, _KINDS) as image:
        if image.format in ("JPEG", "MPO"):
            return _kept(path, image) if keep else _complete(image)
        if _depth(path, image) > 8 and not image.mode.startswith("I"):
            if image.format != "PNG":
                raise PellucidError("is deeper than the 8 bits that can be read of its kind: convert it to 16-bit TIFF")
            return png.read(path, image)
        if image.format == "PPM":
            note = _behind_ppm(path, image)
            image.load()
            # Pillow decodes 16 bits to 32, on the scale of 16.
            return from_pil(image.convert("I;16") if image.mode == "I" else image).noted(note)
        if image.mode.startswith("I") and transparent(image) is not None:
            png.codecs()  # which alone writes it
        return decoded(image)


def _complete(image: Image.Image) -> Picture:
    """Decodes a JPEG; rejects one with missing data."""
    try:
        return decoded(image)
    except OSError as error:
        raise PellucidError(_LACKING) if _truncated(error) else error from None


def _truncated(error: OSError) -> bool:
    return "truncated" in str(error)


def _kept(path: Path, image: Image.Image) -> Picture:
    """Decodes a JPEG, whole or with missing data; the missing part is grey."""
    try:
        return decoded(image, keep=True)
    except OSError as error:
        if not _truncated(error):
            raise
    # With an end behind what there is, the decoder takes the rest for grey.
    with Image.open(io.BytesIO(path.read_bytes() + b"\xff\xd9" * 2), formats=["JPEG"]) as whole:
        return decoded(whole).noted("the file is truncated: the missing part was made grey")


def write(picture: Picture, file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """See `formats.Codec`."""
    if saving["format"] == "PNG" and kind_of(picture) == "16-bit colour":
        return png.write(picture, file)
    return save(to_pil(picture), picture.metadata, file, saving)


def save(image: Image.Image, metadata: Mapping[str, Any], file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """Writes a Pillow image with as much metadata as its format can store."""
    kept = {key: metadata[key] for key in ("icc_profile", "exif", "xmp", "dpi") if key in metadata}
    if saving["format"] == "PNG":
        kept["pnginfo"] = _texts(metadata)
    elif saving["format"] == "JPEG":
        kept["comment"] = metadata.get("comment", b"")
        kept["extra"] = segment(metadata["iptc"]) if "iptc" in metadata else b""
    if saving["format"] == "AVIF" and not features.check("avif"):
        raise PellucidError("this Pillow has no AVIF: pip install -U 'pillow>=11.3'")
    shape = metadata.get("chunks", {}).get(b"pHYs")
    if shape is None or saving["format"] not in ("PNG", "JPEG"):
        image.save(file, **saving, **kept)
        return
    # Pillow writes it with a unit alone.
    whole = io.BytesIO()
    image.save(whole, **saving, **kept)
    content = whole.getvalue()
    if saving["format"] == "PNG":
        file.write(png.with_chunk(content, b"pHYs", shape))
        return
    width, height, _ = struct.unpack(">IIB", shape)
    told = content[6:11] == b"JFIF\0" and max(width, height) < 1 << 16
    file.write(content[:13] + struct.pack(">BHH", 0, width, height) + content[18:] if told else content)


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
    """Opens a file by its header alone and rejects forbidden ones."""
    Image.init()
    _check_head(path)
    with _opened(path, [kind for kind in kinds if kind in Image.OPEN]) as image:
        check_size((image.height, image.width))
        check_room(str(image.format), (image.height, image.width))
        # MPO is what phones write: a JPEG whose further images are previews or depth.
        if (frames := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
            raise PellucidError(f"holds {frames} images: split it into single ones first")
        yield image


def _opened(path: Path, kinds: list[str]) -> Image.Image:
    """Opens a file; a PNG without its damaged chunks, if its pixels do not need them."""
    try:
        return Image.open(path, formats=kinds)
    except Exception:
        sound, lost = png.sound_chunks(path) if "PNG" in kinds else (b"", "")
        if not lost:
            raise
        image = Image.open(io.BytesIO(sound), formats=["PNG"])
        image.filename, image.info["lost"] = str(path), lost
        return image


_HEAD = 1 << 16
"""Largest size of a PPM's header in bytes."""


def _check_head(path: Path) -> None:
    """Rejects a PPM with a long header, since Pillow reads comments byte by byte."""
    with path.open("rb") as file:
        if not re.fullmatch(rb"P[1-6]\s|P[1-6]#", file.read(3)):
            return
        file.seek(2)
        head = file.read(_HEAD)
    words = b" ".join(line.partition(b"#")[0] for line in head.split(b"\n")).split()
    if len(words) < 3 and len(head) == _HEAD:
        raise PellucidError(f"is no image, or its header is longer than {_HEAD} bytes")


def _behind_ppm(path: Path, image: Image.Image) -> str | None:
    """Note on bytes behind the pixels of a PPM.

    Raises:
        PellucidError: these are further images.
    """
    _, _, offset, arguments = image.tile[0]  # type: ignore[attr-defined]
    row = -(-image.width // 8) if image.mode == "1" else image.width * len(image.getbands())
    deep = image.mode == "I" or (isinstance(arguments, tuple) and arguments[-1] > _BYTE)
    with path.open("rb") as file:
        plain = file.read(2) in (b"P1", b"P2", b"P3")
        file.seek(offset if plain else offset + image.height * row * (2 if deep else 1))
        rest = file.read()
    if re.search(rb"\sP[1-7]\s", rest) if plain else re.match(rb"\s*P[1-7]\s", rest):
        raise PellucidError("holds more than one image: split it into single ones first")
    size = 0 if plain else len(rest.strip(b"\0\r\n "))
    return f"{len(rest)} bytes behind its end were left out" if size > _TRIFLE else None


_BYTE = 255


def size_of(image: Image.Image) -> tuple[int, int]:
    """Height and width of an image before decoding, upright."""
    # Orientations 5 to 8 swap the sides. In PNG Pillow would decode the whole image to look for EXIF behind it, where
    # hardly anybody puts it.
    told = image.format != "PNG" or "exif" in image.info
    turned = told and orientation(image) >= 5
    return (image.width, image.height) if turned else (image.height, image.width)


def decoded(image: Image.Image, *, keep: bool = False) -> Picture:
    """Makes an upright picture of an opened image.

    Args:
        image: the image.
        keep: whether to accept a JPEG with missing data.
    """
    key = transparent(image)
    image.load()
    name = getattr(image, "filename", "")
    path = Path(os.fsdecode(name)) if name else None
    lacking = None
    if image.format in ("JPEG", "MPO") and path is not None and jpeg.lacks(path, image):
        if not keep:
            raise PellucidError(_LACKING)
        lacking = "some of the file's data are missing: that part was made grey"
    unknown = _tell_jpeg(image) if image.format in ("JPEG", "MPO") else None
    if image.format in ("AVIF", "HEIF") and "icc_profile" not in image.info:
        image.info["chunks"] = _numbers(path, image)
    if isinstance(image, PngImagePlugin.PngImageFile):
        # Where copies have them; some come behind the pixels.
        image.info["texts"] = dict(image.text)
        if path is not None:
            image.info["chunks"], unknown = png.colour_chunks(path)
    further = getattr(image, "n_frames", 1) - 1 if image.format == "MPO" else 0
    note = f"{further} further images in the file (previews, depth, gain maps) were left out" if further > 0 else None
    if orientation(image) >= 5:
        turn(image.info)
    picture = from_pil(upright(image), key)
    coded = None
    if image.format in ("JPEG", "MPO") and path is not None and lacking is None:
        coded = replace(picture.coded or Coded(), orientation=orientation(image))
    picture = replace(picture, jpeg=jpeg_coding(image, upright=True), coded=coded).noted(lacking, note, unknown)
    if image.format in ("JPEG", "MPO") and path is not None and "video" not in (picture.note or ""):
        return picture.noted(_behind(path, further))
    return picture


def turn(info: dict[Any, Any]) -> None:
    """Swaps columns and rows in Pillow's `info`, or in a picture's metadata: the resolution and the shape of pixels."""
    if isinstance(dpi := info.get("dpi"), tuple) and len(dpi) == 2:
        info["dpi"] = dpi[::-1]
    chunks = info.get("chunks", {})
    if b"pHYs" in chunks:
        info["chunks"] = chunks | {b"pHYs": chunks[b"pHYs"][4:8] + chunks[b"pHYs"][:4] + chunks[b"pHYs"][8:]}


_PATHS = range(2000, 2999)
"""Photoshop's resources that are paths."""


def _tell_jpeg(image: Image.Image) -> str | None:
    """Completes Pillow's `info` for a JPEG: several comments, the shape of its pixels, and no invented resolution.

    Returns:
        Notes on segments that are lost.
    """
    comments = [content for marker, content in getattr(image, "applist", ()) if marker == "COM"]
    if len(comments) > 1:
        image.info["comment"] = b"\n".join(comments)
    if image.info.get("jfif_unit") not in (1, 2) and not _resolved(image):
        image.info.pop("dpi", None)  # Pillow says 72 where nobody does
    width, height = image.info.get("jfif_density", (1, 1))
    if image.info.get("jfif_unit") == 0 and width != height and width and height:
        image.info["chunks"] = {b"pHYs": struct.pack(">IIB", width, height, 0)}
    lost = []
    if any(marker == "APP11" and b"jumb" in content[:64] for marker, content in getattr(image, "applist", ())):
        lost.append("its content credentials, which are not the result's, were left out")
    resources = image.info.get("photoshop")
    if isinstance(resources, dict) and not resources.keys().isdisjoint(_PATHS):
        lost.append("its paths were left out")
    return "; ".join(lost) or None


def _resolved(image: Image.Image) -> bool:
    """True if EXIF has a resolution and its unit: inch or centimetre."""
    try:
        exif = image.getexif()
        return ExifTags.Base.XResolution in exif and exif.get(ExifTags.Base.ResolutionUnit) in (2, 3)
    except Exception:  # whatever broken EXIF provokes
        return False


def _numbers(path: Path | None, image: Image.Image) -> dict[bytes, bytes]:
    """Colour space of a file without a profile by its numbers, as PNG chunks."""
    told = image.info.get("nclx_profile")
    if told:
        return numbered(int(told["color_primaries"]), int(told["transfer_characteristics"]))
    if image.format != "AVIF" or path is None:
        return {}
    with path.open("rb") as file:
        found = re.search(rb"colrnclx(..)(..)", file.read(1 << 16), re.DOTALL)
    return numbered(*(int.from_bytes(number, "big") for number in found.groups())) if found else {}


_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_FILM = re.compile(rb"\0\0[\0\x01](.)ftyp(?:isom|iso2|mp41|mp42|qt  |avc1|3gp4|3gp5)", re.DOTALL)
"""First bytes of an MP4: the first box's length, its kind, its brand."""


def _behind(path: Path, further: int) -> str | None:
    """Note on bytes after the end of a JPEG: a phone's film, or unknown data.

    Args:
        path: the file.
        further: number of images that are known to follow.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end, size = 2, len(content)
        # From marker to marker; what is compressed between them holds none.
        while (found := _MARKER.search(content, end)) is not None:
            end = found.end()
            if found[1] == b"\xd9":
                break
            if found[1] not in b"\x01\xd8":
                end += max(2, int.from_bytes(content[end : end + 2], "big"))
        else:
            return None
        if _FILM.search(content, end):
            return "the video behind it was left out"
        rest = 0 if further else len(content[end:].strip(b"\0\xff\r\n "))
        return f"{size - end} bytes behind its end were left out" if rest > _TRIFLE else None


_TRIFLE = 8


def upright(image: Image.Image) -> Image.Image:
    """Applies and resets the EXIF orientation; unreadable EXIF counts as none."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are sound
        return image


def _depth(path: Path, image: Image.Image) -> int:
    """Bits per channel from the header, since Pillow reads deep colours as 8-bit without a warning."""
    if image.format == "PPM":
        arguments = image.tile[0][3]  # type: ignore[attr-defined]
        return int(arguments[-1]).bit_length() if isinstance(arguments, tuple) and len(arguments) > 1 else 8
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if image.format == "PNG":
        return head[24]
    if image.format == "AVIF":
        # Behind the profile and the level, whether it has more than 8 bits, and whether 12 of them.
        coded = re.search(rb"av1C\x81.(.)", head, re.DOTALL)
        return 8 if coded is None or not coded[1][0] & 0x40 else 12 if coded[1][0] & 0x20 else 10
    if image.format == "JPEG2000":
        bits = re.search(rb"\xff\x4f\xff\x51.{38}(.)", head, re.DOTALL)
        return (bits[1][0] & 127) + 1 if bits else 8
    return 8
