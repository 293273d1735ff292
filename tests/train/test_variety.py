from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.train.data import Crops, Variety
from pellucid.train.recipe import TrainingRecipe, preset, with_settings
from pellucid.train.variety import drawn, grey, relit

PHOTOGRAPHS = [np.random.default_rng(seed).integers(0, 256, (80, 90, 3), np.uint8) for seed in range(3)]


@given(st.integers(8, 70), st.sampled_from([1, 3]), st.integers(0, 2**32))
def test_a_drawing_has_its_size_and_is_a_function_of_its_seed(size: int, channels: int, seed: int) -> None:
    first, again = (drawn(size, channels, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == (size, size, channels)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)


def test_drawings_differ_and_have_ink() -> None:
    pages = [drawn(64, 3, np.random.default_rng(seed)) for seed in range(12)]
    assert len({page.tobytes() for page in pages}) == 12
    assert sum(page.std() > 5 for page in pages) >= 10


def test_grey_is_luma_in_equal_channels() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    np.testing.assert_array_equal(grey(pixels)[0, :, 0], [76, 150, 29, 9])
    assert (grey(pixels) == grey(pixels)[..., :1]).all()
    np.testing.assert_array_equal(grey(pixels[..., :1]), pixels[..., :1])


@given(st.integers(0, 2**32))
def test_other_light_keeps_the_order_of_values(seed: int) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, -1)
    changed = relit(ramp, np.random.default_rng(seed)).astype(int)
    assert changed.shape == ramp.shape
    assert (np.diff(changed, axis=1) >= 0).all()


def test_shares_of_zero_leave_the_crops_of_a_seed_as_they_are() -> None:
    plain, none = Crops(PHOTOGRAPHS, 32, 5), Crops(PHOTOGRAPHS, 32, 5, Variety())
    np.testing.assert_array_equal(plain.batch(range(20)), none.batch(range(20)))


def test_shares_are_of_all_crops() -> None:
    all_grey = Crops(PHOTOGRAPHS, 32, 5, Variety(grey=1.0)).batch(range(8))
    assert (all_grey == all_grey[..., :1]).all()
    some = Crops(PHOTOGRAPHS, 32, 5, Variety(grey=0.3)).batch(range(200))
    assert 40 <= sum((crop == crop[..., :1]).all() for crop in some) <= 80
    pages = Crops(PHOTOGRAPHS, 32, 5, Variety(drawn=1.0)).batch(range(8))
    photographs = Crops(PHOTOGRAPHS, 32, 5).batch(range(8))
    assert all((page != photograph).any() for page, photograph in zip(pages, photographs, strict=True))


def test_crops_are_reduced_at_least_so_far() -> None:
    # A period of two pixels does not survive a reduction by 1.6; at the image's own scale it is still there.
    stripes = np.zeros((90, 90, 3), np.uint8)
    stripes[:, ::2] = 255
    reduced = Crops([stripes], 32, 1, Variety(native=0.0, least=1.6)).batch(range(10)).astype(int)
    native = Crops([stripes], 32, 1, Variety(native=1.0)).batch(range(10)).astype(int)
    assert (np.abs(np.diff(native, axis=2)) == 255).all()
    assert np.abs(np.diff(reduced, axis=2)).mean() < 128


def test_numbers_of_the_network_are_set_one_by_one() -> None:
    recipe = with_settings(preset("cpu"), {"network.widths": "64,96,192,256", "network.blocks": "2,3,3,2", "lr": "0.1"})
    assert recipe.network.widths == (64, 96, 192, 256)
    assert recipe.network.blocks == (2, 3, 3, 2)
    assert recipe.lr == 0.1
    assert recipe.network.embedding == TrainingRecipe().network.embedding


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "64"}, r"number by number: network\.channels, network\.patch, network\.widths"),
        ({"network.width": "64"}, r"has no 'network.width'; it has .*network\.widths"),
        ({"network.widths": "64,a"}, "widths must be a valid integer"),
        ({"network.widths": "64"}, "as many widths as blocks"),
        ({"grey": "1.5"}, "grey must be from 0 to 1"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_settings(preset("cpu"), settings)
