from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pellucid.bench.data import crops
from pellucid.errors import PellucidError


def image(width: int, height: int) -> Image.Image:
    """Each pixel tells where it is: its column in red, its row in green."""
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([column, row, 0 * row], 2).astype(np.uint8))


def place(cut: Image.Image) -> tuple[int, int, int, int]:
    """Left, upper, right and lower pixel of a cut that is not resized."""
    pixels = np.asarray(cut)
    assert np.array_equal(pixels[0, :, 0], np.arange(pixels[0, 0, 0], pixels[0, -1, 0] + 1))
    return (*map(int, pixels[0, 0, :2]), *map(int, pixels[-1, -1, :2]))  # type: ignore[return-value]


def test_guided_halves_by_means_and_cuts_the_middle() -> None:
    blocks = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (8, 13, 3)), 4, 0), 4, 1).astype(np.uint8)
    # 32 x 52 pixels: halved twice, because 16 is still twice 8, and then of the right size.
    cut = crops.guided(Image.fromarray(blocks), 8)
    assert np.array_equal(np.asarray(cut), blocks[::4, ::4][:, 2:10])


def test_guided_ends_with_a_bicubic_resize() -> None:
    picture = image(30, 20)
    resized = picture.resize((18, 12), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(crops.guided(picture, 12)), np.asarray(resized)[:, 3:15])


@pytest.mark.parametrize(("width", "left"), [(9, 2), (11, 2), (13, 4), (6, 0)])
def test_square_cuts_the_middle_where_torchvision_does(width: int, left: int) -> None:
    """Halves of a pixel are rounded to even."""
    assert place(crops.square(image(width, 6), 6)) == (left, 0, left + 5, 5)
    assert place(crops.square(image(6, width), 6)) == (0, left, 5, left + 5)


def test_square_and_stretch_resize_bilinearly() -> None:
    picture = image(16, 16)
    small = picture.resize((5, 5), Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(crops.square(picture, 5)), np.asarray(small))
    wide = image(16, 9)
    assert np.array_equal(
        np.asarray(crops.stretch(wide, 5)), np.asarray(wide.resize((5, 5), Image.Resampling.BILINEAR))
    )


def test_short_resizes_before_it_cuts() -> None:
    picture = image(19, 12)
    # int(8 * 19 / 12) is 12, and 2 pixels go at each side.
    resized = picture.resize((12, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(crops.short(picture, 8)), np.asarray(resized)[:, 2:10])


def test_celeba_cuts_the_face() -> None:
    assert place(crops.celeba(image(178, 218), 128)) == (25, 57, 152, 184)
    with pytest.raises(PellucidError, match="has 178x218 pixels, this has 20x30"):
        crops.celeba(image(20, 30), 128)


def test_middle_resizes_nothing() -> None:
    assert place(crops.middle(image(20, 11), 6)) == (7, 2, 12, 7)
    with pytest.raises(PellucidError, match="20x11 pixels have no 12x12"):
        crops.middle(image(20, 11), 12)


@pytest.mark.parametrize("name", ["guided", "square", "short", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (41, 17)])
def test_every_size_becomes_the_square(name: str, size: tuple[int, int]) -> None:
    crop = crops.find(name)
    assert crop is not None
    assert crop(image(*size), 7).size == (7, 7)
