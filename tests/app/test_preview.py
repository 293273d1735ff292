from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid import images
from pellucid.app.preview import live, show, spread, thumb


def decoded(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def test_small_pictures_are_shown_without_loss(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    path = show(images.from_array(pixels), tmp_path / "a.b")
    assert path.name == "a.b.png"
    assert np.array_equal(np.array(Image.open(path)), pixels)


def test_large_ones_are_jpeg_of_a_side_that_browsers_bear(tmp_path: Path) -> None:
    path = show(images.from_array(np.zeros((5, 5000), np.uint8)), tmp_path / "long")
    with Image.open(path) as image:
        assert image.size == (4096, 4)
    assert show(images.from_array(np.zeros((1001, 1001), np.uint8)), tmp_path / "big").suffix == ".jpg"


def test_deep_grey_and_transparent_pictures_can_be_seen(tmp_path: Path) -> None:
    deep = images.from_array(np.full((4, 4, 3), 65535, np.uint16))
    assert Image.open(show(deep, tmp_path / "deep")).getpixel((0, 0)) == (255, 255, 255)
    clear = images.from_array(np.dstack([np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)]))
    assert Image.open(show(clear, tmp_path / "clear")).getpixel((0, 0)) == (204, 204, 204)
    assert max(decoded(thumb(deep)).size) <= 96


def test_live_estimates_are_small_and_in_range() -> None:
    x0 = torch.full((1, 9, 700, 10), 3.0)  # exposures lie along the channels
    image = decoded(live(x0))
    assert image.size == (9, 640)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert decoded(live(torch.full((1, 1, 2, 3), -1.0))).size == (3, 2)


def test_spread_is_the_standard_deviation() -> None:
    first, second = torch.full((1, 3, 2, 2), 0.25), torch.full((1, 3, 2, 2), 0.25)
    second[..., 0, 0] = 0.75
    picture, most = spread([first, second])
    assert most == 0.25
    assert picture.colour[..., 0].tolist() == [[255, 0], [0, 0]]
    assert spread([first, first])[1] == 0
