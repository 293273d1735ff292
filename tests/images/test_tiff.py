from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pellucid import images
from pellucid.errors import PellucidError
from pellucid.images.picture import upright


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(0).random(shape) * np.iinfo(dtype).max).astype(dtype)


def test_pages_of_any_kind_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = [noise(5, 7, 3), noise(9, 4, dtype=np.uint16), noise(3, 3, 4, dtype=np.uint16), noise(2, 2) / 255]
    pages = [images.from_array(array, {"dpi": (100.0 * i, 100.0 * i)}) for i, array in enumerate(arrays, 1)]
    images.write(images.bound(pages).marked(f"{images.MARK}1"), tmp_path / "a.tif")
    assert images.sizes_of(tmp_path / "a.tif") == [(5, 7), (9, 4), (3, 3), (2, 2)]
    back = images.read(tmp_path / "a.tif").pages
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 4
        for array, page, picture, number in zip(arrays, tiff.pages, back, range(1, 5), strict=True):
            np.testing.assert_array_equal(page.asarray(), array)
            np.testing.assert_array_equal(picture.pixels, array)
            assert picture.pixels.dtype == array.dtype
            assert picture.metadata["dpi"] == (100.0 * number, 100.0 * number)
            assert images.marks(picture.metadata) == [f"{images.MARK}1"]


def test_previews_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(8, 8), photometric="minisblack")
        writer.write(noise(2, 2), photometric="minisblack", subfiletype=1)
    assert images.read(tmp_path / "a.tif").more == ()


def test_other_formats_take_no_pages(tmp_path: Path) -> None:
    picture = images.bound([images.from_array(noise(2, 2))] * 3)
    with pytest.raises(PellucidError, match="PNG has one page, not 3: name the output"):
        images.write(picture, tmp_path / "a.png")
    with pytest.raises(PellucidError, match="one page, not 3"):
        images.to_pil(picture)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_may_be_zero(tmp_path: Path, dtype: Any) -> None:
    pixels = noise(4, 5, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(dtype).max - pixels, photometric="miniswhite")
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["grey", "deep grey", "transparent", "ink"])
def test_an_uncompressed_page_is_turned_as_it_says(tmp_path: Path, orientation: int, kind: str) -> None:
    channels = {"transparent": (4,), "ink": (4,)}.get(kind, ())
    pixels = noise(5, 7, *channels, dtype=np.uint16 if kind == "deep grey" else np.uint8)
    photometric = {"transparent": "rgb", "ink": "separated"}.get(kind, "minisblack")
    extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if kind == "transparent" else {}
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, extratags=[tag], **extra)
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric=photometric, **extra)
    expected = upright(images.read(tmp_path / "b.tif").pixels, orientation)
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").pixels, expected)


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}, {"rowsperstrip": 1}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_layouts(tmp_path: Path, options: dict[str, Any], dtype: Any) -> None:
    pixels = noise(20, 33, 3, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", description="a lake", metadata=None, **options)
    picture = images.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.note is None
    images.write(picture, tmp_path / "b.png" if dtype == np.uint8 else tmp_path / "b.tif")
    with Image.open(tmp_path / ("b.png" if dtype == np.uint8 else "b.tif")) as image:
        assert image.getexif()[0x010E] == "a lake"
        # How the pixels of the input were stored is no matter of the output.
        assert 0x0142 not in image.getexif()


def test_a_compression_that_needs_a_library_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(8, 8, 3, dtype=np.uint16), photometric="rgb", compression="zstd")
    np.testing.assert_array_equal(images.read(path).pixels, tifffile.imread(path))

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.ZSTD: 50000> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    with pytest.raises(PellucidError, match=r"pellucid\[deep\]"):
        images.read(path)


def test_notes_of_the_library_stay_off_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(64, 64, 3, dtype=np.uint16), photometric="rgb")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(PellucidError):
        images.read(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_channel_that_nobody_has_named_is_not_lost(tmp_path: Path, dtype: Any) -> None:
    pixels = noise(4, 5, 4, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
    picture = images.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == dtype
    tifffile.imwrite(tmp_path / "b.tif", noise(4, 5, 5), photometric="rgb", planarconfig="contig")
    with pytest.raises(PellucidError, match="5 channels"):
        images.read(tmp_path / "b.tif")


def test_a_kind_that_cannot_be_decoded_is_not_called_damaged(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 5, 3)).convert("YCbCr").save(tmp_path / "a.tif")
    with pytest.raises(
        PellucidError, match=r"a\.tif: YCbCr TIFF without compression cannot be read: convert it to RGB"
    ):
        images.read(tmp_path / "a.tif")


def test_a_page_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(4, 5, 3), photometric="rgb")
        writer.write(noise(4, 5, 5), photometric="rgb", planarconfig="contig")
    with pytest.raises(PellucidError, match=r"a\.tif: page 2: has 5 channels"):
        images.read(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_name_place_and_number_of_a_page_are_kept(tmp_path: Path, dtype: Any) -> None:
    about: dict[int, Any] = {269: "Album 3", 285: "leaf 12", 286: (3, 2), 287: (1, 4), 297: (1, 2)}
    kinds = {269: 2, 285: 2, 286: 5, 287: 5, 297: 3}
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for _ in range(2):
            tags = [(tag, kinds[tag], 2 if tag == 297 else 1, value, True) for tag, value in about.items()]
            writer.write(noise(4, 5, 3, dtype=dtype), photometric="rgb", metadata=None, extratags=tags)
    images.write(images.read(tmp_path / "a.tif").marked(f"{images.MARK}1"), tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(tmp_path / "b.tif") as after:
        assert len(after.pages) == 2
        for page, kept in zip(before.pages, after.pages, strict=True):
            assert {tag: kept.tags[tag].value for tag in about} == {tag: page.tags[tag].value for tag in about}


def test_deep_ones_need_more_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((2000, 2001, 3)), photometric="rgb", compression="zlib")
    monkeypatch.setattr("pellucid.images.formats.free_memory", lambda: 280_000_000)
    with pytest.raises(PellucidError, match=r"deep\.tif: has 4 megapixels, which take 0\.3 GB of memory to read"):
        images.read(tmp_path / "deep.tif")


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("resolution", "unit"), [((300, 200), "INCH"), ((300, 200), "NONE"), ((72, 72), "NONE"), ((1, 1), "NONE")]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_resolution_keeps_its_unit(
    tmp_path: Path, resolution: tuple[int, int], unit: str, dtype: Any, orientation: int
) -> None:
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(
        tmp_path / "a.tif", noise(5, 7, dtype=dtype), resolution=resolution, resolutionunit=unit, extratags=[tag]
    )
    images.write(images.read(tmp_path / "a.tif").marked(f"{images.MARK}1"), tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        page = tiff.pages.first
        assert page.resolutionunit == tifffile.RESUNIT[unit]
        assert page.get_resolution() == (resolution if orientation == 1 else resolution[::-1])


def test_the_shape_of_pixels_goes_from_format_to_format(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(5, 7), resolution=(1.5, 1), resolutionunit="NONE")
    for before, after in pairwise(("a.tif", "b.png", "c.jpg", "d.tif")):
        picture = images.read(tmp_path / before)
        assert images.left_out(picture, tmp_path / after) is None
        images.write(picture, tmp_path / after)
    with tifffile.TiffFile(tmp_path / "d.tif") as tiff:
        assert tiff.pages.first.resolutionunit == tifffile.RESUNIT.NONE
        assert tiff.pages.first.get_resolution() == (3, 2)


def test_a_tag_of_another_kind_than_usual_is_kept(tmp_path: Path) -> None:
    """A damaged number makes a short one of a text's tag."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (5.0, 30.0, 0.0)})
    content = exif.tobytes()
    # A kind of file, and bits of samples: whole numbers both.
    for before, after in ((b"\0\1\0\2\0\0\0\2N", b"\0\xff\0\2\0\0\0\2N"), (b"\0\2\0\5", b"\1\2\0\5")):
        assert content.count(before) == 1
        content = content.replace(before, after)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=content)
    images.write(images.read(tmp_path / "a.jpg"), tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as back:
        assert back.getexif().get_ifd(0x8825) == {0x00FF: "N", 0x0102: (5.0, 30.0, 0.0)}
