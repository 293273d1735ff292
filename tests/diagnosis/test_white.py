"""White noise by a prior and by the picture alone."""

from __future__ import annotations

import pytest
import torch

from pellucid.diagnosis.noise import Calm
from pellucid.diagnosis.noise.white import White, white_level
from pellucid.priors import load_prior


def seen(share: float = 0.9, spread: float = -2.0, direction: float = -2.0) -> White:
    return White(0.1, share, spread, direction, 4, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("axes", [1, 3])
def test_white_noise_is_taken_evenly(axes: int) -> None:
    assert seen().certain(axes)
    assert not seen(share=0.6).certain(axes)
    assert not seen(spread=-1.05).certain(axes), "texture is in places"
    assert seen(spread=-1.2).certain(axes) == (axes == 1), "colours tell more"
    assert seen(direction=-0.5).certain(axes) == (axes == 3)


def test_what_is_taken_of_noise_is_even_and_of_stripes_is_not() -> None:
    natural = load_prior("natural")
    noise = 0.2 * torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)).expand(1, 3, -1, -1)
    even = white_level(natural, Calm(noise, 1), 0.35, 2)
    assert even.certain(1)
    stripes = torch.nn.functional.avg_pool2d(noise, (1, 5), 1, (0, 2)) * 5**0.5
    stripes[..., 48:, :] *= 0.3
    assert not white_level(natural, Calm(stripes, 1), 0.35, 2).certain(1)
