from __future__ import annotations

import pytest
import torch

from pellucid import degradations
from pellucid.degradations.compose import steps
from pellucid.maths.noise import derive_seed


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(2, 3, 33, 40, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [4, 8, 32])
def test_a_reduction_is_told_by_its_factor(factor: int, image: torch.Tensor) -> None:
    assert torch.equal(degradations.get(f"sr{factor}")(image, 3), degradations.reduce(image, factor))


def test_noise_lies_on_the_small_image(image: torch.Tensor) -> None:
    found = degradations.get("sr8+noise:0.05")(image, 3)
    assert torch.equal(found, degradations.reduce(image, 8, noise=0.05, seed=3))
    # One value in each block, noise and all.
    assert torch.equal(found[..., :8, :8], found[..., :1, :1].expand(-1, -1, 8, 8))


def test_damages_come_one_after_the_other_with_seeds_of_their_own(image: torch.Tensor) -> None:
    found = degradations.get("noise:0.1 | sr4+noise:sigma=0.05 | jpeg:10")(image, 3)
    later = [derive_seed(seed, "damage 1") for seed in (3, 4)]
    expected = degradations.reduce(degradations.gaussian_noise(image, 0.1, 3), 4, 0.05, seed=later)
    assert torch.equal(found, degradations.compress(expected, 10))


def test_values_have_keys_where_there_are_several() -> None:
    assert steps("multiple-jpeg:qualities=5,10,20;shifts=0,3,6") == [
        ("multiple-jpeg", {"qualities": "5,10,20", "shifts": "0,3,6"})
    ]
    assert steps("sr32+noise:0.1+rain") == [("reduce", {"factor": "32", "noise": "0.1"}), ("rain", {})]
    assert steps("blur:2+noise:0.1") == [("blur", {"": "2"}), ("noise", {"": "0.1"})]


def test_it_is_described_by_its_text() -> None:
    assert degradations.describe("sr4|jpeg:10")["name"] == "sr4|jpeg:10"
    assert degradations.parameters("sr4|jpeg:10") == {}
