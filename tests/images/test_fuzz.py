"""Broken files: a picture, or one line; nothing else, and no warning."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid import images
from pellucid.errors import PellucidError

NAMES = [
    *("grey.png", "colour.png", "palette.png", "alpha.png", "deepgrey.png", "deep.png", "photo.jpg", "progressive.jpg"),
    *("cmyk.jpg", "colour.webp", "lossless.webp", "colour.bmp", "still.gif", "scan.jp2", "map.ppm", "photo.avif"),
    *("old.tif", "lzw.tif", "deep.tif", "float.tif", "pages.tif", "phone.heic", "raw.dng"),
]

# Where, as a share of the file or counted from its beginning, and what is written there.
BROKEN = st.one_of(st.floats(0, 1, exclude_max=True), st.integers(0, 200))
BYTES = st.one_of(st.sampled_from([b"\0", b"\xff", b"\x7f\xff", b"\xff\xff\xff\xff", bytes(4)]), st.binary(max_size=4))
BLOWS = st.lists(st.tuples(BROKEN, BYTES), max_size=8)


def struck(content: bytes, blows: list[tuple[float | int, bytes]], kept: float) -> bytes:
    damaged = bytearray(content)
    for where, what in blows:
        place = int(where * len(damaged)) if isinstance(where, float) else where
        damaged[place : place + len(what)] = what
    return bytes(damaged[: int(kept * len(damaged)) + 1])


def refused(function: Callable[[Path], object], path: Path) -> bool:
    """Whether a file is refused, as it should be if it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            function(path)
        except PellucidError as error:
            said = str(error)
        else:
            return False
    assert said.startswith(f"{path}: ")
    assert len(said.splitlines()) == 1
    return True


def read(path: Path) -> images.Picture | None:
    """The picture, if it can be read."""
    no_header, no_picture = refused(images.sizes_of, path), refused(images.read, path)
    assert no_picture or not no_header
    return None if no_picture else images.read(path)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(blows=BLOWS, kept=st.one_of(st.just(1.0), st.floats(0, 1)))
def test_damaged_files(
    corpus: dict[str, Path], tmp_path: Path, name: str, blows: list[tuple[float | int, bytes]], kept: float
) -> None:
    if name not in corpus:
        pytest.skip("needs an extra")
    path = tmp_path / name
    path.write_bytes(struck(corpus[name].read_bytes(), blows, kept))
    picture = read(path)
    if picture is not None:
        # What can be read can be written: the metadata of damaged files, too.
        images.write(picture.marked(f"{images.MARK}1"), tmp_path / "out.tif")


@pytest.mark.parametrize("name", ["photo.jpg", "phone.heic", "colour.webp"])
def test_broken_exif_costs_no_picture(corpus: dict[str, Path], tmp_path: Path, name: str) -> None:
    if name not in corpus:
        pytest.skip("needs an extra")
    content = corpus[name].read_bytes()
    for head in (b"II*\0", b"MM\0*"):
        content = content.replace(head, bytes(4))
    assert content != corpus[name].read_bytes()
    (tmp_path / name).write_bytes(content)
    picture = read(tmp_path / name)
    assert picture is not None
    assert images.sizes_of(tmp_path / name) == [picture.colour.shape[:2]]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.dng", "a.heic", "a"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=100))
def test_random_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) is None


@pytest.mark.parametrize("name", NAMES)
def test_whole_files(corpus: dict[str, Path], name: str) -> None:
    if name not in corpus:
        pytest.skip("needs an extra")
    assert read(corpus[name]) is not None


# --- nasty ones ------------------------------------------------------------------------------------------------------


def test_exif_that_points_at_itself_costs_the_exif_alone(tmp_path: Path) -> None:
    loop = struct.pack("<HHHII", 2, 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8) + struct.pack("<I", 8)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0" + loop)
    assert read(tmp_path / "a.jpg") is not None


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM"])
def test_damaged_exif_costs_the_exif_alone(tmp_path: Path, exif: bytes) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif)
    picture = read(tmp_path / "a.jpg")
    assert picture is not None
    assert "exif" not in picture.metadata


def test_a_profile_of_garbage_is_kept_but_not_used(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", icc_profile=b"garbage")
    picture = read(tmp_path / "a.jpg")
    assert picture is not None
    assert picture.metadata["icc_profile"] == b"garbage"
    Image.new("CMYK", (4, 4)).save(tmp_path / "b.jpg", icc_profile=b"garbage")
    picture = read(tmp_path / "b.jpg")
    assert picture is not None
    assert "profile is damaged" in str(picture.note)


def test_a_palette_with_too_few_colours(tmp_path: Path) -> None:
    image = Image.frombytes("P", (4, 4), bytes(range(16)))
    image.putpalette([1, 2, 3] * 4)
    image.save(tmp_path / "a.png", bits=8)
    picture = read(tmp_path / "a.png")
    assert picture is not None
    assert picture.colour.shape == (4, 4, 3)


@pytest.mark.parametrize(("name", "kind"), [("a.webp", "WEBP"), ("a.gif", "GIF"), ("a.png", "PNG"), ("a.avif", "AVIF")])
def test_animations_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    if kind not in Image.SAVE_ALL:
        pytest.skip("this Pillow has no AVIF")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / name, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(PellucidError, match="holds 2 images"):
        images.read(tmp_path / name)


def test_pages_that_follow_in_a_circle_end(tmp_path: Path, corpus: dict[str, Path]) -> None:
    content = bytearray(corpus["pages.tif"].read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (number,) = struct.unpack_from("<H", content, first)
    (second,) = struct.unpack_from("<I", content, first + 2 + 12 * number)
    (number,) = struct.unpack_from("<H", content, second)
    struct.pack_into("<I", content, second + 2 + 12 * number, first)
    (tmp_path / "a.tif").write_bytes(content)
    picture = read(tmp_path / "a.tif")
    assert picture is None or len(picture.pages) == 2


def test_a_program_for_printers_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\nshowpage\n")
    with pytest.raises(PellucidError, match="is no image"):
        images.read(tmp_path / "a.png")
