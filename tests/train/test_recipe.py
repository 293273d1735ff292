from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from pellucid.errors import UsageError
from pellucid.train.recipe import (
    PRESETS,
    TrainingRecipe,
    band_of,
    bands,
    learning_rate,
    loss_weight,
    noise_levels,
    preset,
)


@pytest.mark.parametrize("name", PRESETS)
def test_recipes_survive_json(name: str) -> None:
    assert TrainingRecipe.from_json(PRESETS[name].to_json()) == PRESETS[name]


def test_trapezoid() -> None:
    recipe = TrainingRecipe(steps=1000, lr=1.0, warmup=9, decay=99, schedule="trapezoid")
    rates = [learning_rate(recipe, step) for step in range(1000)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(rates[10:900]) == {1.0}
    assert rates[900:] == pytest.approx([(1000 - step) / 100 for step in range(900, 1000)])


def test_cosine() -> None:
    recipe = TrainingRecipe(steps=1000, lr=1.0, warmup=0, schedule="cosine")
    rates = [learning_rate(recipe, step) for step in range(1000)]
    assert rates[0] == 1
    assert rates[500] == pytest.approx(0.5)
    assert all(a > b > 0 for a, b in pairwise(rates))


def test_noise_levels_are_log_normal_with_a_tail_over_the_whole_range() -> None:
    levels = noise_levels(TrainingRecipe(noise_tail=0.2), range(4000))
    body = noise_levels(TrainingRecipe(noise_tail=0.0), range(4000))
    assert np.log(body).mean() == pytest.approx(-1.2, abs=0.05)
    assert np.log(body).std() == pytest.approx(1.0, abs=0.05)
    assert (body > 20).mean() < 0.001
    assert (levels > 20).mean() == pytest.approx(0.2 * np.log(157 / 20) / np.log(157 / 0.01), abs=0.01)
    # A crop's level is its own, whichever batch it is in.
    usual = TrainingRecipe()
    np.testing.assert_array_equal(noise_levels(usual, range(8))[5:], noise_levels(usual, range(5, 8)))


def test_each_level_weighs_about_one_decibel_for_another() -> None:
    sigma = torch.tensor([0.2, 0.8])
    error = 0.25 * sigma / (18 + sigma)
    torch.testing.assert_close(loss_weight(sigma) * error, torch.ones(2))


def test_bands_cover_everything() -> None:
    sigma = torch.tensor([0.001, 0.05, 0.39, 0.4, 157.0])
    found = [bands()[index] for index in band_of(sigma).tolist()]
    assert all(low <= s < high for (low, high), s in zip(found, sigma.tolist(), strict=True))


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"lr": -1.0}, {"ema": 1.5}, {"warmup": -1}, {"schedule": "step"}, {"optimiser": "sgd"}],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        preset("tiny", **change)


def test_an_unknown_preset_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        preset("tinny")
