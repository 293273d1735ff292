from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.degradations import gaussian_noise
from pellucid.estimate import noise_level
from pellucid.operators import Mask
from pellucid.problem import to_unit


@pytest.mark.parametrize("sigma", [0.01, 0.1, 3.0])
def test_white_noise_is_measured(sigma: float) -> None:
    noise = gaussian_noise(torch.zeros(1, 3, 200, 201), sigma)
    assert noise_level(noise) == pytest.approx(sigma, rel=0.02)


def test_a_photograph_adds_little(bundled: dict[str, Tensor]) -> None:
    for image in bundled.values():
        assert noise_level(to_unit(image)) < 0.015
        assert noise_level(gaussian_noise(to_unit(image), 0.05)) == pytest.approx(0.05, rel=0.1)


def test_missing_pixels_do_not_count(bundled: dict[str, Tensor]) -> None:
    mask = Mask.random(256, 256, 0.2)
    damaged = mask.A(gaussian_noise(to_unit(bundled["coffee"]), 0.05))
    assert noise_level(damaged, mask.known) == pytest.approx(0.05, rel=0.1)
    assert noise_level(damaged) > 0.06


def test_images_without_a_block_have_none() -> None:
    assert noise_level(torch.ones(1, 3, 1, 9)) == 0
    assert noise_level(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)) == 0
