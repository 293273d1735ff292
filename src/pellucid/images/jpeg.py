"""The coded data of a JPEG: whether some are missing, which decoders replace by grey, and their way into a new file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_HUFFMAN = (0xC0, 0xC1, 0xC2)
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_RESTARTS = range(0xD0, 0xD8)
_SCAN, _END = 0xDA, 0xD9
_ALONE = (0x01, 0xD8)
"""Markers without a length."""

_FILLER = bytes.fromhex("b56dd32e917ac85f0be43ca6597d12cf")
_ROWS = 256
_PARTS = re.compile(rb"\xff[\xd0-\xd7\xda]")
_GREY = range(126, 131)


def lacks(path: Path, image: Image.Image) -> bool:
    """True if a JPEG has less data than its size needs.

    The decoder skips what stands behind enough data, and decodes what stands behind too little. So other pixels come
    out of the file with a filler behind each part of its data if, and only if, data are missing. Costs one decoding;
    almost nothing where the data are in one part and the last pixel is not the grey of missing ones.

    Args:
        path: the file.
        image: the file as Pillow decoded it, not turned.
    """
    content = path.read_bytes()
    parts = len(_PARTS.findall(content))
    if parts == 1 and image.mode in ("L", "RGB") and not _is_grey(image):
        return False
    filled = _filled(content)
    if filled is None or filled == content:
        return filled is None
    with JpegImageFile(io.BytesIO(filled)) as other:
        if (other.size, other.mode) != (image.size, image.mode):
            return False
        other.load()
        boxes = [(0, top, image.width, min(top + _ROWS, image.height)) for top in range(0, image.height, _ROWS)]
        return any(image.crop(box).tobytes() != other.crop(box).tobytes() for box in boxes)


def _is_grey(image: Image.Image) -> bool:
    last = image.crop((image.width - 1, image.height - 1, image.width, image.height)).convert("L")
    return last.tobytes()[0] in _GREY


def _filled(content: bytes) -> bytes | None:
    """The first image of a file, with a filler behind each part of its data.

    Returns:
        None if a part is missing, by the numbers of the restart markers; the file as it is for arithmetic coding,
        where zeros at the end may be left out.
    """
    parts, place, within, turn = [content[:2]], 2, False, 0
    while (found := _MARKER.search(content, place)) is not None:
        kind, end = found[1][0], found.end()
        parts += [content[place : found.start()], _FILLER if within else b""]
        if kind == _END:
            break
        if kind in _FRAMES and kind not in _HUFFMAN:
            return content
        if within and kind in _RESTARTS:
            if kind != _RESTARTS[turn]:
                return None
            turn = (turn + 1) % len(_RESTARTS)
        elif kind not in _ALONE:
            end += max(2, int.from_bytes(content[end : end + 2], "big"))
            within, turn = kind == _SCAN, 0
        parts.append(content[found.start() : end])
        place = end
    return b"".join([*parts, b"\xff\xd9"])


def with_headers(content: bytes, headers: bytes) -> bytes:
    """The coded data of a JPEG, bit for bit, with the metadata of another.

    Args:
        content: a whole JPEG; of several images the first.
        headers: a JPEG with the metadata.
    """
    own = list(_segments(content))
    # Both markers tell which colours the data are.
    plain = any(segment[4:9] == b"JFIF\0" for kind, segment in own if kind == _JFIF)
    said = [segment for kind, segment in _segments(headers) if kind in _SAID and (plain or kind != _JFIF)]
    coded = [segment for kind, segment in own if kind not in _SAID]
    return b"".join([content[:2], *said, *coded, b"\xff\xd9"])


_JFIF, _ADOBE = 0xE0, 0xEE
_SAID = (*(kind for kind in range(0xE0, 0xF0) if kind != _ADOBE), 0xFE)
"""Markers of metadata."""


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Segments of a file before its end, with the data behind each."""
    found = _MARKER.search(content, 2)
    while found is not None and found[1][0] != _END:
        kind, start, end = found[1][0], found.start(), found.end()
        if kind not in _RESTARTS and kind not in _ALONE:
            end += max(2, int.from_bytes(content[end : end + 2], "big"))
        found = _MARKER.search(content, end)
        yield kind, content[start : len(content) if found is None else found.start()]
