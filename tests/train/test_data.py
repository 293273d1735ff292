from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import PellucidError
from pellucid.train.data import Crops, Photographs, batches, crop, decode, find, split

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five images in two folders, one of them grey, and three files that are no use."""
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for index, name in enumerate(["a.png", "b.jpg", "sub/c.png", "sub/d.png"]):
        Image.fromarray(RNG.integers(0, 255, (40 + index, 50, 3), np.uint8)).save(data / name)
    Image.fromarray(RNG.integers(0, 255, (64, 64), np.uint8)).save(data / "grey.png")
    Image.new("RGB", (8, 8)).save(data / "small.png")
    (data / "broken.png").write_bytes(b"nothing")
    (data / "notes.txt").write_text("nothing")
    return data


def test_a_tar_is_its_folder(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        tar.add(folder, ".")
    there, packed = find(folder), find(tmp_path / "data.tar")
    assert [s.name for s in there] == [s.name.removeprefix("./") for s in packed]
    assert [s.read() for s in there] == [s.read() for s in packed]


def test_the_broken_and_the_small_are_left_out_and_named(folder: Path) -> None:
    photographs = Photographs(find(folder), smallest=32)
    assert len(photographs) == 5
    assert {name for name, _ in photographs.skipped} == {"broken.png", "small.png"}
    assert all(image.shape[2] == 3 for image in photographs)


def test_images_beyond_the_memory_are_read_again(folder: Path) -> None:
    kept, read = (Photographs(find(folder), smallest=32, memory=memory) for memory in (1e9, 0))
    for a, b in zip(kept, read, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("what", ["missing", "empty", "file", "useless"])
def test_what_holds_no_images_is_said(folder: Path, tmp_path: Path, what: str) -> None:
    place = tmp_path / what
    if what == "empty":
        place.mkdir()
    elif what == "file":
        place.write_text("nothing")
    elif what == "useless":
        place = folder
    with pytest.raises(PellucidError, match=what if what != "useless" else "none of the 7"):
        Photographs(find(place), smallest=1000)


def test_the_split_is_by_name_and_stable(folder: Path) -> None:
    sources = find(folder)
    training, held = split(sources, 2)
    assert sorted(s.name for s in training + held) == [s.name for s in sources]
    assert len(held) == 2
    fewer = [s for s in sources if s not in training[:1]]
    assert split(fewer, 2)[1] == held


def test_crops_do_not_depend_on_threads_batches_or_where_one_begins(folder: Path) -> None:
    photographs = Photographs(find(folder), smallest=32)
    crops = [Crops(photographs, 32, seed=1) for _ in range(3)]
    one = [crops[0].batch([n])[0] for n in range(24)]
    for start, batch, workers in ((0, 4, 1), (8, 8, 3)):
        stream = batches(crops[1], start, batch, workers=workers)
        for first in range(start, 24, batch):
            np.testing.assert_array_equal(next(stream), np.stack(one[first : first + batch]))
        stream.close()  # type: ignore[attr-defined]
    ranks = [batches(crops[2], 0, 4, rank=rank, world=2) for rank in range(2)]
    shares = [next(stream) for stream in ranks]
    np.testing.assert_array_equal(shares[0], np.stack(one[0:4:2]))
    np.testing.assert_array_equal(shares[1], np.stack(one[1:4:2]))


def test_every_image_is_used_once_before_any_is_used_again() -> None:
    flat = [np.full((32, 32, 3), value, np.uint8) for value in range(7)]
    crops = Crops(flat, 32, seed=0)
    for epoch in range(3):
        values = crops.batch(range(7 * epoch, 7 * epoch + 7))[:, 0, 0, 0]
        assert sorted(values.tolist()) == list(range(7))


def test_crops_are_pieces_of_the_image() -> None:
    rows, columns = np.mgrid[0:100, 0:120].astype(np.uint8)
    image = np.stack([rows, columns, rows], 2)
    scales = set()
    for seed in range(40):
        piece = crop(image, 32, np.random.default_rng(seed)).astype(int)
        assert piece.shape == (32, 32, 3)
        slope = abs(piece[5, 30, 1] - piece[5, 1, 1]) / 29
        scales.add(round(slope, 1))
    assert 1.0 in scales
    assert max(scales) > 1.5
    assert max(scales) <= 100 / 32 + 0.15


def test_images_are_decoded_upright_and_16_bits_are_not_cut(tmp_path: Path) -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(file, "JPEG", exif=exif)
    assert decode(file.getvalue(), 3).shape == (30, 20, 3)
    deep = io.BytesIO()
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(deep, "PNG")
    assert decode(deep.getvalue(), 1)[..., 0].tolist() == [[0, 128, 255]]
    with pytest.raises(PellucidError, match="no readable image"):
        decode(b"nothing", 3)


def test_large_images_are_reduced() -> None:
    file = io.BytesIO()
    Image.new("RGB", (3000, 2500)).save(file, "PNG")
    assert decode(file.getvalue(), 3).shape == (1024, 1229, 3)
