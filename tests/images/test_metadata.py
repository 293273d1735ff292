from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin

from pellucid import images
from pellucid.images import metadata

FIRST, SECOND = f"{images.MARK}1.0: Denoise(), seed 0", f"{images.MARK}1.1: DIIP(), seed 3"


def described(text: bytes | None) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x013B] = "a photographer"
    exif.get_ifd(0x8825)[1] = "N"
    if text is not None:
        exif[0x010E] = text
    return {"exif": exif.tobytes(), "icc_profile": b"profile", "dpi": (300.0, 300.0), "xmp": b"<x/>"}


@pytest.mark.parametrize(
    "before", [None, b"a lake", "Zürich, 1912".encode(), "Zürich".encode("latin-1"), b"two\nlines"]
)
def test_each_restoration_is_a_line_after_what_was_said_before(before: bytes | None) -> None:
    once = metadata.marked(described(before), FIRST)
    twice = metadata.marked(once, SECOND)
    lines = ([] if before is None else [before]) + [FIRST.encode(), SECOND.encode()]
    assert b"\n".join(lines) in twice["exif"]
    assert metadata.marks(once) == [FIRST]
    assert metadata.marks(twice) == [FIRST, SECOND]
    exif = metadata.load(twice)
    assert exif[0x0131] == "pellucid 1.1"
    assert exif[0x013B] == "a photographer"
    assert {key: twice[key] for key in ("icc_profile", "dpi", "xmp")} == {
        key: described(before)[key] for key in ("icc_profile", "dpi", "xmp")
    }


def test_the_same_mark_gives_the_same_bytes() -> None:
    assert metadata.marked(described(b"x"), FIRST) == metadata.marked(described(b"x"), FIRST)
    before = described(b"x")
    metadata.marked(before, FIRST)
    assert before == described(b"x")


def test_what_is_not_ascii_is_escaped() -> None:
    assert metadata.marks(metadata.marked({}, f"{images.MARK}1: prior Höhe")) == [f"{images.MARK}1: prior H\\xf6he"]


def test_stripping_leaves_the_profile_and_the_marks() -> None:
    bare = metadata.stripped(metadata.marked(metadata.marked(described(b"a lake"), FIRST), SECOND))
    assert sorted(bare) == ["exif", "icc_profile"]
    assert metadata.marks(bare) == [FIRST, SECOND]
    assert sorted(metadata.load(bare)) == [0x010E, 0x0131]
    assert b"a lake" not in bare["exif"]
    assert metadata.stripped(described(b"a lake")) == {"icc_profile": b"profile"}
    assert metadata.stripped({}) == {}


def test_pages_are_marked_and_stripped_each() -> None:
    pages = [images.from_array(np.zeros((2, size), np.uint8), described(b"x")) for size in (2, 3)]
    marked = images.bound(pages).marked(FIRST)
    assert [images.marks(page.metadata) for page in marked.pages] == [[FIRST], [FIRST]]
    assert [sorted(page.metadata) for page in marked.stripped().pages] == [["exif", "icc_profile"]] * 2
    assert [page.colour.shape for page in marked.pages] == [(2, 2, 1), (2, 3, 1)]


@pytest.mark.parametrize("turned", [b' tiff:Orientation="6"', b"<tiff:Orientation>6</tiff:Orientation>"])
def test_the_orientation_in_xmp_is_taken_out(turned: bytes) -> None:
    image = Image.new("RGB", (2, 2))
    image.info["xmp"] = b"<a" + turned + b" kept='1'/>"
    kept, note = metadata.of_pil(image)
    assert kept == {"xmp": b"<a kept='1'/>"}
    assert note is None


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 1.0), (float("inf"), 1.0), (1e9, 72.0), "72", (72,)])
def test_nonsense_for_a_resolution_is_left_out(dpi: Any) -> None:
    image = Image.new("RGB", (2, 2))
    image.info["dpi"] = dpi
    assert metadata.of_pil(image) == ({}, None)


CAPTION = b"\x1c\x02\x78\x00\x06a lake\x1c\x02\x19\x00\x05water\x1c\x02\x19\x00\x05dusk."
"""IPTC's records of a caption and two keywords; an odd number of bytes."""


def of_iptc(path: Path) -> dict[tuple[int, int], Any] | None:
    with Image.open(path) as image:
        return IptcImagePlugin.getiptcinfo(image)


def test_iptc_and_comments_go_from_file_to_file(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "a.jpg", comment=b"by J\xf6rg", extra=metadata.segment(CAPTION))
    said = {(2, 120): b"a lake", (2, 25): [b"water", b"dusk."]}
    assert of_iptc(tmp_path / "a.jpg") == said
    for one, other in pairwise(("a.jpg", "b.jpg", "c.tif", "d.tif", "e.jpg")):
        images.write(images.read(tmp_path / one), tmp_path / other)
        assert of_iptc(tmp_path / other) == said
    assert images.read(tmp_path / "b.jpg").metadata["comment"] == b"by J\xf6rg"
    bare = images.read(tmp_path / "b.jpg").stripped()
    assert not bare.metadata.keys() & {"iptc", "comment"}
    images.write(bare, tmp_path / "bare.jpg")
    assert of_iptc(tmp_path / "bare.jpg") is None
    assert b"J\xf6rg" not in (tmp_path / "bare.jpg").read_bytes()


def test_iptc_that_a_jpeg_cannot_hold_is_left_out() -> None:
    assert metadata.segment(bytes(65500))
    assert metadata.segment(bytes(65600)) == b""


@pytest.mark.parametrize("deep", [False, True])
def test_texts_of_a_png_stay_wherever_they_stand(tmp_path: Path, deep: bool) -> None:
    if deep:
        pytest.importorskip("imagecodecs", reason='needs imagecodecs: pip install "pellucid[deep]"')
    pixels = np.zeros((4, 5, 3), np.uint16 if deep else np.uint8)
    images.write(images.from_array(pixels, {"texts": {"Title": "Zürichsee", "Author": "Jörg 湖"}}), tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    after = b"tEXtCopyright\0nobody"
    chunk = struct.pack(">I", len(after) - 4) + after + struct.pack(">I", zlib.crc32(after))
    (tmp_path / "a.png").write_bytes(whole[:-12] + chunk + whole[-12:])
    images.write(images.read(tmp_path / "a.png"), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert image.text == {"Title": "Zürichsee", "Author": "Jörg 湖", "Copyright": "nobody"}  # type: ignore[attr-defined]
        restored = images.to_pil(images.from_pil(image))
    images.write(images.from_pil(restored), tmp_path / "c.png")
    assert images.read(tmp_path / "c.png").metadata["texts"]["Title"] == "Zürichsee"
    assert "texts" not in images.read(tmp_path / "b.png").stripped().metadata


def test_a_comment_is_a_text_of_a_png(tmp_path: Path) -> None:
    images.write(images.from_array(np.zeros((4, 5, 3), np.uint8), {"comment": b"a lake"}), tmp_path / "a.png")
    assert images.read(tmp_path / "a.png").metadata["texts"] == {"Comment": "a lake"}


def test_exif_says_the_size_that_is_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a view"
    exif.get_ifd(0x8769).update({0xA002: 8, 0xA003: 6, 0x9003: "2020:01:01 00:00:00"})
    Image.new("RGB", (8, 6)).save(tmp_path / "in.jpg", exif=exif)
    picture = images.read(tmp_path / "in.jpg")
    assert picture.colour.shape == (8, 6, 3)
    for name, pixels in (("turned", picture.colour), ("large", np.zeros((24, 16, 3), np.uint8))):
        for suffix in (".jpg", ".png", ".tif"):
            path = tmp_path / f"{name}{suffix}"
            images.write(replace(picture, colour=pixels), path)
            with Image.open(path) as written:
                found = written.getexif()
                said = found.get_ifd(0x8769)
                assert (said[0xA002], said[0xA003]) == written.size == pixels.shape[1::-1]
                assert (said[0x9003], found[0x010E]) == ("2020:01:01 00:00:00", "a view")


def test_the_shape_of_pixels_is_kept(tmp_path: Path) -> None:
    """A pHYs chunk without a unit, which Pillow forgets."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "PNG")
    chunk = b"pHYs" + struct.pack(">IIB", 4, 3, 0)
    whole = file.getvalue()[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "in.png").write_bytes(whole + file.getvalue()[33:])
    images.write(images.read(tmp_path / "in.png").marked("Restored by pellucid 1"), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert written.info["aspect"] == (4, 3)
    images.write(images.read(tmp_path / "in.png"), tmp_path / "out.jpg")


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (b"\0\0\0\x18ftypmp42", "the video behind it was left out"),
        (b"\0\0\0\x18ftypnone", "52 bytes behind its end were left out"),
        (b"", None),
    ],
)
def test_a_video_behind_a_jpeg_is_said(tmp_path: Path, behind: bytes, said: str | None) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "in.jpg")
    with (tmp_path / "in.jpg").open("ab") as file:
        file.write(behind + bytes(40))
    assert images.read(tmp_path / "in.jpg").note == said
