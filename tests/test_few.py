"""Means of a few pixels, and values by rank, are torch's numbers to the last bit."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.maths.few import means, median, ranked


@pytest.mark.parametrize("block", [(1, 1), (1, 2), (2, 1), (2, 2), (4, 2)])
def test_means_have_the_bits_of_a_pooling(block: tuple[int, int]) -> None:
    x = torch.rand(2, 3, 41, 39, generator=torch.Generator().manual_seed(0))
    assert torch.equal(means(x, *block), F.avg_pool2d(x, block))


@pytest.mark.parametrize("number", [1, 2, 7, 100])
def test_the_median_is_the_lower_one(number: int) -> None:
    x = torch.rand(number, 3, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(median(x), x.median(0).values)


def few_values() -> Tensor:
    x = torch.randint(0, 40, (3001,), generator=torch.Generator().manual_seed(2)).float()
    return torch.where(x < 3, 0.0, x)


@pytest.mark.parametrize("values", [torch.arange(5000.0).flip(0), few_values(), torch.zeros(300), torch.arange(3.0)])
@pytest.mark.parametrize("share", [0.0, 0.005, 0.3, 0.5, 0.7, 0.995, 1.0])
def test_ranked_values_are_those_of_a_sort(values: Tensor, share: float) -> None:
    last = len(values) - 1
    ranks = sorted({int(share * last), min(int(share * last) + 1, last)})
    assert torch.equal(ranked(values, *ranks), values.sort().values[ranks])


def test_ranked_values_of_an_uneven_sample_are_those_of_all() -> None:
    # One in 16 values, which suggests the bound, is far below all others.
    values = torch.arange(4000.0)
    values[::16] -= 10_000
    assert torch.equal(ranked(values, 300), values.sort().values[[300]])
    assert torch.equal(ranked(-values, 3699), (-values).sort().values[[3699]])
