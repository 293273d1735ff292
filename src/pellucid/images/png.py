"""16-bit colour in PNG through imagecodecs, since Pillow holds only 8 bits."""

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

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEAD = 33
"""Bytes of the signature and the first chunk."""

_FRAME = 12
"""Bytes of a chunk beside its content."""


_COLOURS = (b"cHRM", b"cICP", b"gAMA", b"sRGB", b"mDCV", b"cLLI")
"""Chunks that Pillow writes on request."""

_KNOWN = {
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"pHYs", *_COLOURS),
    *(b"sBIT", b"hIST", b"sPLT", b"bKGD", b"tIME", b"vpAg", b"acTL", b"fcTL", b"fdAT"),
}
"""Chunks that are read, untrue for the result, or unimportant."""

_SHOWN = 8
"""Most kinds of other chunks to name."""

_NO_UNIT = 0
"""Unit of a pHYs chunk with the shape of the pixels alone, which Pillow does not keep."""


def read(path: Path, image: Image.Image) -> Picture:
    """Reads a file.

    Args:
        path: the file.
        image: the same file opened by Pillow, for its metadata.
    """
    pixels = codecs().png_decode(path.read_bytes())
    from .pillow import turn

    orientation = image.getexif().get(0x0112, 1)
    image.info["chunks"], unknown = colour_chunks(path)
    if orientation >= 5:
        turn(image.info)
    kept, note = metadata.of_pil(image)
    return from_array(upright(pixels, orientation), kept).noted(note, unknown)


def write(picture: Picture, file: IO[bytes]) -> None:
    """Writes a file; the chunks beside the pixels are Pillow's for the same metadata."""
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
    """Inserts a chunk into a file after its first one."""
    return whole[:_HEAD] + _chunk(kind, content) + whole[_HEAD:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def sound_chunks(path: Path) -> tuple[bytes, str]:
    """Content of a file without the damaged ones among the chunks that its pixels do not need.

    Returns:
        The content, and a note on what is lost; both empty if that is nothing.
    """
    content = path.read_bytes()
    if not content.startswith(_SIGNATURE):
        return b"", ""
    kept, lost, place = [_SIGNATURE], dict[str, None](), len(_SIGNATURE)
    head = content[:_HEAD]
    while len(content) - place >= _FRAME:
        end = place + _FRAME + int.from_bytes(content[place : place + 4], "big")
        whole, kind = content[place:end], content[place + 4 : place + 8]
        if kind[:1].islower() and not _is_sound(head, whole):
            lost[kind.decode("latin-1")] = None
        else:
            kept.append(whole)
        place = end
    return (b"".join(kept), f"its damaged chunks {', '.join(lost)} were left out") if lost else (b"", "")


def _is_sound(head: bytes, whole: bytes) -> bool:
    """True if a chunk has its checksum, and Pillow can read it."""
    if whole[-4:] != struct.pack(">I", zlib.crc32(whole[4:-4])):
        return False
    try:
        Image.open(io.BytesIO(head + whole + _chunk(b"IDAT", b"")), formats=["PNG"]).close()
    except Exception:
        return False
    return True


def colour_chunks(path: Path) -> tuple[dict[bytes, bytes], str | None]:
    """Chunks of a file for the colour space and the shape of its pixels.

    Returns:
        Their contents by kind, and a note on chunks that are lost.
    """
    found: dict[bytes, bytes] = {}
    others: dict[bytes, None] = {}
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            following = file.tell() + length + 4
            content = file.read(length) if kind in (*_COLOURS, b"pHYs") and length <= 64 else b""
            if content and file.read(4) != struct.pack(">I", zlib.crc32(kind + content)):
                content = b""
            if kind in _COLOURS and content:
                found.setdefault(kind, content)
            elif len(content) == 9 and content[8] == _NO_UNIT:
                found[kind] = content
            elif kind not in _KNOWN and len(others) < _SHOWN:
                others[kind] = None
            file.seek(following)
            if kind == b"IEND":
                break
    if b"caBX" in others:
        others.pop(b"caBX")
        note = "its content credentials, which are not the result's, were left out"
    else:
        note = ""
    names = ", ".join(kind.decode("ascii", "replace") for kind in others if kind.isalpha())
    return found, "; ".join(filter(None, (note, f"its chunks {names} were left out" if names else ""))) or None


def codecs() -> Any:
    """Imports the library.

    Raises:
        PellucidError: the library is missing.
    """
    try:
        import imagecodecs
    except ImportError:
        raise PellucidError(
            '16-bit colour PNG would lose half its depth: pip install "pellucid[deep]", or convert it to 16-bit TIFF'
        ) from None
    return imagecodecs
