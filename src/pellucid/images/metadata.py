"""Metadata of a file: EXIF, XMP, IPTC, comments, profile, resolution, and the note of its restoration."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from PIL import ExifTags, Image, PngImagePlugin

MARK = "Restored by pellucid "
"""Prefix of the line in a description that records a restoration."""

_DESCRIPTION, _SOFTWARE, _ORIENTATION = 0x010E, 0x0131, 0x0112
_WIDTH, _HEIGHT = 0xA002, 0xA003
PARTS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""EXIF's sub-directories: of the exposure and of the place."""

IPTC = 33723
"""TIFF tag of IPTC's captions, names and keywords."""
_RESOURCE = 0x0404
"""Number of IPTC's records among Photoshop's resources in a JPEG."""

_LAYOUT = {
    *(*range(254, 269), 273, *range(277, 282), 284, *range(288, 296), 301, *range(317, 348), 433, 434, 435),
    *(*range(512, 522), *range(529, 533), 559, 700, 32781, *range(32995, 33000), 33421, 33422, 34377, 34675, 37724),
    *range(50706, 51200),
}
"""TIFF tags of the pixels' storage, or of separately kept parts."""

_APART = ("XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1", "Raw profile type xmp")
"""Texts of a PNG for separately kept parts."""

# Each begins with a letter or a bracket and has no part of any length beside a like one: linear in the text's length.
_GONE = (
    (re.compile(rb"""tiff:Orientation=(?:"\d"|'\d')|<tiff:Orientation>\d</tiff:Orientation>"""), ""),
    (
        re.compile(
            rb"""\bG?Camera:(?:MotionPhoto|MicroVideo)\w{0,40}=(?:"[^"<>]{0,99}"|'[^'<>]{0,99}')"""
            rb"""|<G?Camera:(?:MotionPhoto|MicroVideo)\w{0,40}>[^<>]{0,99}</G?Camera:\w{1,60}>"""
        ),
        "the video of its motion photo was left out",
    ),
    (
        re.compile(
            rb"""\bhdrgm:\w{1,40}=(?:"[^"<>]{0,99}"|'[^'<>]{0,99}')|<hdrgm:\w{1,40}>[^<>]{0,99}</hdrgm:\w{1,40}>"""
        ),
        "its gain map was left out: it is the picture of ordinary screens",
    ),
    (re.compile(rb"""xmpNote:HasExtendedXMP=(?:"\w{0,64}"|'\w{0,64}')"""), "its further XMP was left out"),
)
"""XMP's statements about parts that are dropped, and the note for each."""

_LISTS = ((b"<Container:Directory", b"</Container:Directory>"), (b"<xmp:Thumbnails", b"</xmp:Thumbnails>"))
"""Parts of XMP about files that are bound to the image, or that show the damaged one."""

_SYNTAX = re.compile(rb"\s{0,99}(?:[{\[<]|ImageJ=|Aperio |[\w.]{1,60} {0,9}=)")
"""Prefix of a description written for programs, which a further line would break."""


def of_pil(image: Image.Image) -> tuple[dict[str, Any], str | None]:
    """Reads the metadata of an upright Pillow image; adds a note if a part could not be read."""
    info = image.info
    resources = info.get("photoshop")
    said = {key: info.get(key) for key in ("icc_profile", "xmp", "comment")}
    said["iptc"] = resources.get(_RESOURCE) if isinstance(resources, dict) else None
    kept, note = _whole(said, info.get("dpi"), image.getexif)
    note = "; ".join(filter(None, (info.get("lost"), note))) or None
    found = image.text if isinstance(image, PngImagePlugin.PngImageFile) else info.get("texts")
    found = found if isinstance(found, dict) else {}
    texts = {key: text for key, text in found.items() if not key.startswith(_APART)}
    chunks = info.get("chunks")
    kept |= {"texts": texts} if texts else {}
    return (kept | {"chunks": chunks} if chunks else kept), note


def of_tiff(
    file: IO[bytes], offset: int | None, dpi: object, **said: bytes | None
) -> tuple[dict[str, Any], str | None]:
    """Reads the metadata of a TIFF's page.

    Args:
        file: the TIFF, at its beginning.
        offset: of the page's directory; None for the first.
        dpi: (columns, rows) per inch.
        said: separately kept parts as stored: `icc_profile`, `xmp`, `iptc`.
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
    """Packs IPTC's records into a JPEG segment, among Photoshop's resources; empty if they are too long for it."""
    resource = b"8BIM" + struct.pack(">HHI", _RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"" if len(content) > 65533 else b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def marked(metadata: Mapping[str, Any], line: str) -> dict[str, Any]:
    """Adds a line to the description, and names pellucid as the software.

    A description for programs stays unchanged; the line then replaces the software's name.

    Args:
        metadata: of a `Picture`.
        line: see `MARK`; characters beyond ASCII are escaped.
    """
    exif = load(metadata)
    before, said = _described(exif).rstrip(b"\0\n"), line.encode("ascii", "backslashreplace")
    if _SYNTAX.match(before) and not before.startswith(MARK.encode()):
        earlier = [one for one in _text(exif, _SOFTWARE).split(b"\n") if one.startswith(MARK.encode())]
        exif[_SOFTWARE] = b"\n".join([*earlier, said])
    else:
        exif[_DESCRIPTION] = before + b"\n" * bool(before) + said
        exif[_SOFTWARE] = line[len("Restored by ") :].partition(":")[0]
    return {**metadata, "exif": _dump(exif)}


def unsaid(metadata: Mapping[str, Any], note: str) -> dict[str, Any]:
    """Removes a note from the line of the last restoration, of which it is not true.

    Args:
        metadata: of a `Picture`.
        note: as it was given to `marked`.
    """
    exif = load(metadata)
    for tag in (_SOFTWARE, _DESCRIPTION):
        *before, last = _text(exif, tag).rstrip(b"\0\n").split(b"\n")
        if last.startswith(MARK.encode()):
            parts = [part for part in last.split(b"; ") if part != note.encode("ascii", "backslashreplace")]
            exif[tag] = b"\n".join([*before, b"; ".join(parts)])
    return {**metadata, "exif": _dump(exif)} if len(exif) else dict(metadata)


def turned(metadata: Mapping[str, Any], orientation: int) -> dict[str, Any]:
    """States in EXIF how a stored picture is to be turned, 1 to 8."""
    exif = load(metadata)
    if orientation != 1:
        exif[_ORIENTATION] = orientation
    return {**metadata, "exif": _dump(exif)} if len(exif) else dict(metadata)


def sized(metadata: Mapping[str, Any], height: int, width: int) -> Mapping[str, Any]:
    """Updates the picture's size in EXIF, if it is there: turns and enlargements change it.

    Args:
        metadata: of a `Picture`.
        height: of its pixels.
        width: of its pixels.
    """
    if "exif" not in metadata:
        return metadata
    exif = load(metadata)
    said = exif.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in exif else {}
    wrong = {tag: true for tag, true in ((_WIDTH, width), (_HEIGHT, height)) if said.get(tag, true) != true}
    said.update(wrong)
    return {**metadata, "exif": _dump(exif)} if wrong else metadata


def make_true(exif: Image.Exif, shapes: Sequence[tuple[int, ...]]) -> None:
    """Updates, in place, the TIFF layout in the first page's description to the written pages.

    tifffile writes the shape of the whole as JSON and rejects files with another shape.

    Args:
        exif: of the first page.
        shapes: of the pages.
    """
    said = _described(exif)
    if not said.startswith(b'{"shape":'):
        return
    try:
        told = json.loads(said.rstrip(b"\0\n"))
        claimed = tuple(told["shape"])
    except (ValueError, TypeError, RecursionError):
        del exif[_DESCRIPTION]
        return
    size = shapes[0]
    if len(set(shapes)) == 1 and claimed[-len(size) :] == size and math.prod(claimed[: -len(size)]) == len(shapes):
        return
    if len(set(shapes)) > 1:
        del exif[_DESCRIPTION]
        return
    told = {key: value for key, value in told.items() if key != "axes"}
    told["shape"] = [*([len(shapes)] if len(shapes) > 1 else []), *size]
    exif[_DESCRIPTION] = json.dumps(told).encode()


def marks(metadata: Mapping[str, Any]) -> list[str]:
    """Lines of all restorations, the first one first."""
    exif = load(metadata)
    lines = b"\n".join((_text(exif, _SOFTWARE), _described(exif))).decode("latin-1").splitlines()
    return [line for line in lines if line.startswith(MARK)]


def stripped(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Removes everything but the colour profile, which affects colours, and the records of restorations."""
    bare = {key: metadata[key] for key in ("icc_profile", "chunks") if key in metadata}
    for line in marks(metadata):
        bare = marked(bare, line)
    return bare


def load(metadata: Mapping[str, Any]) -> Image.Exif:
    """EXIF of a picture's metadata, with texts beyond ASCII as bytes; empty if there is none."""
    exif = Image.Exif()
    exif.load(metadata.get("exif", b""))
    _as_stored(exif)
    return exif


def _whole(
    texts: Mapping[str, object], dpi: object, tags: Callable[[], Image.Exif]
) -> tuple[dict[str, Any], str | None]:
    kept: dict[str, Any] = {key: text for key, text in texts.items() if isinstance(text, bytes) and text}
    notes: list[str] = []
    if "xmp" in kept:
        kept["xmp"], notes = _true(kept["xmp"])
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(math.isfinite(d) and 0 < d < 1e6 for d in dpi):
        kept["dpi"] = (float(dpi[0]), float(dpi[1]))
    try:
        exif = tags()
        own = dict(exif)
        exif.pop(_ORIENTATION, None)
        if len(exif):
            kept["exif"] = _dump(exif)
        exif.update(own)  # it may be that of somebody's image
    except Exception:  # whatever broken EXIF provokes, the pixels are sound
        notes.append("its EXIF is damaged and was left out")
    return kept, "; ".join(notes) or None


def _true(xmp: bytes) -> tuple[bytes, list[str]]:
    """Removes untrue claims about dropped parts from XMP, and returns notes on them; linear in its length."""
    notes = []
    for pattern, note in _GONE:
        pieces, end = [], 0
        for match in pattern.finditer(xmp):
            pieces.append(xmp[end : match.start()].rstrip() if match[0][:1] != b"<" else xmp[end : match.start()])
            end = match.end()
        if end:
            xmp = b"".join([*pieces, xmp[end:]])
            notes += [note] if note else []
    for begins, ends in _LISTS:
        first, last = xmp.find(begins), xmp.rfind(ends)
        if 0 <= first < last:
            xmp = xmp[:first] + xmp[last + len(ends) :]
    return xmp, notes


def _described(exif: Image.Exif) -> bytes:
    return _text(exif, _DESCRIPTION)


def _text(exif: Image.Exif, tag: int) -> bytes:
    value = exif.get(tag, b"")
    return value if isinstance(value, bytes) else str(value).encode("latin-1", "backslashreplace")


def _dump(exif: Image.Exif) -> bytes:
    _as_stored(exif)
    exif.bigtiff = False
    return exif.tobytes()


def _as_stored(exif: Image.Exif) -> None:
    """Encodes texts beyond ASCII: Pillow reads them as Latin-1, whatever they are, and writes question marks."""
    for tags in (exif, *(exif.get_ifd(part) for part in PARTS if part in exif)):
        for tag, value in list(tags.items()):
            if isinstance(value, str) and not value.isascii():
                tags[tag] = value.encode("latin-1")
