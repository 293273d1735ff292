"""16-bit colour in PNG, through imagecodecs: Pillow holds 8 bits of it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from PIL import Image

from ..errors import PellucidError
from . import metadata
from .picture import Picture, from_array, upright

_HEAD = 33
"""Bytes of the signature and the first chunk."""


_COLOURS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")
"""What Pillow writes if it is told to."""

_NO_UNIT = 0
"""Of a pHYs chunk that says the shape of the pixels alone, which Pillow does not keep."""


def read(path: Path, image: Image.Image) -> Picture:
    """Reads a file.

    Args:
        path: the file.
        image: the same file opened by Pillow, for what it says beside its pixels.
    """
    pixels = codecs().png_decode(path.read_bytes())
    orientation = image.getexif().get(0x0112, 1)
    image.info["chunks"] = colours(path)
    kept, note = metadata.of_pil(image)
    return from_array(upright(pixels, orientation), kept).noted(note)


def write(picture: Picture, file: IO[bytes]) -> None:
    """Writes a file; the chunks beside the pixels are those that Pillow makes of the same metadata."""
    from .pillow import save

    whole = codecs().png_encode(picture.pixels)
    small = io.BytesIO()
    save(Image.new("RGB", (1, 1)), picture.metadata, small, {"format": "PNG"})
    file.write(whole[:_HEAD])
    for kind, content in _chunks(small.getvalue()):
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            file.write(_chunk(kind, content))
    file.write(whole[_HEAD:])


def with_chunk(whole: bytes, kind: bytes, content: bytes) -> bytes:
    """A file with a chunk more, behind its first."""
    return whole[:_HEAD] + _chunk(kind, content) + whole[_HEAD:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def colours(path: Path) -> dict[bytes, bytes]:
    """The chunks of a file that say which colours its numbers are, and of what shape its pixels."""
    found: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IDAT":
                break
            if kind in _COLOURS and length <= 64:
                found[kind] = file.read(length)
                file.seek(4, io.SEEK_CUR)
            elif kind == b"pHYs" and length == 9:
                content = file.read(length)
                found |= {kind: content} if content[8] == _NO_UNIT else {}
                file.seek(4, io.SEEK_CUR)
            else:
                file.seek(length + 4, io.SEEK_CUR)
    return found


def codecs() -> Any:
    """The library.

    Raises:
        PellucidError: it is not there.
    """
    try:
        import imagecodecs
    except ImportError:
        raise PellucidError(
            '16-bit colour PNG would lose half its depth: pip install "pellucid[deep]", or convert it to 16-bit TIFF'
        ) from None
    return imagecodecs
