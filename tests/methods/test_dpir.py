"""DPIR: its data step is exact, its limit on a Gaussian prior is known, its laws hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import DPIR, get
from pellucid.methods.dpir import DataStep, geometric, turned
from pellucid.operators import AveragePool, Bicubic, Blur, Denoise, Grayscale, Mask, Operator, ToneCurve
from pellucid.operators import blur as kernels
from pellucid.priors import Counted, GaussianPrior

MEAN, VARIANCE = 0.2, 0.3
PRIOR = GaussianPrior(torch.full((3, 1, 1), MEAN).double(), variance=torch.full((3, 1, 1), VARIANCE).double())
OPERATORS: list[Operator] = [
    Denoise(),
    Mask.random(8, 12, 0.4),
    Grayscale(),
    AveragePool(2),
    Bicubic(2),
    Blur(kernels.gaussian(0.6)),
    Blur(kernels.gaussian(0.6), "replicate"),
]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("weight", [0.01, 1.0])
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_data_step_is_where_the_gradient_is_zero(operator: Operator, weight: float) -> None:
    x0 = draw(0, 2, 3, 8, 12)
    y = operator.A(draw(1, 2, 3, 8, 12))
    x = DataStep(operator, y, iterations=200)(x0, weight)
    slope = operator.At(operator.A(x) - y) + weight * (x - x0)
    assert slope.abs().max() < 1e-5


@pytest.mark.parametrize("operator", OPERATORS)
def test_without_weight_only_what_was_measured_changes(operator: Operator) -> None:
    x0, y = draw(0, 1, 3, 8, 12), operator.A(draw(1, 1, 3, 8, 12))
    x = DataStep(operator, y, iterations=400)(x0, 0.0)
    torch.testing.assert_close(operator.A(x), y, atol=1e-4, rtol=1e-4)
    if operator.svd((1, 3, 8, 12)) is not None:
        torch.testing.assert_close(x, operator.consistent(x0, y), atol=1e-4, rtol=1e-4)


@given(first=st.floats(0.1, 10), ratio=st.floats(1, 1000), steps=st.integers(2, 30))
def test_levels_fall_by_the_same_share(first: float, ratio: float, steps: int) -> None:
    levels = torch.tensor(geometric(first, first / ratio, steps), dtype=torch.float64)
    assert levels[0].item() == pytest.approx(first)
    assert levels[-1].item() == pytest.approx(first / ratio)
    torch.testing.assert_close(levels[1:] / levels[:-1], (levels[1] / levels[0]).expand(steps - 1))


@pytest.mark.parametrize("sigma_y", [0.0, 0.1])
def test_on_a_gaussian_prior_it_is_its_own_recursion(sigma_y: float) -> None:
    """A pixel that is measured: z <- share x + (1 - share) mean, x <- (y + w z) / (1 + w)."""
    method, y = DPIR(steps=5), 0.7
    noise, z = max(sigma_y, 2 * method.least), 0.7
    for sigma in method.levels(sigma_y):
        w = method.weight * noise**2 / sigma**2
        share = VARIANCE / (VARIANCE + sigma**2)
        z = share * (y + w * z) / (1 + w) + (1 - share) * MEAN
    out = method(Problem(torch.full((1, 3, 4, 6), y, dtype=torch.float64), Denoise(), sigma_y), PRIOR)
    torch.testing.assert_close(out, torch.full_like(out, z))


def test_one_step_as_published() -> None:
    """Equation 23 of the paper, a circular blur: x = F^-1((K* F(y) + a F(z)) / (|K|^2 + a)), then z = D(x)."""
    kernel = kernels.gaussian(1.0)
    blur = Blur(kernel)
    y, sigma_y = draw(0, 1, 3, 16, 16), 0.05
    method = DPIR(steps=2, ensemble=False)
    first, second = list(method.iterate(Problem(y, blur, sigma_y), PRIOR, Streams.of(0, 1)))
    sigma = method.levels(sigma_y)[1]
    alpha = 0.23 * sigma_y**2 / sigma**2
    point = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    point[..., 0, 0] = 1
    transfer = torch.fft.fft2(blur.A(point))
    solved = (transfer.conj() * torch.fft.fft2(y) + alpha * torch.fft.fft2(first.x0)) / (transfer.abs() ** 2 + alpha)
    expected = PRIOR(torch.fft.ifft2(solved).real, sigma)
    torch.testing.assert_close(second.x, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("method", [DPIR(), DPIR(steps=3, ends="data")])
@pytest.mark.parametrize("operator", OPERATORS)
def test_laws(method: DPIR, operator: Operator) -> None:
    y = operator.A(draw(0, 2, 3, 8, 12))
    before, prior, problem = y.clone(), Counted(PRIOR), Problem(y, operator, 0.1)
    states = list(method.iterate(problem, prior, Streams.of(5, 2)))
    assert prior.nfe == states[-1].nfe == method.nfe(PRIOR) == states[-1].step == states[-1].total == len(states)
    assert torch.equal(y, before)
    assert states[-1].x.shape == (2, 3, 8, 12)
    for i in range(2):
        one = method(Problem(y[i : i + 1], operator, 0.1), PRIOR, seed=5 + i)
        assert torch.equal(one, states[-1].x[i : i + 1])


@pytest.mark.parametrize("way", range(8))
def test_a_turned_image_comes_back(way: int) -> None:
    x, seen = draw(0, 2, 3, 5, 7), []

    class Same:
        channels, multiple, sigmas = 3, 1, PRIOR.sigmas

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            seen.append(x)
            return x

    assert torch.equal(turned(Same(), x, 0.1, way), x)
    assert torch.equal(seen[0], x) == (way == 0)


def test_ending_with_the_data_agrees_with_it() -> None:
    x, operator = draw(0, 1, 3, 8, 12), AveragePool(2)
    out = DPIR(ends="data")(Problem(operator.A(x), operator, 0.0), PRIOR)
    torch.testing.assert_close(operator.A(out), operator.A(x), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    "fields", [{"steps": 0}, {"strength": 0}, {"weight": 0}, {"least": 0}, {"inner": 0}, {"ends": "x"}]
)
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(fields))):
        get("dpir", **fields)


def test_a_nonlinear_operator_is_refused() -> None:
    with pytest.raises(UsageError, match="linear operator; ToneCurve is not: use DPS or GDP"):
        DPIR()(Problem(draw(0, 1, 3, 8, 8), ToneCurve(), 0.1), PRIOR)
