"""Nothing of a file is lost without a word: pages, depth, colours, comments, the shape of pixels."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin, features

from pellucid import images
from pellucid.errors import PellucidError
from pellucid.images import colours

from .conftest import noise, saved

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
PHOTO = Image.fromarray(noise(12, 16, 3))


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments: bytes, behind: bytes = b"", **options: Any) -> bytes:
    """A JPEG with segments behind its first, which is JFIF's, of 20 bytes with the signature."""
    content = saved(PHOTO, "JPEG", **options)
    return content[:20] + b"".join(segments) + content[20:] + behind


def read(folder: Path, name: str, content: bytes) -> images.Picture:
    (folder / name).write_bytes(content)
    return images.read(folder / name)


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("imagej", [False, True])
def test_images_without_directories_of_their_own_are_not_passed_over(tmp_path: Path, imagej: bool) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(5, 12, 16), photometric="minisblack", imagej=imagej, truncate=True)
    with pytest.raises(PellucidError, match="holds 5 images"):
        images.read(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", noise(5, 12, 16), photometric="minisblack", imagej=imagej)
    assert len(images.read(tmp_path / "b.tif").pages) == 5


def test_slices_of_a_page_are_not_passed_over(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(5, 12, 16), photometric="minisblack", volumetric=True)
    with pytest.raises(PellucidError, match="5 slices"):
        images.read(tmp_path / "a.tif")


def test_a_preview_is_not_taken_for_the_picture(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(6, 8, 3), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        writer.write(noise(24, 32, 3), photometric="rgb", metadata=None)
    with pytest.raises(PellucidError, match="preview alone"):
        images.read(tmp_path / "a.tif")


# --- colours ---------------------------------------------------------------------------------------------------------


def transformed(profile: bytes, pixels: Image.Image) -> np.ndarray[Any, Any]:
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    done = ImageCms.profileToProfile(pixels, given, SRGB, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    assert done is not None
    return np.asarray(done).astype(int)


@pytest.mark.parametrize(
    "chunks",
    [
        {b"cICP": bytes([1, 13, 0, 1])},
        {b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)},
    ],
)
def test_the_profile_of_srgbs_numbers_is_srgb(chunks: dict[bytes, bytes]) -> None:
    profile = colours.profile(chunks)
    assert profile is not None
    assert np.abs(transformed(profile, PHOTO) - np.asarray(PHOTO)).max() <= 1


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_the_curve_of_a_profile_is_that_of_gama(gamma: float) -> None:
    profile = colours.profile({b"gAMA": struct.pack(">I", round(100_000 / gamma))})
    assert profile is not None
    grey = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    light = (np.arange(256) / 255) ** gamma
    wanted = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found = transformed(profile, Image.fromarray(np.ascontiguousarray(grey)))[0, :, 1]
    assert np.abs(found - wanted).max() <= 1.5


def test_red_of_p3_is_that_of_others_profiles() -> None:
    profile = colours.profile({b"cICP": bytes([12, 13, 0, 1])})
    assert profile is not None
    red = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.red_primary
    assert red is not None
    # Of the profile that Apple's programs call Display P3.
    assert red[0] == pytest.approx((0.51512, 0.24120, -0.00105), abs=5e-4)


@pytest.mark.parametrize(
    "chunks",
    [
        {b"cICP": bytes([9, 16, 0, 1])},
        {b"cICP": bytes([9, 18, 0, 1])},
        {b"cICP": b"\1"},
        {b"gAMA": bytes(4)},
        {b"gAMA": b"\0\0\0\1"},
        {b"cHRM": bytes(32)},
        {b"cHRM": struct.pack(">8I", *[30_000] * 8)},
    ],
)
def test_numbers_that_no_profile_says(chunks: dict[bytes, bytes]) -> None:
    assert colours.profile(chunks) is None


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a.webp"])
def test_colours_of_a_png_become_a_profile(tmp_path: Path, name: str) -> None:
    chunks = {b"cICP": bytes([12, 13, 0, 1])}
    images.write(images.from_array(noise(12, 16, 3), {"chunks": chunks}), tmp_path / name)
    assert images.read(tmp_path / name).metadata["icc_profile"] == colours.profile(chunks)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 16), (2, 2), (1, 13)])
def test_colours_by_numbers(tmp_path: Path, kind: str, primaries: int, transfer: int) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif not features.check("avif"):
        pytest.skip("needs AVIF")
    content = saved(PHOTO, kind)
    place = content.index(b"nclx") + 4
    content = content[:place] + struct.pack(">HH", primaries, transfer) + content[place + 4 :]
    name = f"a.{kind.lower()}"
    picture = read(tmp_path, name, content)
    usual = (primaries, transfer) in ((2, 2), (1, 13))
    assert picture.metadata.get("chunks") == (None if usual else {b"cICP": bytes([primaries, transfer, 0, 1])})
    if transfer == 16:
        with pytest.raises(PellucidError, match="cICP"):
            images.check_holds(picture, tmp_path / name)
    images.check_holds(picture, tmp_path / "a.png")


def test_depth_of_an_avif_without_a_word_of_it(tmp_path: Path) -> None:
    codecs = pytest.importorskip("imagecodecs")
    deep = bytes(codecs.avif_encode(noise(12, 16, 3, dtype=np.uint16) >> 6, bitspersample=10))
    with pytest.raises(PellucidError, match="deeper than the 8 bits"):
        read(tmp_path, "a.avif", deep.replace(b"pixi", b"free"))


# --- the rest --------------------------------------------------------------------------------------------------------


def test_all_comments_of_a_jpeg_are_kept(tmp_path: Path) -> None:
    picture = read(tmp_path, "a.jpg", jpeg(segment(0xFE, b"one"), segment(0xFE, b"two")))
    images.write(picture, tmp_path / "b.jpg")
    assert images.read(tmp_path / "b.jpg").metadata["comment"] == b"one\ntwo"


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_shape_of_a_jpegs_pixels_and_its_resolution_turn_with_it(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg(exif=exif.tobytes())
    shaped = read(tmp_path, "a.jpg", content[:13] + struct.pack(">BHH", 0, 2, 1) + content[18:])
    images.write(shaped, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        assert (image.info["jfif_unit"], image.info["jfif_density"]) == (0, (2, 1) if orientation == 1 else (1, 2))
    resolved = read(tmp_path, "c.jpg", jpeg(exif=exif.tobytes(), dpi=(300, 100)))
    assert resolved.metadata["dpi"] == ((300, 100) if orientation == 1 else (100, 300))


@pytest.mark.parametrize(("tags", "dpi"), [({}, None), ({0x011A: 240, 0x011B: 240, 0x0128: 2}, (240, 240))])
def test_no_resolution_of_a_jpeg_is_invented(tmp_path: Path, tags: dict[int, int], dpi: tuple[int, int] | None) -> None:
    exif = Image.Exif()
    exif.update({0x010F: "a maker", **tags})
    picture = read(tmp_path, "a.jpg", jpeg(exif=exif.tobytes()))
    assert picture.metadata.get("dpi") == dpi
    images.write(picture, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        assert (image.info["jfif_unit"], image.info["jfif_density"]) == ((0, (1, 1)) if dpi is None else (1, dpi))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (jpeg(behind=b"of another program"), "18 bytes behind its end"),
        (jpeg(behind=bytes(500)), None),
        (jpeg(segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x1ejumb" + bytes(22))), "content credentials"),
        (jpeg(segment(0xED, b"Photoshop 3.0\x008BIM\x07\xd0\0\0\0\0\0\x1a" + bytes(26))), "its paths"),
    ],
)
def test_what_does_not_come_out_of_a_jpeg_is_said(tmp_path: Path, content: bytes, says: str | None) -> None:
    note = read(tmp_path, "a.jpg", content).note
    assert note is None if says is None else says in str(note)


def test_the_end_of_a_jpeg_is_not_looked_for_in_what_it_holds(tmp_path: Path) -> None:
    # An end, and a film, in a comment are none.
    comment = b"\xff\xd9\0\0\0\x18ftypmp42" + b"more of it"
    assert read(tmp_path, "a.jpg", jpeg(segment(0xFE, comment))).note is None


@pytest.mark.parametrize(
    ("kind", "says"), [(b"caBX", "content credentials"), (b"oFFs", "chunks oFFs"), (b"bKGD", None), (b"cLLI", None)]
)
def test_what_does_not_come_out_of_a_png_is_said(tmp_path: Path, kind: bytes, says: str | None) -> None:
    content = saved(PHOTO, "PNG")
    chunk = struct.pack(">I", 8) + kind + bytes(8) + struct.pack(">I", zlib.crc32(kind + bytes(8)))
    note = read(tmp_path, "a.png", content[:33] + chunk + content[33:]).note
    assert note is None if says is None else says in str(note)


def test_what_an_outputs_format_has_no_place_for_is_named(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a lake")
    picture = read(tmp_path, "a.png", saved(PHOTO, "PNG", pnginfo=texts, dpi=(300, 300)))
    assert images.left_out(picture, Path("b.png")) is None
    assert images.left_out(picture, Path("b.jpg")) == "JPEG has no place for its texts"
    assert images.left_out(picture, Path("b.webp")) == "WebP has no place for its resolution, texts"
    assert images.left_out(picture.stripped(), Path("b.webp")) is None


def test_a_format_without_metadata_loses_the_record_alone_of_a_picture_without_exif() -> None:
    bare = images.from_array(noise(12, 16, 3))
    restored = bare.marked(f"{images.MARK}1.0: a test")
    assert images.left_out(restored, Path("b.bmp"), bare) == "BMP has no place for its record of the restoration"
    assert images.left_out(restored, Path("b.bmp"), restored) == "BMP has no place for its EXIF"
