"""Files and arrays of the kinds that public reports describe, each with the right value."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, PngImagePlugin

import pellucid
from pellucid import images
from pellucid.errors import PellucidError, UsageError
from pellucid.images import metadata
from pellucid.operators import Mask

LINE = f"{images.MARK}1.0: Method(), seed 0"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(depth: int, values: list[int], key: int) -> bytes:
    """One row of grey samples, of which those of the key are transparent."""
    bits = "".join(f"{value:0{depth}b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    row = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    head = struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"tRNS", struct.pack(">H", key)), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("last", [False, True])
def test_the_transparent_grey_of_every_depth(tmp_path: Path, depth: int, last: bool) -> None:
    if depth == 16:
        pytest.importorskip("imagecodecs")
    top = (1 << depth) - 1
    values, key = [0, 1, top, top // 2, 1], top if last else 1
    (tmp_path / "a.png").write_bytes(grey_png(depth, values, key))
    scale, full = (1, 65535) if depth == 16 else (255 // top, 255)
    alpha = [0 if value == key else full for value in values]
    picture = images.read(tmp_path / "a.png")
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [alpha]
    assert picture.colour[..., 0].tolist() == [[value * scale for value in values]]
    images.write(picture, tmp_path / "b.png")
    np.testing.assert_array_equal(images.read(tmp_path / "b.png").pixels, picture.pixels)
    for loaded in (False, True):
        with Image.open(tmp_path / "a.png") as image:
            if loaded:
                image.load()
            found = images.from_pil(image).alpha
            assert found is not None
            assert found.tolist() == [alpha]


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("colour", [False, True])
def test_what_tifffile_wrote_tifffile_reads_after_it_is_marked(tmp_path: Path, pages: int, colour: bool) -> None:
    shape = (*((pages,) if pages > 1 else ()), 5, 7, *((3,) if colour else ()))
    pixels = (np.random.default_rng(0).random(shape) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb" if colour else "minisblack")
    picture = images.read(tmp_path / "a.tif").marked(LINE)
    images.write(picture, tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)
    again = images.read(tmp_path / "b.tif")
    assert all(images.marks(page.metadata) == [LINE] for page in again.pages)
    images.write(again.marked(LINE), tmp_path / "c.tif")
    assert images.marks(images.read(tmp_path / "c.tif").metadata) == [LINE, LINE]
    # An image of another size, as super-resolution makes it.
    larger = images.bound([images.from_array(np.zeros((10, 14), np.uint8), page.metadata) for page in picture.pages])
    images.write(larger, tmp_path / "d.tif")
    assert tifffile.imread(tmp_path / "d.tif").shape == (*((pages,) if pages > 1 else ()), 10, 14)


def test_ome_stays_ome(tmp_path: Path) -> None:
    pixels = (np.random.default_rng(0).random((3, 5, 7)) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="minisblack", metadata={"axes": "CYX"})
    images.write(images.read(tmp_path / "a.ome.tif").marked(LINE), tmp_path / "b.ome.tif")
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "CYX"
        np.testing.assert_array_equal(tiff.asarray(), pixels)


@pytest.mark.parametrize("said", ['{"a": 3}', "<OME/>", "ImageJ=1.53t\nimages=3", "Aperio Image|AppMag = 20", "a = 3"])
def test_descriptions_with_a_syntax_stay_as_they_are(said: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = said
    marked = metadata.marked(metadata.marked({"exif": exif.tobytes()}, LINE), LINE)
    assert metadata.load(marked)[0x010E] == said
    assert metadata.marks(marked) == [LINE, LINE]
    assert metadata.marks(metadata.stripped(marked)) == [LINE, LINE]


def test_claims_of_what_is_gone_are_removed_and_said() -> None:
    image = Image.new("RGB", (2, 2))
    image.info["xmp"] = (
        b'<x><r GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" hdrgm:Version="1.0" dc:kept="a"/>'
        b"<Container:Directory><li>GainMap</li></Container:Directory></x>"
    )
    kept, note = metadata.of_pil(image)
    assert kept["xmp"] == b'<x><r dc:kept="a"/></x>'
    assert "video of its motion photo" in str(note)
    assert "gain map" in str(note)


def test_much_text_in_a_png_harms_no_pixels(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "x" * 3_000_000, zip=True)
    Image.new("RGB", (4, 3), "teal").save(tmp_path / "a.png", pnginfo=texts, icc_profile=bytes(2_000_000))
    picture = images.read(tmp_path / "a.png")
    assert picture.metadata["texts"]["Comment"] == "x" * 3_000_000
    assert len(picture.metadata["icc_profile"]) == 2_000_000


def test_a_mask_that_marks_nothing_is_refused(tmp_path: Path) -> None:
    painted = np.zeros((4, 4, 4), np.uint8)
    painted[1, 1, 3] = 255
    for name, pixels in (("black.png", painted[..., 0]), ("alpha.png", painted)):
        Image.fromarray(pixels).save(tmp_path / name)
        with pytest.raises(PellucidError, match=f"{name}: marks nothing"):
            Mask.read(tmp_path / name)


def test_floats_beyond_their_range_are_said_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bright = rng.random((8, 8, 3)).astype(np.float32) * 2
    tifffile.imwrite(tmp_path / "a.tif", bright, photometric="rgb")
    assert "of its values are beyond [0, 1]" in str(images.read(tmp_path / "a.tif").note)
    assert images.from_array(bright / 2).note is None
    assert images.from_array(bright / 2 + 0.001).note is None
    with pytest.raises(UsageError, match=r"seems to be in \[-1, 1\]"):
        images.from_array(bright - 1)
    assert images.from_array(rng.normal(0.5, 0.4, (8, 8)).astype(np.float32)).note is not None


@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_of_any_byte_order(order: str) -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 900
    swapped = pixels.astype(f"{order}u2")
    np.testing.assert_array_equal(images.from_array(swapped).pixels, pixels)
    assert images.from_array(swapped).pixels.dtype.isnative


def test_masked_arrays() -> None:
    pixels = np.ma.MaskedArray(np.zeros((4, 4), np.uint8))
    assert images.from_array(pixels).alpha is None
    pixels[1, 1] = np.ma.masked
    with pytest.raises(UsageError, match="masked pixels"):
        images.from_array(pixels)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.zeros(1, 3, 4, 4, device="meta"), "one without values"),
        (torch.zeros(1, 3, 4, 4).to_sparse(), "sparse"),
        (torch.zeros(1, 3, 4, 4).to(torch.float8_e4m3fn), "float8"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "uint8"),
    ],
)
def test_tensors_that_are_none_of_ours(tensor: torch.Tensor, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        pellucid.restore(tensor)


def test_hyper_parameters_of_another_kind() -> None:
    values: dict[str, Any] = {"strength": "x"}
    with pytest.raises(UsageError):
        pellucid.restore(np.zeros((4, 4, 3), np.uint8), **values)


def test_the_shape_of_several_sizes_is_no_shape() -> None:
    exif = Image.Exif()
    exif[0x010E] = json.dumps({"shape": [2, 5, 7]})
    metadata.make_true(exif, [(5, 7), (4, 4)])
    assert 0x010E not in exif


def test_a_jpeg_that_is_cut_off_is_kept_where_that_is_said(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    whole = images.read(tmp_path / "a.jpg")
    assert images.read(tmp_path / "a.jpg", "keep").note is None
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(PellucidError, match="damaged"):
        images.read(tmp_path / "a.jpg")
    kept = images.read(tmp_path / "a.jpg", "keep")
    assert "truncated" in str(kept.note)
    np.testing.assert_array_equal(kept.pixels[:24], whole.pixels[:24])


@pytest.mark.parametrize("deep", [False, True])
def test_which_colours_the_numbers_of_a_png_are(tmp_path: Path, deep: bool) -> None:
    if deep:
        pytest.importorskip("imagecodecs")
    chunks = {
        b"gAMA": struct.pack(">I", 100_000),
        b"cHRM": struct.pack(">8I", *[30_000] * 8),
        b"cICP": bytes([9, 16, 0, 1]),
    }
    pixels = np.zeros((3, 4, 3), np.uint16 if deep else np.uint8)
    images.write(images.from_array(pixels, {"chunks": chunks}), tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    assert picture.metadata["chunks"] == chunks
    assert picture.stripped().metadata["chunks"] == chunks
    with pytest.raises(PellucidError, match=r"gAMA.*name the output \.png"):
        images.check_holds(picture, tmp_path / "a.tif")
    usual = images.from_array(pixels, {"chunks": {b"gAMA": struct.pack(">I", 45455), b"sRGB": b"\0"}})
    images.check_holds(usual, tmp_path / "a.tif")


@pytest.mark.parametrize(("top", "says"), [(255, None), (1023, "10 bits do: multiply them by 64"), (4096, None)])
def test_values_of_fewer_bits_in_16_are_said(top: int, says: str | None) -> None:
    note = images.from_array(np.array([[0, top]], np.uint16)).note
    assert note is None if says is None else str(note).endswith(says)


def test_values_of_12_bits_are_said_in_a_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.arange(4096, dtype=np.uint16).reshape(64, 64))
    note = images.read(tmp_path / "a.tif").note
    assert note == "its values end at 4095 of 65535, as those of 12 bits do: multiply them by 16"
