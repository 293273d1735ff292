from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid import methods
from pellucid.diagnosis.estimate import Evidence, noise_seen
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, extrapolated, linear_ladder, renoise
from pellucid.maths.problem import Problem
from pellucid.methods import DreamClean
from pellucid.priors import Counted, EmpiricalPrior, GaussianPrior

MEAN, VARIANCE = 0.2, 0.3
GAUSSIAN = GaussianPrior(torch.full((1, 1, 1), MEAN).double(), variance=torch.full((1, 1, 1), VARIANCE).double())


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def recursion(method: DreamClean) -> tuple[float, float]:
    """DreamClean on a scalar Gaussian: the result is mean + gain (y - mean) + noise of this variance."""
    levels = linear_ladder()[
        [round(i * float(method.strength) / n) for n in [count(method)] for i in range(n + 1)]
    ].tolist()
    gain, variance = 1.0, 0.0

    def scale(sigma: float, sigma_next: float) -> float:
        kept = VARIANCE / (VARIANCE + sigma**2)
        return kept + (1 - kept) * sigma_next / sigma

    if method.start == "invert" and method.climb == 1:
        for sigma, sigma_next in pairwise(levels):
            gain *= scale(sigma, sigma_next)
    elif method.start == "invert":
        before, was = 0.0, 0.0
        for sigma, sigma_next in pairwise([levels[0], *levels[:0:-1][:: method.climb][::-1]]):
            estimate = used = gain * VARIANCE / (VARIANCE + sigma**2)
            if was:
                used += (estimate - before) * math.log(sigma_next / sigma) / math.log(sigma / was) / 2
            gain = used + (gain - used) * sigma_next / sigma
            before, was = estimate, sigma
    else:
        variance = levels[-1] ** 2
    fresh = {"preserving": method.gamma * (2 - method.gamma), "langevin": 2 * method.gamma, "none": 0.0}
    for sigma, sigma_next in zip(levels[:0:-1], [*levels[-2:0:-1], 0.0], strict=True):
        if method.shared:
            left = (1 - method.gamma) ** method.corrections * sigma_next
            gain *= scale(sigma, left)
            variance *= scale(sigma, left) ** 2
            added = sum((1 - method.gamma) ** (2 * i) for i in range(method.corrections))
            variance += fresh[method.schedule] * added * sigma_next**2
            continue
        for _ in range(method.corrections):
            gain *= scale(sigma, (1 - method.gamma) * sigma)
            variance *= scale(sigma, (1 - method.gamma) * sigma) ** 2
            variance += fresh[method.schedule] * sigma**2
        gain *= scale(sigma, sigma_next)
        variance *= scale(sigma, sigma_next) ** 2
    return gain, variance


def count(method: DreamClean) -> int:
    return round(float(method.strength) * method.steps / 1000)


# --- its own closed form ---


@pytest.mark.parametrize("corrections", [0, 1, 3])
@pytest.mark.parametrize("strength", [100, 300, 900])
@pytest.mark.parametrize("gamma", [0.0, 0.05, 0.4])
@pytest.mark.parametrize(("shared", "climb"), [(False, 1), (True, 1), (False, 2), (True, 3)])
def test_without_fresh_noise_it_is_the_affine_map_of_the_recursion(
    corrections: int, strength: int, gamma: float, shared: bool, climb: int
) -> None:
    method = DreamClean(
        strength=strength, gamma=gamma, corrections=corrections, schedule="none", shared=shared, climb=climb
    )
    y = draw(0, 1, 1, 8, 8)
    gain, _ = recursion(method)
    torch.testing.assert_close(method(Problem(y), GAUSSIAN), MEAN + gain * (y - MEAN), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        DreamClean(strength=300),
        DreamClean(strength=600, steps=50, gamma=0.2, corrections=2),
        DreamClean(strength=300, schedule="langevin"),
        DreamClean(strength=300, **DreamClean.presets["fast"]),
        DreamClean(shared=True, corrections=3, gamma=0.2, strength=600),
        DreamClean(strength=300, start="forward"),
        DreamClean(start="forward", strength=700, steps=20, gamma=0.3, schedule="langevin"),
    ],
)
def test_mean_and_variance_follow_the_recursion(method: DreamClean) -> None:
    n, y = 4096, torch.full((1, 1, 64, 64), 0.9).double()
    out = method(Problem(y), GAUSSIAN, seed=3)
    gain, variance = recursion(method)
    assert (out.mean().item() - MEAN - gain * (0.9 - MEAN)) / math.sqrt(variance / n) == pytest.approx(0, abs=4)
    assert (out.var().item() / variance - 1) / math.sqrt(2 / n) == pytest.approx(0, abs=4)


# --- its paper ---


@pytest.mark.parametrize("t", [300, 10])
def test_one_level_is_the_published_update(t: int) -> None:
    # Xiao et al. 2024, algorithm A3 for one t, with a network in the paper's own coordinates.
    abar = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)
    a, a_next = abar[t].item(), abar[t - 10].item()
    gamma, noise = 0.05, Streams.of(0, 2)

    def network(y: Tensor) -> Tensor:
        return torch.tanh(3 * y.roll(1, -1)) + 0.1 * y

    def prior_of(level: float) -> Any:
        root = math.sqrt(1 / (1 + level**2))
        return lambda x: x - level * network(x * root)

    y = draw(1, 2, 3, 4, 6)
    expected = y - gamma * math.sqrt(1 - a) * network(y)
    expected += math.sqrt(gamma * (2 - gamma)) * math.sqrt(1 - a) * noise.like(y)
    eps = network(expected)
    expected = math.sqrt(a_next) * (expected - math.sqrt(1 - a) * eps) / math.sqrt(a) + math.sqrt(1 - a_next) * eps

    sigma, sigma_next = math.sqrt((1 - a) / a), math.sqrt((1 - a_next) / a_next)
    prior, x = prior_of(sigma), y / math.sqrt(a)
    x = DreamClean(strength=300, gamma=gamma).correct(x, prior(x), sigma, Streams.of(0, 2))
    x = renoise(x, prior(x), sigma, sigma_next)
    torch.testing.assert_close(x * math.sqrt(a_next), expected, atol=1e-6, rtol=1e-6)


def test_the_default_walk_is_the_papers() -> None:
    levels: list[float] = []

    class Spy(GaussianPrior):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            levels.append(float(sigma))
            return super().__call__(x, sigma)

    spy = Spy(GAUSSIAN.mean, GAUSSIAN.variance)
    states = list(DreamClean(strength=300).iterate(Problem(draw(0, 1, 1, 2, 2)), spy, Streams.of(0, 1)))
    grid = linear_ladder()[torch.arange(0, 301, 10)].tolist()
    assert levels == [*grid[:-1], *(level for level in grid[:0:-1] for _ in range(2))]
    assert [state.step for state in states] == list(range(1, 61))
    assert {state.total for state in states} == {60}
    assert [state.sigma for state in states] == [*grid[1:], *grid[-2:0:-1], 0.0]
    assert states[-1].nfe == 90
    assert torch.equal(states[-1].x, states[-1].x0)


@pytest.mark.parametrize(
    ("strength", "steps", "top", "expected"),
    [
        (250, 50, 240, [240, 220, 200]),  # tau between two levels of the grid goes down to the lower one
        (300, 60, 300, [300, 283, 266]),  # floor(16.67 i), as DDIM has it
        (5, 1, 5, [5, 0]),  # below the grid's first step there is one step, from tau itself
        (1000, 100, 999, [999, 990, 980]),
    ],
)
def test_the_levels_are_those_of_ddims_grid(strength: float, steps: int, top: int, expected: list[int]) -> None:
    ladder, sigmas = DreamClean(strength=strength, steps=steps).ladder(linear_ladder()), linear_ladder()
    assert ladder[: len(expected)].tolist() == sigmas[expected].tolist()
    assert ladder[0] == sigmas[top]
    assert ladder[-1] == sigmas[0]


def test_a_strength_that_was_chosen_is_not_rounded_to_the_grid() -> None:
    found, prior = Evidence(0.0, 0.3, 1.0, 1.5), Counted(GAUSSIAN)
    method = DreamClean("auto", fidelity=0.375)
    chosen = method.chosen(found)
    assert chosen is not None
    assert chosen.strength == pytest.approx(1.25 * found.strength)
    states = list(method.auto(prior, found).states(draw(0, 1, 1, 2, 2), Streams.of(0, 1)))
    levels = linear_ladder()[[0, 7, 15, 22]].tolist()
    assert [state.sigma for state in states] == [*levels[1:], *levels[-2:0:-1], 0.0]


# --- Theorem 2.2, on the exact prior of real images ---


@pytest.mark.parametrize(
    ("schedule", "ratio"),
    [("preserving", 1.0), ("none", 0.0), ("langevin", 1 / math.sqrt(1 - 0.2 / 2))],
)
def test_corrections_end_in_the_high_probability_set_of_the_nearest_image(
    bundled: dict[str, Tensor], schedule: Any, ratio: float
) -> None:
    places = [(30, 30), (100, 100), (170, 170)]
    images = torch.cat([image[:, :, i : i + 48, j : j + 48] for image in bundled.values() for i, j in places])
    prior, method, seeds = EmpiricalPrior(images), DreamClean(strength=300, gamma=0.2, schedule=schedule), 16
    sigma = prior.sigmas[30].item()
    rng = Streams.of(0, seeds)
    damaged = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(images[4:5], 12), scale_factor=12)
    x = damaged.expand(seeds, -1, -1, -1) + sigma * rng.like(damaged.expand(seeds, -1, -1, -1))
    start = (x - images[4]).flatten(1).norm(dim=1).mean().item()
    for _ in range(80):
        x = method.correct(x, prior(x, sigma), sigma, rng)
    size = images[0].numel()
    expected = sigma * math.sqrt(2) * math.exp(math.lgamma((size + 1) / 2) - math.lgamma(size / 2))  # E |sigma n|
    distance = (x - images[4]).flatten(1).norm(dim=1).mean().item()
    assert start > 1.1 * expected
    assert distance / expected == pytest.approx(ratio, rel=0.01, abs=1e-3 if ratio == 0 else 0)


# --- laws ---


METHODS = [
    DreamClean(strength=300, steps=20),
    DreamClean(strength=300, steps=20, corrections=3, schedule="langevin"),
    DreamClean(strength=300, steps=20, start="forward"),
    DreamClean(strength=5, steps=1),
    DreamClean(strength=1000, steps=7),
    DreamClean(strength=255, corrections=0),
    DreamClean(strength=300, steps=20, corrections=2, shared=True),
    DreamClean(strength=300, steps=20, climb=4),
]
FROM_NOISE = DreamClean(strength=300, steps=20, start="noise")
QUICKLY = DreamClean(strength=300, steps=20, start="noise", shared=True, climb=3)


@pytest.mark.parametrize(("noise", "rises"), [(0.3, True), (1.6, False)])
def test_from_the_noise_it_is_inverted_from_the_level_found(noise: float, rises: bool) -> None:
    """An image noisier than tau is not inverted at all: it is a latent on the way down."""
    prior = GaussianPrior(torch.full((1, 1, 1), MEAN).double(), variance=torch.full((1, 1, 1), 1e-4).double())
    y = MEAN + noise * draw(0, 2, 1, 40, 40)
    method = DreamClean(strength=300, steps=50, corrections=0, start="noise")
    up = method.ladder(linear_ladder()).flip(0).tolist()
    found = noise_seen(prior, y[:1]).item()
    assert found == pytest.approx(noise, rel=0.15)
    assert rises == (found < up[-1])
    x, calls = y[:1], 8
    for low, high in pairwise(up):
        if high > found:
            start = max(low, found)
            x, calls = renoise(x, prior(x, start), start, high), calls + 1
    for sigma, after in pairwise([max(up[-1], found), *up[-2:0:-1], 0.0]):
        x, calls = renoise(x, prior(x, sigma), sigma, after), calls + 1
    counted = Counted(prior)
    torch.testing.assert_close(method(Problem(y[:1]), counted), x)
    assert counted.nfe == calls <= method.nfe(prior)
    *_, last = method.iterate(Problem(y), prior, Streams.of(0, 2))
    assert last.step == last.total


@pytest.mark.parametrize("method", METHODS)
def test_nfe_is_what_the_formula_says(method: DreamClean) -> None:
    counted = Counted(GAUSSIAN)
    *_, last = method.iterate(Problem(draw(0, 2, 1, 3, 3)), counted, Streams.of(0, 2))
    n = max(1, math.floor(float(method.strength) / 1000 * method.steps))
    assert counted.nfe == last.nfe == method.nfe(GAUSSIAN)
    down = n * (1 if method.shared else 1 + method.corrections)
    assert counted.nfe == down + (math.ceil(n / method.climb) if method.start == "invert" else 0)
    assert last.step == last.total


def test_ninety_evaluations_by_default() -> None:
    assert DreamClean(strength=300).nfe(GAUSSIAN) == 90
    assert DreamClean(strength=300, corrections=3).nfe(GAUSSIAN) == 150
    assert DreamClean(strength=300, start="forward").nfe(GAUSSIAN) == 60
    assert methods.get("dreamclean", preset="fast", strength=300).nfe(GAUSSIAN) == 24


@pytest.mark.parametrize("method", [*METHODS, FROM_NOISE, QUICKLY])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (2, 1, 8, 3)])
def test_a_batch_is_its_images_bit_for_bit(method: DreamClean, shape: tuple[int, ...]) -> None:
    y = draw(0, *shape).float()
    prior = GaussianPrior(torch.zeros(shape[1], 1, 1), variance=torch.full((1, 1, 1), 0.3))
    both = method(Problem(y), prior, seed=11)
    assert both.shape == y.shape
    for i in range(len(y)):
        assert torch.equal(both[i : i + 1], method(Problem(y[i : i + 1]), prior, seed=11 + i))
        assert torch.equal(both[i : i + 1], method(Problem(y[i : i + 1]), prior, seed=[11 + i]))


@pytest.mark.parametrize("method", [*METHODS, FROM_NOISE, QUICKLY])
def test_inputs_and_yielded_states_stay_as_they_are(method: DreamClean) -> None:
    y = draw(0, 2, 1, 4, 4)
    before = y.clone()
    states = [(s, s.x.clone(), s.x0.clone()) for s in method.iterate(Problem(y), GAUSSIAN, Streams.of(0, 2))]
    assert torch.equal(y, before)
    assert all(torch.equal(s.x, x) and torch.equal(s.x0, x0) for s, x, x0 in states)


def test_same_seed_same_result_other_seed_another() -> None:
    problem = Problem(draw(0, 1, 1, 4, 4))
    first, again, other = (DreamClean(strength=300)(problem, GAUSSIAN, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_graph_is_built_even_where_one_could_be() -> None:
    y = draw(0, 1, 1, 4, 4).requires_grad_()
    walk = DreamClean(strength=300, steps=10).iterate(Problem(y), GAUSSIAN, Streams.of(0, 1))
    assert not next(walk).x.requires_grad
    assert torch.is_grad_enabled()


def test_a_blind_method_refuses_to_ignore_knowledge() -> None:
    with pytest.raises(UsageError, match="blind"):
        DreamClean(strength=300)(Problem(draw(0, 1, 1, 4, 4), sigma_y=0.1), GAUSSIAN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": 0},
        {"strength": 1001},
        {"steps": 0},
        {"gamma": -0.1},
        {"gamma": 1.1},
        {"corrections": -1},
        {"schedule": "vps"},
        {"start": "middle"},
    ],
)
def test_hyper_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"DreamClean: {next(iter(wrong))} must be"):
        DreamClean(**wrong)


def test_an_estimate_that_is_linear_in_log_sigma_is_extrapolated_to_the_middle_of_the_move() -> None:
    a, b, x = 0.3, 0.2, torch.tensor([[[[0.7]]]]).double()
    was, sigma, after = 0.1, 0.2, 0.6

    def estimate(level: float) -> Tensor:
        return torch.full_like(x, a + b * math.log(level))

    used = extrapolated(estimate(sigma), sigma, after, was, estimate(was))
    torch.testing.assert_close(used, estimate(math.sqrt(sigma * after)))
    each = extrapolated(
        estimate(sigma), torch.tensor([sigma]), torch.tensor([after]), torch.tensor([sigma]), estimate(was)
    )
    assert torch.equal(each, estimate(sigma))  # nothing was evaluated before
