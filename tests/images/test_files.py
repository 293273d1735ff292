from __future__ import annotations

import os
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pellucid import images
from pellucid.errors import PellucidError

RNG = np.random.default_rng(0)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


# What the formats have no place for is left out: BMP transparency, WebP grey.
@pytest.mark.parametrize(
    ("suffix", "shape"),
    [(suffix, shape) for suffix in (".png", ".tif") for shape in ((5, 7), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3))]
    + [(".bmp", (5, 7)), (".bmp", (5, 7, 3)), (".bmp", (1, 1, 3)), (".webp", (5, 7, 3)), (".webp", (5, 7, 4))],
)
def test_8_bits_come_back_as_they_were(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    path = tmp_path / f"image{suffix}"
    images.write(images.from_array(pixels), path)
    np.testing.assert_array_equal(images.read(path).pixels, pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    pixels = noise(5, 7, dtype=np.uint16)
    images.write(images.from_array(pixels), tmp_path / f"image{suffix}")
    np.testing.assert_array_equal(images.read(tmp_path / f"image{suffix}").pixels, pixels)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_comes_back_as_it_was_from_tiff(tmp_path: Path, channels: int) -> None:
    pixels = noise(5, 7, channels, dtype=np.uint16)
    images.write(images.from_array(pixels, {"icc_profile": ICC, "dpi": (300.0, 300.0)}), tmp_path / "image.tif")
    back = images.read(tmp_path / "image.tif")
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.metadata["icc_profile"] == ICC
    assert back.metadata["dpi"] == (300.0, 300.0)


def test_16_bit_colour_in_planes_is_read(tmp_path: Path) -> None:
    pixels = noise(3, 5, 7, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "image.tif", pixels, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(images.read(tmp_path / "image.tif").pixels, np.moveaxis(pixels, 0, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, deep: bool) -> None:
    upright, path = noise(4, 6, 3), tmp_path / "image.tif"
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}
    stored = Image.fromarray(upright)
    for turn in undo.get(orientation, []):
        stored = stored.transpose(Image.Transpose(turn))
    if deep:
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, np.asarray(stored).astype(np.uint16) * 257, photometric="rgb", extratags=[tag])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(path, exif=exif)
    assert images.size_of(path) == upright.shape[:2]
    picture = images.read(path)
    np.testing.assert_array_equal(picture.pixels, upright.astype(np.uint16) * 257 if deep else upright)
    images.write(picture, tmp_path / "again.tif")
    np.testing.assert_array_equal(images.read(tmp_path / "again.tif").pixels, picture.pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_metadata_is_kept(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    exif[0x0112] = 6
    Image.fromarray(noise(8, 12, 3)).save(tmp_path / "in.jpg", exif=exif, icc_profile=ICC, dpi=(300, 300))
    images.write(images.read(tmp_path / "in.jpg"), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as out:
        assert out.info["icc_profile"] == ICC
        assert out.getexif()[0x010E] == "a description"
        assert out.getexif().get(0x0112, 1) == 1
        if suffix != ".webp":  # which has no field for it
            assert tuple(map(round, out.info["dpi"])) == (300, 300)
        assert out.size == (8, 12)


@pytest.mark.parametrize(("mode", "comes_back"), [("1", "L"), ("P", "RGB"), ("L", "L"), ("RGB", "RGB"), ("LA", "LA")])
def test_modes(tmp_path: Path, mode: str, comes_back: str) -> None:
    source = Image.fromarray(noise(5, 7, 3)).convert(mode)
    source.save(tmp_path / "in.png")
    picture = images.read(tmp_path / "in.png")
    assert images.to_pil(picture).mode == comes_back
    np.testing.assert_array_equal(picture.pixels, np.asarray(source.convert(comes_back)))


def test_a_transparent_palette_keeps_its_transparency(tmp_path: Path) -> None:
    source = Image.fromarray(noise(5, 7) % 4).convert("P")
    source.save(tmp_path / "in.png", transparency=0)
    picture = images.read(tmp_path / "in.png")
    assert picture.alpha is not None
    assert picture.colour.shape == (5, 7, 3)


# --- bad input ------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG that claims a size and holds nothing."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def tiff_header(width: int, height: int) -> bytes:
    """A TIFF that claims a size and holds nothing."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 8)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


def bad_files(folder: Path) -> dict[str, Path]:
    whole = folder / "whole.png"
    Image.fromarray(noise(64, 64, 3)).save(whole)
    made = {
        "missing": folder / "missing.png",
        "folder": folder,
        "text": folder / "text.jpg",
        "empty": folder / "empty.png",
        "truncated": folder / "truncated.png",
        "bomb": folder / "bomb.png",
        "large": folder / "large.png",
        "lab": folder / "lab.tif",
        "animation": folder / "animation.gif",
        "integers": folder / "integers.tif",
        "scaled": folder / "scaled.tif",
        "planes": folder / "planes.tif",
        "premultiplied": folder / "premultiplied.tif",
        "no sides": folder / "no sides.png",
        "large tiff": folder / "large.tif",
        "truncated tiff": folder / "truncated.tif",
    }
    made["text"].write_text("not an image")
    made["empty"].write_bytes(b"")
    made["truncated"].write_bytes(whole.read_bytes()[:2000])
    made["bomb"].write_bytes(png_header(20_000, 20_000))
    made["large"].write_bytes(png_header(13_000, 12_000))
    Image.new("LAB", (8, 8)).save(made["lab"])
    frames = [Image.fromarray(noise(8, 8)) for _ in range(2)]
    frames[0].save(made["animation"], save_all=True, append_images=frames[1:])
    made["no sides"].write_bytes(png_header(0, 4))
    tifffile.imwrite(made["integers"], np.ones((4, 4), np.int32))
    tifffile.imwrite(made["scaled"], np.full((4, 4), 200, np.float32))
    tifffile.imwrite(made["planes"], np.ones((4, 4, 7), np.uint16), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(
        made["premultiplied"], np.ones((4, 4, 4), np.uint16), photometric="rgb", extrasamples=["assocalpha"]
    )
    made["large tiff"].write_bytes(tiff_header(12_000, 13_000))
    tifffile.imwrite(made["truncated tiff"], noise(64, 64, 3, dtype=np.uint16), photometric="rgb")
    made["truncated tiff"].write_bytes(made["truncated tiff"].read_bytes()[:3000])
    return made


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("folder", "is a folder"),
        ("text", "is no image"),
        ("empty", "is empty: copy it again"),
        ("truncated", "damaged"),
        ("bomb", "megapixels"),
        ("large", "156 megapixels"),
        ("lab", "mode LAB"),
        ("animation", "2 images"),
        ("integers", "int32"),
        ("scaled", "divide it first"),
        ("planes", "7 channels"),
        ("premultiplied", "premultiplied"),
        ("no sides", "is no image"),
        ("large tiff", "156 megapixels"),
        ("truncated tiff", r"is damaged, not all of it can be read.*: copy it again$"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, kind: str, says: str) -> None:
    path = bad_files(tmp_path)[kind]
    with pytest.raises(PellucidError, match=says) as error:
        images.read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_decoders_own_words_are_no_reason(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(64, 64))
    content = (tmp_path / "a.tif").read_bytes()
    for length in range(9, 300, 7):
        (tmp_path / "b.tif").write_bytes(content[:length])
        with pytest.raises(PellucidError) as error:
            images.read(tmp_path / "b.tif")
        assert not re.search(r"index|NoneType|subscript|attribute|KeyError", str(error.value)), error.value


@pytest.mark.parametrize(
    ("pixels", "name", "says"),
    [
        (noise(4, 4, 4), "out.jpg", "no transparency"),
        (noise(4, 4, 3, dtype=np.uint16), "out.webp", "no 16-bit colour: name the output .png or .tif"),
        (np.ones((4, 4), np.float32), "out.png", "no floats"),
        (noise(4, 4), "out.gif", "cannot write .gif"),
        (noise(4, 4), "out.dng", "cannot write .dng"),
        (noise(4, 4, dtype=np.uint16), "out.jpg", "no 16-bit grey"),
        (noise(4, 4), "out.xyz", "cannot write .xyz"),
        (noise(4, 4), "out", "without a suffix"),
        (noise(4, 4), "no/such/folder/out.png", "cannot be written"),
    ],
)
def test_what_cannot_be_written_leaves_no_trace(tmp_path: Path, pixels: Any, name: str, says: str) -> None:
    with pytest.raises(PellucidError, match=says):
        images.write(images.from_array(pixels), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PellucidError, match="No space left"):
        images.write(images.from_array(noise(4, 4)), path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"precious"]


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".tif", ".webp"])
def test_what_a_file_holds_counts_and_not_its_name(tmp_path: Path, suffix: str) -> None:
    pixels = noise(5, 7, 3)
    for kind in ("PNG", "TIFF"):
        Image.fromarray(pixels).save(tmp_path / f"image{suffix}", kind)
        np.testing.assert_array_equal(images.read(tmp_path / f"image{suffix}").pixels, pixels)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PellucidError, match="is a pipe"):
        images.read(tmp_path / "pipe.png")


def test_what_a_format_has_no_room_for_is_said(tmp_path: Path) -> None:
    picture = images.from_array(noise(4, 4, 3), {"xmp": b"x" * 70_000})
    with pytest.raises(PellucidError, match="JPEG cannot hold its metadata"):
        images.write(picture, tmp_path / "out.jpg")
    assert list(tmp_path.iterdir()) == []
    images.write(picture, tmp_path / "out.tif")
    assert images.read(tmp_path / "out.tif").metadata["xmp"] == picture.metadata["xmp"]


@pytest.mark.parametrize(
    ("library", "name", "extra"),
    [("imagecodecs", "deep.png", "deep"), ("pillow_heif", "phone.heic", "heif"), ("rawpy", "raw.dng", "raw")],
)
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, name: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(60) if name == "phone.heic" else png_header(4, 4, depth=16))
    with pytest.raises(PellucidError, match=rf"pellucid\[{extra}\]"):
        images.read(path)
