"""What a file says beside its pixels: EXIF, XMP, IPTC, comments, profile, resolution, and by whom it was restored."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from typing import IO, Any

from PIL import ExifTags, Image, PngImagePlugin

MARK = "Restored by pellucid "
"""What a line of the description begins with that says how an image was restored."""

_DESCRIPTION, _SOFTWARE, _ORIENTATION = 0x010E, 0x0131, 0x0112
PARTS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""The directories of EXIF that a directory points to: of the exposure and of the place."""

IPTC = 33723
"""The tag of a TIFF that holds IPTC's captions, names and keywords."""
_RESOURCE = 0x0404
"""What they are among Photoshop's resources, in a JPEG."""

_LAYOUT = {
    *(*range(254, 269), 273, *range(277, 282), *range(284, 296), 297, 301, *range(317, 348), 433, 434, 435),
    *(*range(512, 522), *range(529, 533), 559, 700, 32781, *range(32995, 33000), 33421, 33422, 34377, 34675, 37724),
    *range(50706, 51200),
}
"""Tags of a TIFF that say how its pixels are stored, or hold what is kept apart."""

_APART = ("XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1", "Raw profile type xmp")
"""Texts of a PNG that hold what is kept in another way."""

_TURNED = re.compile(rb"""\s*tiff:Orientation=(["'])\d\1|<tiff:Orientation>\d</tiff:Orientation>""")


def of_pil(image: Image.Image) -> tuple[dict[str, Any], str | None]:
    """The metadata of a Pillow image that is upright, and a note if not all of it could be read."""
    info = image.info
    resources = info.get("photoshop")
    said = {key: info.get(key) for key in ("icc_profile", "xmp", "comment")}
    said["iptc"] = resources.get(_RESOURCE) if isinstance(resources, dict) else None
    kept, note = _whole(said, info.get("dpi"), image.getexif)
    found = image.text if isinstance(image, PngImagePlugin.PngImageFile) else info.get("texts")
    found = found if isinstance(found, dict) else {}
    texts = {key: text for key, text in found.items() if not key.startswith(_APART)}
    return (kept | {"texts": texts} if texts else kept), note


def of_tiff(
    file: IO[bytes], offset: int | None, dpi: object, **said: bytes | None
) -> tuple[dict[str, Any], str | None]:
    """The metadata of a TIFF's page.

    Args:
        file: the TIFF, at its beginning.
        offset: of the page's directory; None for the first.
        dpi: (columns, rows) per inch.
        said: what is kept apart from its tags, as it is stored: `icc_profile`, `xmp`, `iptc`.
    """
    apart = _LAYOUT | ({IPTC} if said.get("iptc") else set())

    def tags() -> Image.Exif:
        exif = Image.Exif()
        head = file.read(4)
        file.seek(0)
        if offset is not None:
            exif.endian, exif.bigtiff = ("<" if head[:2] == b"II" else ">"), b"+" in head
        exif.load_from_fp(file, offset)
        for tag in apart & set(exif):
            del exif[tag]
        return exif

    return _whole(said, dpi, tags)


def segment(iptc: bytes) -> bytes:
    """IPTC's records as a JPEG holds them: among Photoshop's resources; nothing if they are too long for it."""
    resource = b"8BIM" + struct.pack(">HHI", _RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"" if len(content) > 65533 else b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def marked(metadata: Mapping[str, Any], line: str) -> dict[str, Any]:
    """Adds a line to the description, and names pellucid as the software.

    Args:
        metadata: of a `Picture`.
        line: see `MARK`; what is not ASCII is escaped.
    """
    exif = load(metadata)
    before = _described(exif).rstrip(b"\0\n")
    exif[_DESCRIPTION] = before + b"\n" * bool(before) + line.encode("ascii", "backslashreplace")
    exif[_SOFTWARE] = line[len("Restored by ") :].partition(":")[0]
    return {**metadata, "exif": _dump(exif)}


def marks(metadata: Mapping[str, Any]) -> list[str]:
    """The lines of all restorations, the first one first."""
    lines = _described(load(metadata)).decode("latin-1").splitlines()
    return [line for line in lines if line.startswith(MARK)]


def stripped(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out all but the colour profile, without which colours are others, and the marks of restorations."""
    bare = {"icc_profile": metadata["icc_profile"]} if "icc_profile" in metadata else {}
    for line in marks(metadata):
        bare = marked(bare, line)
    return bare


def load(metadata: Mapping[str, Any]) -> Image.Exif:
    """The EXIF of a picture's metadata, its texts beyond ASCII as bytes; empty if there is none."""
    exif = Image.Exif()
    exif.load(metadata.get("exif", b""))
    _as_stored(exif)
    return exif


def _whole(
    texts: Mapping[str, object], dpi: object, tags: Callable[[], Image.Exif]
) -> tuple[dict[str, Any], str | None]:
    kept: dict[str, Any] = {key: text for key, text in texts.items() if isinstance(text, bytes) and text}
    if "xmp" in kept:
        kept["xmp"] = _TURNED.sub(b"", kept["xmp"])
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(math.isfinite(d) and 0 < d < 1e6 for d in dpi):
        kept["dpi"] = (float(dpi[0]), float(dpi[1]))
    try:
        exif = tags()
        exif.pop(_ORIENTATION, None)
        if len(exif):
            kept["exif"] = _dump(exif)
    except Exception:  # whatever broken EXIF provokes, the pixels are sound
        return kept, "its EXIF is damaged and was left out"
    return kept, None


def _described(exif: Image.Exif) -> bytes:
    value = exif.get(_DESCRIPTION, b"")
    return value if isinstance(value, bytes) else str(value).encode("latin-1", "backslashreplace")


def _dump(exif: Image.Exif) -> bytes:
    _as_stored(exif)
    exif.bigtiff = False
    return exif.tobytes()


def _as_stored(exif: Image.Exif) -> None:
    """Makes bytes of texts beyond ASCII: Pillow reads them as Latin-1, whatever they are, and writes question marks."""
    for tags in (exif, *(exif.get_ifd(part) for part in PARTS if part in exif)):
        for tag, value in list(tags.items()):
            if isinstance(value, str) and not value.isascii():
                tags[tag] = value.encode("latin-1")
