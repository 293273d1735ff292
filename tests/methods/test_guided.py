"""Methods guided by a gradient: DPS, GDP, RED, and MMPS, which is held against the exact posterior."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder, strided
from pellucid.maths.problem import Problem
from pellucid.methods import DDRM, DPS, GDP, MMPS, RED, Method, State
from pellucid.operators import AveragePool, Blur, Denoise, Grayscale, Mask, Operator, PhaseRetrieval, ToneCurve
from pellucid.operators import blur as kernels
from pellucid.operators.operator import conjugate_gradients
from pellucid.priors import Counted, GaussianPrior, VENetwork

MEAN, VARIANCE = 0.2, 0.3
PRIOR = GaussianPrior(torch.full((3, 1, 1), MEAN).double(), variance=torch.full((3, 1, 1), VARIANCE).double())
METHODS: list[Method] = [DPS(steps=20), MMPS(steps=20), GDP(steps=20), RED(iterations=20, solver="gradient")]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments(method: Method, sigma_y: float, value: float = 0.7) -> list[tuple[float, float, int]]:
    """Mean and variance over the known and the missing pixels of a flat measurement, and how many they are."""
    known = torch.zeros(64, 64)
    known[:, ::2] = 1
    y = torch.full((1, 3, 64, 64), value, dtype=torch.float64) * known
    out = method(Problem(y, Mask(known), sigma_y), PRIOR, seed=1)
    return [(p.mean().item(), p.var().item(), p.numel()) for p in (out[..., ::2], out[..., 1::2])]


def recursion(method: MMPS, sigma_y: float) -> float:
    """The variance that MMPS ends with on a scalar Gaussian, exactly; sigma_y is infinite where nothing is measured."""
    ladder: list[float] = method.ladder(linear_ladder()).tolist()
    variance = ladder[0] ** 2
    for sigma, after in pairwise(ladder):
        # The estimate leans on the latent by its share of the precision.
        share = (1 / sigma**2) / (1 / VARIANCE + 1 / sigma**2 + 1 / sigma_y**2)
        eta = method.eta * math.sqrt(1 - (after / sigma) ** 2)
        factor = share + math.sqrt(1 - eta**2) * after / sigma * (1 - share)
        variance = factor**2 * variance + (eta * after) ** 2
    return variance


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sigma_y", [0.1, 0.6])
def test_mmps_samples_the_posterior(sigma_y: float, eta: float) -> None:
    """Its mean is the exact posterior's, its variance that of its recursion, which tends to the exact one."""
    share = VARIANCE / (VARIANCE + sigma_y**2)
    truth = [(share * 0.7 + (1 - share) * MEAN, share * sigma_y**2, sigma_y), (MEAN, VARIANCE, math.inf)]
    measured = moments(MMPS(steps=100, eta=eta), sigma_y)
    for (mean, variance, count), (true_mean, true_variance, level) in zip(measured, truth, strict=True):
        own = recursion(MMPS(steps=100, eta=eta), level)
        assert mean == pytest.approx(true_mean, abs=5 * math.sqrt(own / count) + 1e-3)
        assert variance == pytest.approx(own, rel=5 * math.sqrt(2 / count))
        ratios = [recursion(MMPS(steps=steps, eta=eta), level) / true_variance for steps in (100, 1000, 10_000)]
        assert ratios[0] < ratios[1] < ratios[2] < 1.001
        assert ratios[2] == pytest.approx(1, abs=0.02)


def test_ddrm_is_under_dispersed_by_design() -> None:
    """Its observed components end with less variance than the posterior has."""
    (_, variance, _), _ = moments(DDRM(steps=100), 0.3)
    assert variance < 0.8 * VARIANCE * 0.09 / (VARIANCE + 0.09)


@pytest.mark.parametrize(
    "operator",
    [Denoise(), Grayscale(), AveragePool(2), Blur(kernels.gaussian(1)), Blur(kernels.uniform(3), "replicate")],
)
def test_the_posterior_mean_is_exact_for_a_gaussian(operator: Operator) -> None:
    """Against the normal equations (A^T A / sigma_y^2 + 1 / V) m = A^T y / sigma_y^2 + x0 / V, written as a
    residual."""
    x, sigma, sigma_y = draw(0, 2, 3, 6, 8), 0.8, 0.2
    y = operator.A(draw(1, 2, 3, 6, 8))
    mean = MMPS(iterations=60).posterior_mean(operator, y, sigma_y, PRIOR, x, sigma)
    variance = VARIANCE * sigma**2 / (VARIANCE + sigma**2)
    left = operator.At(operator.A(mean) - y) / sigma_y**2 + (mean - PRIOR(x, sigma)) / variance
    torch.testing.assert_close(left, torch.zeros_like(left), rtol=0, atol=1e-6)


def test_conjugate_gradients_solve() -> None:
    root = draw(0, 2, 5, 5)
    matrix = root @ root.mT + torch.eye(5, dtype=torch.float64)
    right = draw(1, 2, 5)
    solved = conjugate_gradients(lambda v: torch.einsum("bij,bj->bi", matrix, v), right, 5)
    torch.testing.assert_close(torch.einsum("bij,bj->bi", matrix, solved), right)
    assert not conjugate_gradients(lambda v: v, torch.zeros(2, 3), 3).any()


def second_step(method: Method, problem: Problem) -> tuple[State, State, Tensor]:
    """The first two states of a run, and the noise of the second, of a method that draws once a step."""
    first, second = list(method.iterate(problem, PRIOR, Streams.of(0, 1)))[:2]
    rng = Streams.of(0, 1)
    for _ in range(2):
        rng.like(first.x)  # the start, the first step
    return first, second, rng.like(first.x)


def test_one_step_of_dps_as_published() -> None:
    """Algorithm 1 in variance-preserving notation: DDPM's step, then x' - zeta grad_{x_t} ||y - A(x0)||, by
    autograd."""
    operator, method = AveragePool(2), DPS(steps=50, scale=0.4, clip=False)
    y = operator.A(draw(0, 1, 3, 4, 6))
    first, second, z = second_step(method, Problem(y, operator))
    sigma, after = strided(linear_ladder(), 50).tolist()[1:3]
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    alpha = a / a_next
    x = (math.sqrt(a) * first.x).requires_grad_()
    x0 = PRIOR(x / math.sqrt(a), sigma)
    (gradient,) = torch.autograd.grad((y - operator.A(x0)).norm(), x)
    mean = math.sqrt(alpha) * (1 - a_next) / (1 - a) * x + math.sqrt(a_next) * (1 - alpha) / (1 - a) * x0
    expected = mean + math.sqrt((1 - a_next) / (1 - a) * (1 - alpha)) * z - 0.4 * gradient
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected.detach(), rtol=1e-6, atol=1e-6)


def test_one_step_of_gdp_as_released() -> None:
    """mu - s grad_{x0} mean((A(x0)_01 - y_01)^2) in variance-preserving notation, the gradient by hand."""
    operator = AveragePool(2)
    y = operator.A(draw(0, 1, 3, 4, 6))
    ways: list[tuple[Any, Any]] = [("x0", "posterior"), ("xt", "posterior"), ("x0", "beta")]
    for guide, variance in ways:
        scale = 30.0 * 256**2 / (4 * 6)  # as in an image of 256 x 256
        method = GDP(steps=50, scale=scale, guide=guide, variance=variance, clip=False)
        first, second, z = second_step(method, Problem(y, operator))
        sigma, after = strided(linear_ladder(), 50).tolist()[1:3]
        a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
        alpha, x = a / a_next, math.sqrt(a) * first.x
        x0 = PRIOR(first.x, sigma)
        residual = (operator.A(x0 if guide == "x0" else x) - y) / 2
        # A factor 1/2 from [0, 1] to [-1, 1], and the mean over the measurement's numbers.
        slope = operator.At(2 * residual / y.numel()) / 2
        mean = math.sqrt(alpha) * (1 - a_next) / (1 - a) * x + math.sqrt(a_next) * (1 - alpha) / (1 - a) * x0
        share = (1 - a_next) / (1 - a) if variance == "posterior" else 1.0
        expected = mean - 30.0 * slope + math.sqrt(share * (1 - alpha)) * z
        torch.testing.assert_close(second.x * math.sqrt(a_next), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "operator",
    [
        Denoise(),
        AveragePool(2),
        Mask.random(6, 8, 0.4),
        Blur(kernels.gaussian(1)),
        Blur(kernels.gaussian(1), "replicate"),
    ],
)
@pytest.mark.parametrize("solver", ["fixed-point", "gradient"])
def test_red_ends_where_its_gradient_is_zero(operator: Operator, solver: Any) -> None:
    """A^T (A x - y) / sigma_y^2 + lambda (x - D(x)) = 0, with a constant level as in the paper."""
    y = operator.A(draw(0, 2, 3, 6, 8))
    iterations = 3000 if solver == "gradient" else 400
    method = RED(iterations=iterations, strength=300, final=300, solver=solver)
    x = method(Problem(y, operator, 0.1), PRIOR)
    sigma = method.levels(linear_ladder())[0]
    weight = 0.02 * 127.5**2
    gradient = operator.At(operator.A(x) - y) / 0.1**2 + weight * (x - PRIOR(x, sigma))
    torch.testing.assert_close(gradient, torch.zeros_like(x), rtol=0, atol=1e-4)


def test_reds_denoiser_falls_from_strength_to_final() -> None:
    levels = RED(iterations=5, strength=200, final=10).levels(linear_ladder())
    assert levels[0] == pytest.approx(linear_ladder()[200].item())
    assert levels[-1] == pytest.approx(linear_ladder()[10].item())
    ratios = [b / a for a, b in pairwise(levels)]
    assert ratios == pytest.approx([ratios[0]] * 4)


@pytest.mark.parametrize("operator", [AveragePool(2), Mask.random(8, 12, 0.5), ToneCurve(0.5, 2.2), PhaseRetrieval()])
def test_dps_comes_near_any_measurement(operator: Operator) -> None:
    """Linear or not: the restored image fits far better than a sample of the prior."""
    truth = MEAN + math.sqrt(VARIANCE) * draw(0, 1, 3, 8, 12).clamp(-1.4, 1.4)
    y = operator.A(truth)
    problem = Problem(y, operator)
    pulled = DPS(steps=200, scale=1.0)(problem, PRIOR, seed=1)
    free = DPS(steps=200, scale=0.0)(problem, PRIOR, seed=1)
    assert (operator.A(pulled) - y).norm() < 0.5 * (operator.A(free) - y).norm()


@pytest.mark.parametrize("operator", [AveragePool(2), Grayscale(), Blur(kernels.uniform(3), "replicate")])
@pytest.mark.parametrize("method", METHODS)
def test_laws(method: Method, operator: Operator) -> None:
    """A batch is its images, inputs stay, and the NFE is the one that was said."""
    y = operator.A(draw(0, 2, 3, 6, 10))
    before, prior = y.clone(), Counted(PRIOR)
    problem = Problem(y, operator, 0.1)
    states = list(method.iterate(problem, prior, Streams.of(5, 2)))
    assert prior.nfe == states[-1].nfe == method.nfe(PRIOR) == 20
    assert not states[-1].x.requires_grad
    for i in range(2):
        one = method(Problem(y[i : i + 1], operator, 0.1), PRIOR, seed=5 + i)
        assert torch.equal(one, states[-1].x[i : i + 1])
    assert torch.equal(y, before)


@pytest.mark.parametrize("method", METHODS)
def test_the_networks_weights_are_left_alone(method: Method) -> None:
    network = nn.Conv2d(3, 3, 3, padding=1).requires_grad_(False)
    prior = VENetwork(lambda x, sigma: 0.5 * x + 0.1 * network(x), linear_ladder())
    out = method(Problem(torch.zeros(1, 3, 8, 8), Denoise(), 0.1), prior)
    assert out.isfinite().all()
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.parametrize(
    ("method", "operator", "sigma_y", "says"),
    [
        (DPS(), None, None, "give an operator"),
        (MMPS(), Denoise(), None, "give noise"),
        (MMPS(), Denoise(), 0.0, "noise level above 0"),
        (MMPS(), ToneCurve(), 0.1, "linear operator"),
        (RED(), Denoise(), 0.0, "noise level above 0"),
        (RED(), ToneCurve(), 0.1, "linear operator"),
    ],
)
def test_what_is_missing_is_named(method: Method, operator: Any, sigma_y: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        method(Problem(torch.zeros(1, 3, 4, 4), operator, sigma_y), PRIOR)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (GDP, {"steps": 0}),
        (GDP, {"scale": -1}),
        (GDP, {"guide": "x"}),
        (GDP, {"variance": "fixed"}),
        (RED, {"weight": 0}),
        (RED, {"solver": "x"}),
        (RED, {"final": 0}),
        (DPS, {"steps": 0}),
        (DPS, {"scale": -1}),
        (MMPS, {"iterations": 0}),
        (MMPS, {"eta": 2}),
    ],
)
def test_nonsense_is_refused(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(fields))):
        kind(**fields)
