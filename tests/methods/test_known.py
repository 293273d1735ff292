"""DDRM, DDNM and DreamClean with a known degradation: their closed forms, their papers' steps, their laws."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder, strided
from pellucid.maths.problem import Problem
from pellucid.methods import DDNM, DDRM, SNIPS, DreamCleanKnown, Method
from pellucid.methods.spectral import Measured
from pellucid.operators import AveragePool, Bicubic, Blur, Denoise, Grayscale, Mask, Operator, ToneCurve
from pellucid.operators import blur as kernels
from pellucid.priors import Counted, GaussianPrior

MEAN, VARIANCE = 0.2, 0.3
PRIOR = GaussianPrior(torch.full((3, 1, 1), MEAN).double(), variance=torch.full((3, 1, 1), VARIANCE).double())
METHODS: list[Method] = [
    DDRM(),
    DDRM(steps=7, eta=0.3, eta_b=0.6),
    DDNM(steps=20),
    DDNM(steps=10, eta=0.2),
    DreamCleanKnown(),
    DreamCleanKnown(strength=600, steps=20, gamma=0.2, corrections=2, null_space="increment"),
]
NAMES = [f"{type(m).__name__}{i}" for i, m in enumerate(METHODS)]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def recursion(method: Any, s: float, sigma_y: float) -> tuple[float, float, float]:
    """A scalar component with singular value s: the result is a + b y + noise of variance v; gives a, b, v.

    Scalar arithmetic of its own, from the papers' three cases; y is the component of pinv(A) y.
    """
    ladder = method.ladder(linear_ladder()).tolist()
    level = sigma_y / s if s else math.inf
    eta, eta_b = getattr(method, "eta", 0.0), getattr(method, "eta_b", 1.0)
    if isinstance(method, DDNM):
        a, b, v = 0.0, 0.0, ladder[0] ** 2
        if sigma_y and level <= ladder[0]:
            pass  # DDNM starts from noise alone; its first step forgets it
    elif level <= ladder[0]:
        a, b, v = 0.0, 1.0, ladder[0] ** 2 - level**2
    else:
        a, b, v = 0.0, 0.0, ladder[0] ** 2
    for sigma, after in pairwise(ladder):
        share = VARIANCE / (VARIANCE + sigma**2)
        if isinstance(method, DreamCleanKnown):
            for _ in range(method.corrections):
                keep, fresh = 1 - method.gamma, method.gamma * (2 - method.gamma)
                if level > sigma:
                    factor = share + keep * (1 - share)
                    a = factor * a + (1 - keep) * (1 - share) * MEAN
                    b, v = factor * b, factor**2 * v + fresh * sigma**2
                elif method.null_space == "estimate":
                    a, b, v = keep * a, keep * b + 1 - keep, keep**2 * v + fresh * (sigma**2 - level**2)
        # The estimate is share x + (1 - share) MEAN.
        kept = math.sqrt(1 - eta**2) * after
        if isinstance(method, DDNM) and not sigma_y and s:
            # Estimate replaced by y; the kept noise is that of the prior's own estimate.
            factor = kept * (1 - share) / sigma
            a, b, v = factor * (a - MEAN), factor * b + 1, factor**2 * v + (eta * after) ** 2
        elif math.isinf(level):
            factor = share + kept * (1 - share) / sigma
            a = factor * a + (1 - share) * (1 - kept / sigma) * MEAN
            b, v = factor * b, factor**2 * v + (eta * after) ** 2
        elif level > after:
            factor = share * (1 - kept / level)
            a = factor * a + (1 - share) * (1 - kept / level) * MEAN
            b, v = factor * b + kept / level, factor**2 * v + (eta * after) ** 2
        else:
            factor = (1 - eta_b) * share
            a = factor * a + (1 - eta_b) * (1 - share) * MEAN
            b, v = factor * b + eta_b, factor**2 * v + after**2 - (eta_b * level) ** 2
    return a, b, v


@pytest.mark.parametrize("sigma_y", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_on_a_gaussian_prior_it_is_its_own_recursion(method: Method, sigma_y: float) -> None:
    """Mean and variance over 4,096 independent pixels, in observed components and in the null space."""
    pixels = 64
    known = torch.zeros(pixels, pixels)
    known[:, ::2] = 1
    value = 0.7
    y = torch.full((1, 3, pixels, pixels), value, dtype=torch.float64) * known
    out = method(Problem(y, Mask(known), sigma_y), PRIOR, seed=1)
    for s, part in ((1.0, out[:, :, :, ::2]), (0.0, out[:, :, :, 1::2])):
        a, b, v = recursion(method, s, sigma_y)
        expected = a + b * value if s else a
        error = math.sqrt(v / part.numel())
        assert part.mean().item() == pytest.approx(expected, abs=5 * error + 1e-5)
        spread = part.var().item()
        assert spread == pytest.approx(v, abs=5 * v * math.sqrt(2 / part.numel()) + 1e-10)


@pytest.mark.parametrize("sigma_y", [0.0, 0.1])
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_singular_values_other_than_1(method: Method, sigma_y: float) -> None:
    """AveragePool(2) has s = 1/2; the recursion holds for the blocks' means times two."""
    y = torch.full((1, 3, 64, 64), 0.4, dtype=torch.float64)
    out = method(Problem(y, AveragePool(2), sigma_y), PRIOR, seed=1)
    svd = AveragePool(2).svd((1, 3, 128, 128))
    z = (svd.Vt(out) - svd.Vt(torch.full_like(out, MEAN)))[..., ::2, ::2]
    a, b, v = recursion(method, 0.5, sigma_y)
    # A coefficient of a constant image is twice its value: scale and shift the scalar problem accordingly.
    expected = 2 * (a + b * 0.4 - MEAN)
    assert z.mean().item() == pytest.approx(expected, abs=5 * math.sqrt(v / z.numel()) + 1e-5)
    assert z.var().item() == pytest.approx(v, abs=5 * v * math.sqrt(2 / z.numel()) + 1e-10)


@pytest.mark.parametrize("method", [DDRM(), DDNM(), DreamCleanKnown(), DreamCleanKnown(null_space="increment")])
@pytest.mark.parametrize(
    "operator", [Denoise(), Mask.random(8, 12, 0.4), Grayscale(), AveragePool(4), Blur(kernels.uniform(3))]
)
def test_without_noise_the_result_agrees_with_the_measurement(method: Method, operator: Operator) -> None:
    y = operator.A(draw(0, 2, 3, 8, 12))
    before = y.clone()
    out = method(Problem(y, operator, 0.0), PRIOR)
    assert out.shape == (2, 3, 8, 12)
    torch.testing.assert_close(operator.A(out), y, rtol=1e-4, atol=1e-4)
    assert torch.equal(y, before)


@pytest.mark.parametrize("operator", [AveragePool(2), Bicubic(2), Grayscale(), Blur(kernels.gaussian(1))])
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_laws(method: Method, operator: Operator) -> None:
    """A batch is its images, a seed its result, and the NFE is the one that was said."""
    y = operator.A(draw(0, 2, 3, 6, 10))
    prior = Counted(PRIOR)
    problem = Problem(y, operator, 0.1)
    states = list(method.iterate(problem, prior, Streams.of(5, 2)))
    assert prior.nfe == states[-1].nfe == method.nfe(PRIOR)
    assert states[-1].step == states[-1].total == len(states)
    both = states[-1].x
    assert torch.equal(method(problem, PRIOR, seed=5), both)
    for i in range(2):
        one = method(Problem(y[i : i + 1], operator, 0.1), PRIOR, seed=5 + i)
        assert torch.equal(one, both[i : i + 1])


def test_nfe_at_the_defaults() -> None:
    assert [m.nfe(PRIOR) for m in (DDRM(), DDNM(), DreamCleanKnown())] == [20, 100, 60]
    assert DDNM(steps=10, travel_length=3, travel_repeat=2).nfe(PRIOR) == 19


def test_time_travel_walks_each_stretch_again() -> None:
    assert DDNM().path(3) == [0, 1, 2, 3]
    assert DDNM(travel_repeat=2).path(3) == [0, 1, 0, 1, 2, 1, 2, 3]
    assert DDNM(travel_length=2, travel_repeat=2).path(5) == [0, 1, 2, 0, 1, 2, 3, 4, 2, 3, 4, 5]
    y = AveragePool(2).A(draw(0, 1, 3, 4, 4))
    out = DDNM(steps=10, travel_length=2, travel_repeat=3)(Problem(y, AveragePool(2), 0.0), PRIOR)
    torch.testing.assert_close(AveragePool(2).A(out), y)


def test_one_step_of_ddrm_as_published() -> None:
    """Equation 8 in the paper's variance-preserving notation, for a mask: half of the pixels have s = 1, half s = 0."""
    sigmas = strided(linear_ladder(), 20).tolist()
    known = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    x0, n = draw(0, 1, 3, 4, 2), draw(1, 1, 3, 4, 2)
    y, x = draw(2, 1, 3, 4, 2) * known, draw(3, 1, 3, 4, 2)
    for sigma, after, sigma_y in ((sigmas[5], sigmas[6], 0.1), (sigmas[-3], sigmas[-2], 0.3)):
        problem = Problem(y, Mask(known), sigma_y)
        step = Measured(problem, Mask(known), sigma_y, "DDRM").step(x, x0, sigma, after, n, 0.85, 0.9)
        a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
        epsilon = (math.sqrt(a) * x - math.sqrt(a) * x0) / math.sqrt(1 - a)
        noise = math.sqrt(1 - a_next)
        null = math.sqrt(a_next) * x0 + noise * (math.sqrt(1 - 0.85**2) * epsilon + 0.85 * n)
        if after < sigma_y:
            seen = math.sqrt(a_next) * (x0 + math.sqrt(1 - 0.85**2) * after * (y - x0) / sigma_y) + noise * 0.85 * n
        else:
            spread = math.sqrt(after**2 - 0.9**2 * sigma_y**2)
            seen = math.sqrt(a_next) * (0.1 * x0 + 0.9 * y + spread * n)
        expected = torch.where(known > 0, seen, null) / math.sqrt(a_next)
        torch.testing.assert_close(step, expected, rtol=1e-6, atol=1e-6)


def test_one_step_of_ddnm_as_published() -> None:
    """x0' = x0 - pinv(A x0 - y), then sqrt(abar') x0' + sqrt(1 - abar') (eta z + sqrt(1 - eta^2) epsilon)."""
    operator, method = AveragePool(2), DDNM(steps=20)
    y = operator.A(draw(0, 1, 3, 4, 4))
    first, second = list(method.iterate(Problem(y, operator, 0.0), PRIOR, Streams.of(0, 1)))[:2]
    rng = Streams.of(0, 1)
    for _ in range(2):
        rng.like(first.x)  # the start, the first step
    z = rng.like(first.x)
    sigma, after = strided(linear_ladder(), 20).tolist()[1:3]
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    x = math.sqrt(a) * first.x
    x0 = PRIOR(first.x, sigma)
    epsilon = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
    corrected = x0 - operator.pinv(operator.A(x0) - y)
    expected = math.sqrt(a_next) * corrected
    expected = expected + math.sqrt(1 - a_next) * (0.85 * z + math.sqrt(1 - 0.85**2) * epsilon)
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_what_is_missing_is_named(method: Method) -> None:
    y = torch.zeros(1, 3, 4, 4)
    with pytest.raises(UsageError, match="give an operator"):
        method(Problem(y, None, 0.1), PRIOR)
    with pytest.raises(UsageError, match="give noise, 0 if there is none"):
        method(Problem(y, Denoise()), PRIOR)
    with pytest.raises(UsageError, match=r"Blur has none for these images: use DPS, GDP, RED or MMPS"):
        method(Problem(y, Blur(kernels.uniform(3), "replicate"), 0.1), PRIOR)
    with pytest.raises(UsageError, match="ToneCurve"):
        method(Problem(y, ToneCurve(), 0.1), PRIOR)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (DDRM, {"steps": 0}),
        (DDRM, {"eta": 1.5}),
        (DDRM, {"eta_b": -1}),
        (DDNM, {"travel_length": 0}),
        (DDNM, {"travel_repeat": 0}),
        (DreamCleanKnown, {"strength": 0}),
        (SNIPS, {"levels": 1}),
        (SNIPS, {"rate": 0}),
        (SNIPS, {"final": 2}),
        (DreamCleanKnown, {"gamma": 2}),
        (DreamCleanKnown, {"null_space": "x"}),
    ],
)
def test_nonsense_is_refused(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(fields))):
        kind(**fields)


def test_dreamclean_leaves_to_the_prior_what_is_noisier_than_its_start() -> None:
    y = torch.full((1, 3, 64, 64), 0.7, dtype=torch.float64)
    method = DreamCleanKnown(strength=200)
    top = method.ladder(linear_ladder())[0].item()
    blind, seeing = (method(Problem(y, Denoise(), level), PRIOR, seed=1) for level in (1.01 * top, 0.99 * top))
    expected = recursion(method, 0.0, 0.1)
    assert blind.mean().item() == pytest.approx(expected[0], abs=5 * math.sqrt(expected[2] / blind.numel()) + 1e-5)
    assert (seeing.mean() - blind.mean()).item() > 0.01


# --- SNIPS ---


def langevin(method: SNIPS, level: float) -> tuple[float, float, float]:
    """SNIPS on a scalar: the result is a + b y + noise of variance v; the steps as published, with score and alpha."""
    a, b, v, share = 0.0, 0.0, linear_ladder()[-1].item() ** 2, 0.0
    ladder = method.ladder(linear_ladder()).tolist()
    lagging = ladder[0] ** 2
    for sigma in ladder:
        for _ in range(method.repeats):
            share = VARIANCE / (VARIANCE + (lagging if method.calibrate else sigma**2))
            lagging += 2 * method.rate * (sigma**2 - lagging) + method.rate**2 * lagging
            before = a, b, v
            if math.isinf(level):
                alpha, pull_y, pull_prior = method.rate * sigma**2, 0.0, 1 / sigma**2
            elif level > sigma:
                alpha = method.rate * sigma**2 * (1 - sigma**2 / level**2)
                pull_y, pull_prior = 1 / (level**2 - sigma**2), 1 / sigma**2
            else:
                alpha, pull_y, pull_prior = method.rate * (sigma**2 - level**2), 1 / (sigma**2 - level**2), 0.0
            # score = (share x + (1 - share) MEAN - x) / sigma^2
            factor = 1 - alpha * (pull_y + pull_prior * (1 - share))
            a = factor * a + alpha * pull_prior * (1 - share) * MEAN
            b, v = factor * b + alpha * pull_y, factor**2 * v + 2 * alpha
    # The estimate at the last step's latent, before that step moved it.
    a, b, v = before
    return share * a + (1 - share) * MEAN, share * b, share**2 * v


@pytest.mark.parametrize("sigma_y", [0.1, 0.6])
@pytest.mark.parametrize(
    "method", [SNIPS(levels=40), SNIPS(levels=30, repeats=3, rate=0.2, final=0.1, calibrate=False)]
)
def test_snips_on_a_gaussian_prior_is_its_own_recursion(method: SNIPS, sigma_y: float) -> None:
    known = torch.zeros(64, 64)
    known[:, ::2] = 1
    y = torch.full((1, 3, 64, 64), 0.7, dtype=torch.float64) * known
    out = method(Problem(y, Mask(known), sigma_y), PRIOR, seed=1)
    for level, part in ((sigma_y, out[..., ::2]), (math.inf, out[..., 1::2])):
        a, b, v = langevin(method, level)
        assert part.mean().item() == pytest.approx(a + b * 0.7, abs=5 * math.sqrt(v / part.numel()))
        assert part.var().item() == pytest.approx(v, rel=5 * math.sqrt(2 / part.numel()))


def test_snips_comes_near_the_posterior_with_many_small_steps() -> None:
    share = VARIANCE / (VARIANCE + 0.6**2)
    a, b, v = langevin(SNIPS(levels=2000, repeats=20, rate=0.05), 0.6)
    assert a + b * 0.7 == pytest.approx(share * 0.7 + (1 - share) * MEAN, abs=0.01)
    assert v / (share * 0.6**2) == pytest.approx(1, abs=0.1)


def test_snips_needs_noise_and_a_decomposition() -> None:
    y = torch.zeros(1, 3, 4, 4)
    for operator, sigma_y, says in (
        (Denoise(), 0.0, "noise level above 0"),
        (Blur(kernels.uniform(3), "replicate"), 0.1, "Blur has none"),
    ):
        with pytest.raises(UsageError, match=says):
            SNIPS()(Problem(y, operator, sigma_y), PRIOR)
    assert SNIPS().nfe(PRIOR) == 1000


def test_without_any_share_of_the_measurement_the_null_space_stays_finite() -> None:
    """Singular values of many sizes, some of them 0, where a level of y is infinite and its share 0."""
    y = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5
    prior = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 0.3))
    assert DDRM(steps=20, eta_b=0.0)(Problem(y, Blur(kernels.uniform(4)), 0.1), prior).isfinite().all()
