from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid.degradations import compress, gaussian_noise, multiple_jpeg
from pellucid.errors import UsageError


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]))
def test_shapes_and_range_are_kept(height: int, width: int, channels: int) -> None:
    image = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    damaged = multiple_jpeg(image)
    assert damaged.shape == image.shape
    assert 0 <= damaged.min() <= damaged.max() <= 1
    assert torch.equal(image, before)
    # One image's damage does not depend on its neighbour.
    assert torch.equal(damaged[1:], multiple_jpeg(image[1:]))


def test_compression_is_pillows(bundled: dict[str, Tensor]) -> None:
    image = (bundled["cat"] + 1) / 2
    file = io.BytesIO()
    Image.fromarray((image[0] * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=10)
    expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal((compress(image, 10)[0] * 255).round().byte().permute(1, 2, 0).numpy(), expected)


def test_each_pass_has_its_own_grid() -> None:
    """What is constant on the 8x8 squares of a shifted grid is left unchanged by a pass on that grid, by no other."""
    rows = (torch.arange(64) + 8 - 3) // 8 % 2
    board = (0.2 + 0.6 * ((rows[:, None] + rows) % 2))[None, None].float()
    aligned = multiple_jpeg(board, [10], [3])
    apart = multiple_jpeg(board, [10], [0])
    square = (..., slice(19, 27), slice(27, 35))
    assert aligned[square].std() < 1e-3
    assert apart[square].std() > 1e-2


@pytest.mark.parametrize(("qualities", "shifts"), [((10,), (0, 3)), ((10,), (8,)), ((0,), (0,)), ((101,), (0,))])
def test_nonsense_is_refused(qualities: tuple[int, ...], shifts: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        multiple_jpeg(torch.zeros(1, 3, 8, 8), qualities, shifts)
    with pytest.raises(UsageError, match="2 channels"):
        compress(torch.zeros(1, 2, 8, 8), 50)


def test_noise_has_its_level_and_belongs_to_its_image() -> None:
    image = torch.full((2, 3, 128, 128), 0.5)
    noisy = gaussian_noise(image, 0.1, seed=3)
    assert (noisy - image).std().item() == pytest.approx(0.1, rel=0.01)
    assert torch.equal(noisy[1:], gaussian_noise(image[1:], 0.1, seed=4))
    with pytest.raises(UsageError):
        gaussian_noise(image, -0.1)
