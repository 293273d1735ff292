"""Noise that depends on brightness."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.maths.stabilised import Curve, Variance


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


CURVES = st.lists(st.floats(5e-4, 0.01), min_size=2, max_size=11).map(tuple)


@given(variances=CURVES)
def test_a_curve_there_and_back(variances: tuple[float, ...]) -> None:
    curve = Curve(variances)
    x = torch.linspace(-1, 1, 257, dtype=torch.float64)
    there = curve.forward(x)
    assert (there[0].item(), there[-1].item()) == pytest.approx((-1, 1), abs=1e-6)
    assert bool((there.diff() > 0).all())
    # Back, with a quarter of the slope of the variance, in [-1, 1] units a half: the mean that the curve takes.
    slopes = [high - low for low, high in pairwise(variances)]
    most = max(abs(slope) for slope in slopes) * len(slopes) / 2
    assert (curve.inverse(there) - x).abs().max().item() <= most + 1e-4


@given(a=st.floats(5e-4, 0.01), b=st.floats(1e-4, 0.01))
def test_the_curve_of_a_line_is_the_line(a: float, b: float) -> None:
    line, curve = Variance(a, b), Curve((a, a + b / 2, a + b))
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(curve.forward(x), line.forward(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(curve.inverse(x), line.inverse(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(curve.at((x + 1) / 2), line.at((x + 1) / 2))
    assert curve.level == pytest.approx(line.level, rel=1e-4)


@pytest.mark.parametrize("light", [0.25, 0.5, 0.7])
def test_the_noise_of_middle_tones_becomes_the_same_everywhere(light: float) -> None:
    curve = Curve((1e-4, 6e-4, 16e-4, 6e-4, 1e-4))
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variance = curve.at(torch.tensor(light)).item()
    there = curve.forward(2 * (light + variance**0.5 * noise) - 1)
    assert there.std().item() == pytest.approx(curve.level, rel=0.05)
