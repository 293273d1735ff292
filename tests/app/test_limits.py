from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pellucid import images
from pellucid.app.limits import Limits, clean_name, named
from pellucid.errors import PellucidError, UsageError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "somewhere.png"
    Image.new("RGB", (30, 20)).save(path)
    return path


def test_a_picture_within_the_limits(picture: Path) -> None:
    assert Limits(pixels=600, bytes=picture.stat().st_size).check(picture, "mine.png") == (20, 30)


@pytest.mark.parametrize(
    ("limits", "says"),
    [(Limits(pixels=599), "mine.png: has 0.0 megapixels, more than"), (Limits(bytes=10), "mine.png: has 0 MB")],
)
def test_what_is_too_large_is_named(picture: Path, limits: Limits, says: str) -> None:
    with pytest.raises(PellucidError, match=says):
        limits.check(picture, "mine.png")


def test_a_hostile_file_is_one_line_with_its_owners_name(tmp_path: Path) -> None:
    path = tmp_path / "upload.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(PellucidError) as error:
        Limits().check(path, "evil.png")
    assert str(error.value).startswith("evil.png: ")
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_limits_are_above_zero() -> None:
    with pytest.raises(UsageError, match="above 0"):
        Limits(pixels=0)


def test_all_pages_count(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    page = images.from_pil(Image.new("RGB", (30, 20)))
    images.write(images.bound([page, page]), path)
    assert Limits(pixels=1200).check(path, "pages.tif") == (20, 30)
    with pytest.raises(PellucidError, match="megapixels"):
        Limits(pixels=1199).check(path, "pages.tif")


@given(st.text(max_size=400), st.lists(st.text(max_size=5), max_size=3))
def test_any_name_becomes_one_that_a_file_can_have(name: str, taken: list[str]) -> None:
    taken = [clean_name(other) for other in taken]
    cleaned = clean_name(name, taken)
    assert cleaned
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert cleaned not in (".", "..", *taken)
    assert len(cleaned.encode()) <= 240
    assert not any(unicodedata.category(character).startswith("C") for character in cleaned)


def test_names_that_are_taken_get_a_number() -> None:
    assert clean_name("a.jpg", ["a.jpg"]) == "a-2.jpg"
    assert clean_name("A.JPG", ["a.jpg", "a-2.jpg"]) == "A-3.JPG"
    # The restored one of a.gif is a PNG file, too.
    assert clean_name("a.gif.png", ["a.gif"]) == "a.gif-2.png"
    # A HEIC of 10 bits becomes a TIFF.
    assert clean_name("a.heic.tif", ["a.heic"]) == "a.heic-2.tif"
    assert clean_name("C:\\scans\\a.jpg") == "a.jpg"


def test_lines_name_the_file_once() -> None:
    path = Path("/tmp/1/a.png")
    assert named("/tmp/1/a.png: is damaged", path, "my a.png") == "my a.png: is damaged"
    assert named("memory", path, "a.png") == "a.png: memory"
