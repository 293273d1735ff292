"""Files whose parts are long or many cost no more than their length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pellucid import images
from pellucid.errors import PellucidError
from pellucid.images import metadata, tiff


@pytest.mark.parametrize("piece", [b" ", b'tiff:Orientation="', b"<tiff:Orientation>", b"a", b"hdrgm:"])
def test_long_xmp_is_read_once(piece: bytes) -> None:
    """Two million bytes, which a pattern that goes back for each of them would not end."""
    image = Image.new("RGB", (1, 1))
    image.info["xmp"] = b"<x>" + piece * (2_000_000 // len(piece)) + b"</x>"
    kept, note = metadata.of_pil(image)
    assert kept["xmp"] == image.info["xmp"]
    assert note is None


def test_pages_are_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for index in range(100):
            writer.write(np.full((1, 1), index, np.uint8), photometric="minisblack", metadata=None)
    opened: list[object] = []
    image_open = Image.open

    def count(*arguments: object, **options: object) -> Image.Image:
        opened.append(arguments)
        return image_open(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image, "open", count)
    pages = images.read(tmp_path / "a.tif").pages
    assert [int(page.pixels[0, 0]) for page in pages] == list(range(100))
    assert len(opened) == 1


def test_more_pages_than_anybody_scans_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "MAX_PAGES", 3)
    for number in (3, 4):
        with tifffile.TiffWriter(tmp_path / f"{number}.tif") as writer:
            for _ in range(number):
                writer.write(np.zeros((1, 1), np.uint8), photometric="minisblack", metadata=None)
    assert len(images.sizes_of(tmp_path / "3.tif")) == 3
    with pytest.raises(PellucidError, match="more than 3 pages"):
        images.sizes_of(tmp_path / "4.tif")


def test_a_ppm_whose_comment_does_not_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n# short\n1 1\n255\nabc")
    assert images.read(tmp_path / "a.ppm").pixels.tobytes() == b"abc"
    (tmp_path / "b.ppm").write_bytes(b"P6\n#" + b"x" * 1_000_000 + b"\n1 1\n255\nabc")
    with pytest.raises(PellucidError, match="header is longer"):
        images.read(tmp_path / "b.ppm")
