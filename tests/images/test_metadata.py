from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

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
