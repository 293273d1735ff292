"""Files with less, or more, than their header says: nothing of them is lost in silence."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pellucid import images
from pellucid.errors import PellucidError
from pellucid.images import png

CODINGS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"restart_marker_blocks": 3},
    {"subsampling": 0, "quality": 95},
    {"optimize": True, "quality": 30},
]


def noise(*shape: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "how"), [("CMYK", CODINGS[0]), *((mode, how) for mode in ("L", "RGB") for how in CODINGS)], ids=str
)
def test_a_jpeg_with_an_end_but_missing_data_is_damaged(tmp_path: Path, mode: str, how: dict[str, Any]) -> None:
    path, image = tmp_path / "a.jpg", noise(61, 83, 3).convert(mode)
    whole = encoded(image, **how)
    path.write_bytes(whole)
    assert "missing" not in (images.read(path).note or "")
    path.write_bytes(whole[: (whole.rindex(b"\xff\xda") + len(whole)) // 2] + b"\xff\xd9")
    says = r"a\.jpg: is damaged, some of its data are missing: .*--damaged-files keep$"
    for ending in (b"\xff\xd9", b""):
        path.write_bytes(path.read_bytes().removesuffix(b"\xff\xd9") + ending)
        with pytest.raises(PellucidError, match=says):
            images.read(path)
    assert images.sizes_of(path) == [(61, 83)]
    kept = images.read(path, "keep")
    assert kept.note is not None
    assert "part was made grey" in kept.note


def test_a_hole_between_restarts_is_missing_data(tmp_path: Path) -> None:
    whole = encoded(noise(64, 64, 3), restart_marker_blocks=1)
    second, fourth = whole.index(b"\xff\xd1"), whole.index(b"\xff\xd3")
    (tmp_path / "a.jpg").write_bytes(whole[:second] + whole[fourth:])
    with pytest.raises(PellucidError, match="data are missing"):
        images.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("grey", [127, 128, 129])
def test_a_grey_jpeg_lacks_nothing(tmp_path: Path, grey: int) -> None:
    """It looks as if all its data were missing."""
    (tmp_path / "a.jpg").write_bytes(encoded(Image.new("RGB", (40, 40), (grey,) * 3)))
    assert images.read(tmp_path / "a.jpg").note is None


def test_a_damaged_chunk_costs_a_png_that_chunk_alone(tmp_path: Path) -> None:
    image, texts, exif = noise(8, 12, 3), PngImagePlugin.PngInfo(), Image.Exif()
    texts.add_text("Title", "hello")
    exif[0x010E] = "a description"
    texts.add(b"gAMA", struct.pack(">I", 45455))
    whole = encoded(image, "PNG", pnginfo=texts, exif=exif, dpi=(300, 300))
    for kind in (b"tEXt", b"eXIf", b"gAMA", b"pHYs"):
        start = whole.index(kind)
        end = start + 4 + int.from_bytes(whole[start - 4 : start], "big")
        path = tmp_path / f"{kind.decode()}.png"
        path.write_bytes(whole[:end] + bytes(4) + whole[end + 4 :])
        assert images.sizes_of(path) == [(8, 12)]
        picture = images.read(path)
        np.testing.assert_array_equal(picture.pixels, np.asarray(image))
        assert picture.note == f"its damaged chunks {kind.decode()} were left out"
        assert ("texts" in picture.metadata) == (kind != b"tEXt")
        assert ("dpi" in picture.metadata) == (kind != b"pHYs")
        assert (b"gAMA" in picture.metadata.get("chunks", {})) == (kind != b"gAMA")


def test_a_broken_profile_costs_a_png_the_profile_alone(tmp_path: Path) -> None:
    whole = encoded(noise(8, 12, 3), "PNG")
    for content in (b"", b"\xff\x01" * 7):
        path = tmp_path / "a.png"
        path.write_bytes(png.with_chunk(whole, b"iCCP", content))
        assert images.read(path).note == "its damaged chunks iCCP were left out"


def test_a_png_whose_pixels_need_the_damaged_chunk_is_refused(tmp_path: Path) -> None:
    whole = encoded(noise(8, 12, 3), "PNG")
    (tmp_path / "a.png").write_bytes(whole[:29] + bytes(4) + whole[33:])
    with pytest.raises(PellucidError, match="is no image"):
        images.read(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_several_images_in_a_ppm_are_refused(tmp_path: Path, mode: str) -> None:
    path, image = tmp_path / "a.ppm", noise(5, 9, 3).convert(mode)
    one = encoded(image, "PPM")
    for more, says in ((b"", None), (b"\n", None), (b"x" * 20, "20 bytes behind its end were left out")):
        path.write_bytes(one + more)
        assert images.read(path).note == says
    for between in (b"", b"\n"):
        path.write_bytes(one + between + one)
        with pytest.raises(PellucidError, match="holds more than one image"):
            images.read(path)


@pytest.mark.parametrize("plain", [b"P1\n2 1\n0 1\n", b"P2\n# P2 grey\n2 1\n9\n0 9\n", b"P3\n1 1\n9\n0 9 9\n"])
def test_several_images_in_a_plain_ppm_are_refused(tmp_path: Path, plain: bytes) -> None:
    (tmp_path / "a.pnm").write_bytes(plain)
    assert images.read(tmp_path / "a.pnm").note is None
    (tmp_path / "a.pnm").write_bytes(plain * 2)
    with pytest.raises(PellucidError, match="holds more than one image"):
        images.read(tmp_path / "a.pnm")


@pytest.mark.parametrize("top", [65535, 1023])
def test_a_pgm_of_16_bits_keeps_them(tmp_path: Path, top: int) -> None:
    values = np.array([[0, 1, 2], [top // 2, top - 1, top]])
    (tmp_path / "a.pgm").write_bytes(b"P5 3 2 %d\n" % top + values.astype(">u2").tobytes())
    picture = images.read(tmp_path / "a.pgm")
    assert picture.note is None
    np.testing.assert_array_equal(picture.pixels, np.rint(values * 65535 / top).astype(np.uint16))
    target = images.targets_of(tmp_path / "a.pgm")[0]
    images.write(picture, target)
    np.testing.assert_array_equal(images.read(target).pixels, picture.pixels)
    (tmp_path / "a.pgm").write_bytes(b"P5 3 2 %d\n" % top + values.astype(">u2").tobytes() * 2)
    assert "12 bytes behind" in str(images.read(tmp_path / "a.pgm").note)


def test_a_ppm_of_16_bits_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + bytes(6))
    with pytest.raises(PellucidError, match="convert it to 16-bit TIFF"):
        images.read(tmp_path / "a.ppm")
