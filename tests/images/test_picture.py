from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pellucid import images
from pellucid.errors import PellucidError, UsageError

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))


@given(st.data(), SHAPES, st.sampled_from([np.uint8, np.uint16]))
def test_pixels_survive_the_way_through_a_tensor(data: st.DataObject, shape: tuple[int, ...], dtype: Any) -> None:
    pixels = data.draw(arrays.arrays(dtype, shape))
    picture = images.from_array(pixels)
    back = picture.with_tensor(picture.tensor())
    np.testing.assert_array_equal(back.pixels.reshape(shape), pixels)
    assert back.pixels.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_floats_keep_their_type_and_scale(dtype: Any) -> None:
    pixels = np.linspace(0, 1, 12, dtype=dtype).reshape(2, 2, 3)
    picture = images.from_array(pixels)
    assert picture.tensor().max() == 1
    assert picture.with_tensor(picture.tensor()).pixels.dtype == dtype


def test_colours_under_full_transparency_are_not_touched() -> None:
    pixels = np.array([[[10, 20, 30, 0], [10, 20, 30, 128]]], np.uint8)
    restored = images.from_array(pixels).with_tensor(torch.ones(1, 3, 1, 2))
    np.testing.assert_array_equal(restored.pixels, [[[10, 20, 30, 0], [255, 255, 255, 128]]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_transparency_follows_to_another_size(dtype: Any) -> None:
    full = 1 if dtype is np.float64 else np.iinfo(dtype).max
    pixels = np.zeros((2, 4, 4), dtype)
    pixels[..., 3] = np.array([0, 0, 1, 1]) * full
    large = images.from_array(pixels).with_tensor(torch.ones(1, 3, 4, 8))
    assert large.alpha is not None
    assert (large.alpha.shape, large.alpha.dtype) == ((4, 8), dtype)
    expected = np.tile([0, 0, 0, 0.25, 0.75, 1, 1, 1], (4, 1)) * full
    np.testing.assert_allclose(large.alpha, expected, atol=0 if full == 1 else 0.5)
    assert (large.colour == full).all()


def test_grey_as_three_channels_and_colours_as_their_mean() -> None:
    grey = images.from_array(np.array([[51]], np.uint8))
    assert grey.tensor(3).flatten().tolist() == pytest.approx([0.2] * 3)
    colour = images.from_array(np.array([[[0, 51, 102]]], np.uint8))
    assert colour.tensor(1).flatten().tolist() == pytest.approx([0.2])


def test_a_tensor_is_cut_to_8_bits() -> None:
    picture = images.from_tensor(torch.tensor([-0.5, 0.2, 1.5]).view(1, 3, 1, 1))
    assert picture.pixels.tolist() == [[[0, 51, 255]]]


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.zeros((2, 2, 5), np.uint8), r"\(H, W\)"),
        (np.zeros((2,), np.uint8), r"\(H, W\)"),
        (np.zeros((0, 2, 3), np.uint8), r"\(H, W\)"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.full((2, 2), 128.0), "divide it first"),
    ],
)
def test_other_arrays_are_refused(pixels: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        images.from_array(pixels)


def test_a_matrix_is_an_array() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = images.from_array(pixels.view(np.matrix))
    assert type(picture.colour) is np.ndarray
    np.testing.assert_array_equal(picture.pixels, pixels)


def test_pillow_is_not_given_what_it_would_spoil() -> None:
    with pytest.raises(PellucidError, match="numpy"):
        images.to_pil(images.from_array(np.zeros((2, 2, 3), np.uint16)))
    with pytest.raises(PellucidError, match="mode F"):
        images.from_pil(Image.new("F", (2, 2)))


def test_what_nobody_sees_continues_what_is_seen() -> None:
    row = np.array([[1, 2, 3, 0, 0, 0, 0]], np.uint8)
    alpha = np.array([[9, 9, 9, 0, 0, 0, 0]], np.uint8)
    picture = images.from_array(np.stack([row, alpha], 2))
    # A mirror at the last visible pixel, and where it ends another one.
    assert picture.filled().colour[..., 0].tolist() == [[1, 2, 3, 2, 1, 2, 3]]
    assert picture.colour[..., 0].tolist() == row.tolist()
    single = np.zeros((5, 7, 4), np.uint8)
    single[2, 3] = 9, 8, 7, 255
    assert (images.from_array(single).filled().colour == (9, 8, 7)).all()
    # The nearer one of two mirrors counts, what is filled is mirrored again, and columns follow rows.
    grid = np.array([[1, 2, 0, 0, 0, 8, 9], [1, 2, 0, 0, 0, 8, 9], [0] * 7], np.uint8)
    assert images.from_array(np.stack([grid, grid], 2)).filled().colour[..., 0].tolist() == [[1, 2, 1, 2, 9, 8, 9]] * 3
    nothing = images.from_array(single * np.array([1, 1, 1, 0], np.uint8))
    assert nothing.filled() is nothing
