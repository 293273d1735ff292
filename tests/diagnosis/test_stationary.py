"""Stationary noise: its spectrum, and the walk that removes it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pellucid.diagnosis.noise.stationary import (
    BANDS,
    Observed,
    Spectrum,
    basis,
    complement,
    from_opponent,
    ladder,
    shares,
    to_opponent,
    walk,
)
from pellucid.maths.noise import Streams
from pellucid.priors import GaussianPrior


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colour_axes_are_orthonormal(channels: int) -> None:
    torch.testing.assert_close(basis(channels) @ basis(channels).T, torch.eye(channels))
    x = torch.randn(2, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(from_opponent(to_opponent(x)), x)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 2))
@settings(max_examples=20, deadline=None)
def test_white_noise_is_the_same_everywhere(height: int, width: int, level: float) -> None:
    spectrum = Spectrum.white(level, 3)
    assert spectrum.level == pytest.approx(level)
    assert spectrum.scaled(2).level == pytest.approx(2 * level)
    deviation = spectrum.deviation(height, width)
    torch.testing.assert_close(deviation, torch.full((3, height, width // 2 + 1), level))


def test_levels_are_a_pixels_own() -> None:
    grey = Spectrum.white(0.3, 3, axes=1)
    assert grey.level == pytest.approx(0.3 / math.sqrt(3), rel=1e-4)
    assert grey.levels == pytest.approx([0.3, 0, 0], abs=1e-5)
    assert shares().sum().item() == pytest.approx(1)


def test_a_ladder_goes_from_the_loudest_band_to_the_quietest() -> None:
    power = torch.full((3, BANDS), 0.04)
    power[:, -1] = 0.01
    assert ladder(Spectrum(power), 3) == pytest.approx([0.2, math.sqrt(0.02), 0.1])
    assert ladder(Spectrum.white(0.1, 3), 5) == pytest.approx([0.1])
    assert ladder(Spectrum.white(0.1, 3, axes=1), 5, axes=1) == pytest.approx([0.1])


def _gaussian(variance: float) -> GaussianPrior:
    return GaussianPrior(torch.zeros(3, 1, 1).double(), variance=torch.full((3, 1, 1), variance).double())


def test_a_walk_down_a_known_spectrum_is_nearer_than_one_white_call() -> None:
    """Images with a spectrum, noise in grey alone: the walk spares the colours, which whitening drowns."""
    height = width = 32
    prior, rng = _gaussian(0.04), torch.Generator().manual_seed(0)
    clean = 0.2 * torch.randn(1, 3, height, width, generator=rng).double()
    noise = torch.zeros(1, 3, height, width).double()
    noise[:, 0] = 0.5 * torch.randn(1, height, width, generator=rng).double()
    y, spectrum = clean + from_opponent(noise), Spectrum.white(0.5, 3, axes=1)

    def error(x: Tensor) -> float:
        return (x - clean).square().mean().item()

    estimates = [x0 for _, x0 in walk(prior, Observed.of(y, Streams([0])), spectrum, ladder(spectrum, 5))]
    assert len(estimates) == 5
    assert error(estimates[-1]) < 0.75 * error(estimates[0])
    # Two axes of three have no noise: their error ends near the last level's, the grey axis's near its prior variance.
    assert error(estimates[-1]) < 0.03


def test_what_is_added_is_not_the_noise_that_is_there() -> None:
    y = Streams([0]).like(torch.zeros(1, 3, 64, 64))
    added = complement(y, Streams([0]))
    assert abs((added * y).mean().item()) < 0.05
    assert added.std().item() == pytest.approx(1, rel=0.05)


def test_at_one_level_the_walk_is_one_call_at_white_noise() -> None:
    prior = _gaussian(0.04)
    y = torch.randn(1, 3, 9, 11, generator=torch.Generator().manual_seed(0)).double()
    ((level, x0),) = walk(prior, Observed.of(y, Streams([0])), Spectrum.white(0.3, 3), [0.3])
    torch.testing.assert_close(x0, prior(y, level), rtol=0, atol=1e-3)
