from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pellucid import images

pillow_heif = pytest.importorskip("pillow_heif")


def test_10_bits_are_read_as_16(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64 * 3).astype(np.uint16).reshape(64, 64, 3)
    file = pillow_heif.from_bytes(mode="RGB;16", size=(64, 64), data=ramp.tobytes())
    file.save(tmp_path / "a.heic", quality=-1, chroma=444)
    picture = images.read(tmp_path / "a.heic")
    assert picture.colour.dtype == np.uint16
    assert np.abs(picture.colour.astype(int) - ramp).max() < 65536 / 1024 * 4
    assert len(np.unique(picture.colour)) > 256


@pytest.mark.parametrize("shape", [(12, 16, 3), (12, 16, 4)])
def test_8_bits_are_written_nearly_as_they_were(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.linspace(0, 255, int(np.prod(shape))).astype(np.uint8).reshape(shape)
    images.write(images.from_array(pixels), tmp_path / "a.heic")
    picture = images.read(tmp_path / "a.heic")
    assert picture.pixels.shape == shape
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= 8


def test_more_than_8_bits_become_a_tiff_in_a_folder(tmp_path: Path) -> None:
    deep = images.from_array(np.full((4, 4, 3), 40000, np.uint16))
    names = images.targets_of(tmp_path / "a.heic")
    assert images.fitting(deep, names) == (
        tmp_path / "a.heic.tif", "HEIF has no 16-bit colour, so it became .tif"
    )  # fmt: skip
    assert images.fitting(images.from_array(np.zeros((4, 4, 3), np.uint8)), names) == (tmp_path / "a.heic", None)
