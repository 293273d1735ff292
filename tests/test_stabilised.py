"""Noise that depends on brightness."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.maths.stabilised import Variance


@given(a=st.floats(5e-4, 0.01), b=st.floats(1e-4, 0.01), sign=st.sampled_from([1, -1]))
def test_there_and_back(a: float, b: float, sign: int) -> None:
    variance = Variance(a + (b if sign < 0 else 0), sign * b)
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)
    there = variance.forward(x)
    assert there[0].item() == pytest.approx(-1, abs=1e-9)
    assert there[-1].item() == pytest.approx(1, abs=1e-9)
    # Back, with half of b in [-1, 1] units added: the mean that the curve takes.
    torch.testing.assert_close(variance.inverse(there), x + variance.b / 2)


@pytest.mark.parametrize("light", [0.2, 0.5, 0.9])
def test_the_noise_is_the_same_everywhere(light: float) -> None:
    variance = Variance(9 / 255**2, 1 / 255)
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = 2 * (light + (variance.a + variance.b * light) ** 0.5 * noise) - 1
    there = variance.forward(y)
    assert there.std().item() == pytest.approx(variance.level, rel=0.02)
    assert variance.inverse(there.mean()).item() == pytest.approx(2 * light - 1, abs=3e-4)
