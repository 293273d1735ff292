"""What goes in comes out, as readers of other libraries see it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from pellucid import images
from pellucid.errors import PellucidError
from pellucid.images import metadata
from pellucid.images.formats import FORMATS, SUFFIXES

EXTRAS = {".heic": "pillow_heif", ".dng": "rawpy"}
EXACT = (".png", ".tif", ".webp")
MARK = f"{images.MARK}1.0: Method(), seed 0"


def decoder(suffix: str) -> Callable[[Path], np.ndarray[Any, Any]]:
    if suffix == ".tif":
        return tifffile.imread
    codecs = pytest.importorskip("imagecodecs")
    decode = getattr(codecs, f"{suffix[1:]}_decode")
    return lambda path: decode(path.read_bytes())


def exif_of(path: Path) -> bytes:
    """What exifread can be given: it knows no AVIF, and not every WebP and HEIF."""
    content = path.read_bytes()
    if path.suffix in (".jpg", ".png", ".tif"):
        return content
    return content[max(content.find(b"II*\0"), content.find(b"MM\0*")) :]


@pytest.mark.parametrize(
    "name",
    [
        *("grey.png", "colour.png", "alpha.png", "deepgrey.png", "deep.png", "deep.tif", "float.tif"),
        *("colour.webp", "lossless.webp", "colour.bmp"),
    ],
)
def test_pixels_are_read_as_others_read_them(corpus: dict[str, Path], name: str) -> None:
    if name not in corpus:
        pytest.skip("needs an extra")
    pixels = images.read(corpus[name]).pixels
    expected = decoder(Path(name).suffix)(corpus[name])
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == expected.dtype


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_pixels_are_written_as_others_read_them(tmp_path: Path, suffix: str, channels: int, dtype: Any) -> None:
    if (dtype != np.uint8 and suffix == ".webp") or (np.issubdtype(dtype, np.floating) and suffix != ".tif"):
        pytest.skip("the format has no such depth")
    if suffix == ".webp" and channels < 3:
        pytest.skip("the format has no grey")
    rng = np.random.default_rng(channels)
    values = rng.random((5, 7, channels))
    pixels = values.astype(dtype) if np.issubdtype(dtype, np.floating) else (values * np.iinfo(dtype).max).astype(dtype)
    pixels = pixels[..., 0] if channels == 1 else pixels
    read = decoder(suffix)
    picture = images.from_array(pixels)
    images.write(picture, tmp_path / f"out{suffix}")
    # As restored ones lie in memory: channel by channel.
    planes = np.ascontiguousarray(picture.colour.transpose(2, 0, 1)).transpose(1, 2, 0)
    images.write(replace(picture, colour=planes), tmp_path / f"planes{suffix}")
    there, back = read(tmp_path / f"out{suffix}"), images.read(tmp_path / f"out{suffix}").pixels
    for found in (there, back, read(tmp_path / f"planes{suffix}")):
        np.testing.assert_array_equal(found, pixels)
        assert found.dtype == dtype


@pytest.mark.parametrize("source", ["photo.jpg", "old.tif", "colour.png", "colour.webp", "phone.heic", "photo.avif"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_metadata_and_the_mark_are_read_by_others(
    corpus: dict[str, Path], tmp_path: Path, source: str, suffix: str
) -> None:
    exifread = pytest.importorskip("exifread")
    if suffix in EXTRAS:
        pytest.importorskip(EXTRAS[suffix])
    if source not in corpus or (suffix == ".avif" and not features.check("avif")):
        pytest.skip("needs an extra")
    before = images.read(corpus[source])
    path = tmp_path / f"out{suffix}"
    images.write(before.marked(MARK), path)
    found = exifread.process_file(io.BytesIO(exif_of(path)), details=False)
    tags = {name: str(value) for name, value in found.items()}
    assert tags["Image ImageDescription"] == f"a lake\n{MARK}"
    assert tags["Image Software"] == "pellucid 1.0"
    assert tags["Image Make"] == "Zeiss"
    # Pillow made question marks of him where it wrote the source.
    assert tags["Image Artist"] == ("J??rg" if source == "old.tif" else "Jörg")
    assert tags["EXIF ExposureTime"] == "1/200"
    assert tags["EXIF LensModel"] == "Tessar 50mm"
    assert tags["GPS GPSLatitude"] == "[47, 22, 30]"
    with Image.open(path) as image:
        assert image.info["icc_profile"] == before.metadata["icc_profile"]
    after = images.read(path).metadata
    assert after["icc_profile"] == before.metadata["icc_profile"]
    assert after.get("xmp") == before.metadata.get("xmp")
    # Restored again.
    images.write(images.read(path).marked(MARK), path)
    assert images.marks(images.read(path).metadata) == [MARK, MARK]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_table_is_sound(form: Any) -> None:
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in form.suffixes)
    target = images.targets_of(Path("a") / f"b{form.suffixes[0].upper()}")[0]
    assert images.check_suffix(target).holds
    assert (target.name == f"b{form.suffixes[0].upper()}") == bool(form.holds)
    assert len(set(SUFFIXES)) == sum(len(form.suffixes) for form in FORMATS)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_images_are_upright_and_their_headers_say_so(tmp_path: Path, suffix: str) -> None:
    if suffix in EXTRAS:
        pytest.importorskip(EXTRAS[suffix]).register_heif_opener()
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("L", (16, 24))
    stored.paste(255, (0, 0, 16, 8))  # its head is at the top: upright, at the right
    # HEIF has a field of its own for it, which is made of these bytes.
    stored.convert("RGB").save(tmp_path / f"a{suffix}", exif=exif.tobytes())
    picture = images.read(tmp_path / f"a{suffix}")
    assert picture.colour.shape == (16, 24, 3)
    assert images.sizes_of(tmp_path / f"a{suffix}") == [(16, 24)]
    assert picture.colour[:, :12].mean() < 20
    assert picture.colour[:, 18:].mean() > 235
    images.write(picture, tmp_path / f"b{suffix}")
    assert images.size_of(tmp_path / f"b{suffix}") == (16, 24)


def test_16_bit_colour_png_is_turned_and_keeps_what_it_says(tmp_path: Path) -> None:
    codecs = pytest.importorskip("imagecodecs")
    pixels = (np.random.default_rng(0).random((5, 7, 3)) * 65535).astype(np.uint16)
    exif = Image.Exif()
    exif[0x010E] = "a lake"
    images.write(images.from_array(pixels, {"exif": exif.tobytes(), "dpi": (300.0, 300.0)}), tmp_path / "a.png")
    np.testing.assert_array_equal(codecs.png_decode((tmp_path / "a.png").read_bytes()), pixels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.getexif()[0x010E] == "a lake"
        assert tuple(map(round, image.info["dpi"])) == (300, 300)
    exif[0x0112] = 6
    images.write(images.from_array(pixels, {"exif": exif.tobytes()}), tmp_path / "turned.png")
    picture = images.read(tmp_path / "turned.png")
    np.testing.assert_array_equal(picture.pixels, np.rot90(pixels, -1))
    assert images.size_of(tmp_path / "turned.png") == (7, 5)
    assert 0x0112 not in metadata.load(picture.metadata)


def test_depth_that_would_be_lost_without_a_word_is_refused(tmp_path: Path) -> None:
    codecs = pytest.importorskip("imagecodecs")
    pixels = (np.random.default_rng(0).random((16, 16, 3)) * 65535).astype(np.uint16)
    (tmp_path / "a.avif").write_bytes(codecs.avif_encode(pixels >> 6, bitspersample=10))
    (tmp_path / "a.jp2").write_bytes(codecs.jpeg2k_encode(pixels, level=0))
    (tmp_path / "a.ppm").write_bytes(b"P6 16 16 65535\n" + pixels.astype(">u2").tobytes())
    for name in ("a.avif", "a.jp2", "a.ppm"):
        with pytest.raises(PellucidError, match="deeper than the 8 bits"):
            images.read(tmp_path / name)


def test_a_preview_of_the_damaged_image_is_left_out(tmp_path: Path) -> None:
    piexif = pytest.importorskip("piexif")
    preview = tmp_path / "preview.jpg"
    Image.new("RGB", (8, 8)).save(preview)
    exif = piexif.dump({"0th": {270: b"a lake"}, "1st": {259: 6}, "thumbnail": preview.read_bytes()})
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", exif=exif)
    images.write(images.read(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert piexif.load(str(tmp_path / "a.jpg"))["thumbnail"] is not None
    found = piexif.load(str(tmp_path / "b.jpg"))
    assert found["thumbnail"] is None
    assert found["0th"][270] == b"a lake"
