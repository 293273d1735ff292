from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import (
    Streams,
    abar_of,
    cosine_ladder,
    derive_seed,
    invert,
    karras_ladder,
    linear_ladder,
    renoise,
    respace,
    scaled_linear_ladder,
    sigma_of,
    strided,
)
from pellucid.priors import GaussianPrior

levels = st.floats(1e-3, 160)
shares = st.floats(0, 1)


def batch(seed: int = 0, *shape: int) -> Tensor:
    return torch.randn(shape or (2, 3, 5, 7), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- levels and ladders ---


@given(levels)
def test_sigma_and_abar_are_inverse(sigma: float) -> None:
    level = torch.tensor(sigma, dtype=torch.float64)
    assert sigma_of(abar_of(level)).item() == pytest.approx(sigma, rel=1e-6)


def test_linear_ladder_has_the_published_abar() -> None:
    # prod(1 - beta) of Ho et al. 2020, by an independent product.
    abar, expected = 1.0, {0: 0.9999, 10: 0.997807, 290: 0.418394, 299: 0.396420, 900: 2.70245e-4, 999: 4.03583e-5}
    ladder = abar_of(linear_ladder())
    for t in range(1000):
        abar *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999)
        assert ladder[t].item() == pytest.approx(abar, rel=1e-9)
        if t in expected:
            assert abar == pytest.approx(expected[t], rel=2e-6)


def test_scaled_linear_ladder_ends_where_stable_diffusion_does() -> None:
    sigmas = scaled_linear_ladder()
    assert sigmas[0].item() == pytest.approx(0.0292, abs=1e-4)  # k-diffusion's sigma_min and sigma_max of that model
    assert sigmas[-1].item() == pytest.approx(14.6146, abs=1e-3)


def test_cosine_ladder_follows_its_curve_and_its_cut() -> None:
    abar = abar_of(cosine_ladder())
    curve = [math.cos((u / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for u in range(1001)]
    assert abar[499].item() == pytest.approx(curve[500] / curve[0], rel=1e-9)
    assert (abar[-1] / abar[-2]).item() == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("ladder", [linear_ladder(), scaled_linear_ladder(), cosine_ladder()])
def test_training_ladders_ascend(ladder: Tensor) -> None:
    assert ladder.shape == (1000,)
    assert ladder.dtype == torch.float64
    assert (ladder.diff() > 0).all()


def test_respacing_keeps_every_tenth_level_up_to_300() -> None:
    sigmas = linear_ladder()
    assert torch.equal(respace(sigmas, 30, 300), sigmas[torch.arange(300, -1, -10)])


@given(st.integers(1, 60), st.integers(1, 49))
def test_respacing_descends_from_top_to_the_first_level(steps: int, top: int) -> None:
    sigmas = linear_ladder(50)
    ladder = respace(sigmas, steps, top)
    assert (ladder.diff() < 0).all()
    assert ladder[0] == sigmas[top]
    assert ladder[-1] == sigmas[0]
    assert len(ladder) == min(steps, top) + 1


@pytest.mark.parametrize(("steps", "top"), [(0, 10), (5, 0), (5, 1000)])
def test_respacing_refuses_an_impossible_ladder(steps: int, top: int) -> None:
    with pytest.raises(UsageError, match="ladder"):
        respace(linear_ladder(), steps, top)


def test_karras_ladder_is_edm_equation_5() -> None:
    ladder = karras_ladder(18)
    expected = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert ladder.tolist() == pytest.approx([*expected, 0.0])
    assert len(karras_ladder(1)) == 2
    with pytest.raises(UsageError):
        karras_ladder(0)


# --- noise ---


def test_streams_belong_to_images_not_to_the_batch() -> None:
    x = torch.zeros(2, 3, 4, 4)
    both = Streams.of(7, 2)
    first, second = Streams.of(7, 1), Streams.of([8], 1)
    for _ in range(2):
        drawn = both.like(x)
        assert torch.equal(drawn[:1], first.like(x[:1]))
        assert torch.equal(drawn[1:], second.like(x[1:]))
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("wrong", ["a", 0.5, 2**64, [-(2**63) - 1]])
def test_a_seed_is_a_whole_number_that_torch_takes(wrong: Any) -> None:
    assert Streams.seeds([3, np.uint8(4)], 2) == Streams.seeds(np.arange(3, 5), 2) == [3, 4]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a seed is"):
        Streams.seeds(wrong, 1)


def test_streams_refuse_another_batch_size() -> None:
    with pytest.raises(UsageError, match="2 seeds for a batch of 3"):
        Streams.of([1, 2], 3)
    with pytest.raises(UsageError, match="2 random streams"):
        Streams.of(0, 2).like(torch.zeros(3, 1))


def test_counts_belong_to_their_image_and_have_their_mean() -> None:
    mean = torch.tensor([0.0, 2.0, 50.0])[:, None].expand(2, 3, 20_000)
    counts = Streams.of(7, 2).poisson(mean)
    assert torch.equal(counts[1:], Streams.of(8, 1).poisson(mean[1:]))
    assert torch.equal(counts, counts.round())
    torch.testing.assert_close(counts.mean(2), mean[..., 0], rtol=0.02, atol=0)
    torch.testing.assert_close(counts.var(2), mean[..., 0], rtol=0.06, atol=0)
    with pytest.raises(UsageError, match="2 random streams"):
        Streams.of(0, 2).poisson(torch.zeros(3, 1))


def test_streams_know_whether_they_were_drawn_from() -> None:
    streams = Streams.of([3, 4], 2)
    assert not streams.drawn
    parts = streams.split()
    parts[1].like(torch.zeros(1, 2))
    assert [one.drawn for one in (streams, *parts)] == [True, False, True]


def test_streams_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    Streams.of(0, 1).like(torch.zeros(1, 3))
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_depend_on_path_and_sample_and_on_nothing_else() -> None:
    seeds = {derive_seed(s, p, i) for s in (0, 1) for p in ("", "a.png", "b/a.png") for i in (0, 1)}
    assert len(seeds) == 12
    assert derive_seed(0, "a.png", 1) == derive_seed(0, "a.png", 1)
    assert derive_seed(5) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


# --- moves ---


@given(levels, levels)
def test_renoise_is_the_ddim_step(sigma: float, sigma_next: float) -> None:
    # Song et al. 2021, eq. 12 with sigma_t = 0, in the paper's coordinates.
    x, eps = batch(0), batch(1)
    x0 = x - sigma * eps
    abar, abar_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    x_vp = math.sqrt(abar) * x
    predicted = (x_vp - math.sqrt(1 - abar) * eps) / math.sqrt(abar)
    expected = math.sqrt(abar_next) * predicted + math.sqrt(1 - abar_next) * eps
    moved = renoise(x, x0, sigma, sigma_next) * math.sqrt(abar_next)
    torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-6)


@given(st.floats(0.02, 100), st.floats(0.01, 1), shares)
def test_renoise_is_the_ancestral_step(sigma: float, ratio: float, eta: float) -> None:
    # Song et al. 2021, eq. 12 with eq. 16; eta = 1 is Ho et al. 2020, eq. 7.
    sigma_next = ratio * sigma
    x, eps = batch(0), batch(1)
    abar, abar_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    spread = eta * math.sqrt((1 - abar_next) / (1 - abar) * max(1 - abar / abar_next, 0))
    noise = Streams.of(0, 2).like(x)
    mean = math.sqrt(abar_next) * (x - sigma * eps) + math.sqrt(max(1 - abar_next - spread**2, 0)) * eps
    share = eta * math.sqrt(1 - ratio**2)
    moved = renoise(x, x - sigma * eps, sigma, sigma_next, share, Streams.of(0, 2)) * math.sqrt(abar_next)
    torch.testing.assert_close(moved, mean + spread * noise, rtol=1e-6, atol=1e-6)


@given(levels, st.floats(0, 1))
def test_renoise_at_the_same_level_is_variance_preservation_sampling(sigma: float, gamma: float) -> None:
    # Xiao et al. 2024, eq. 8-10: y + eta_l score + eta_g n in the paper's coordinates.
    x, x0 = batch(0), batch(1)
    abar = 1 / (1 + sigma**2)
    y = math.sqrt(abar) * x
    score = -(y - math.sqrt(abar) * x0) / (1 - abar)
    noise = Streams.of(3, 2).like(y)
    eta_l = gamma * (1 - abar)
    eta_g = math.sqrt(gamma * (2 - gamma)) * math.sqrt(1 - abar)
    expected = y + eta_l * score + eta_g * noise
    eta = math.sqrt(1 - (1 - gamma) ** 2)
    moved = renoise(x, x0, sigma, sigma, eta, Streams.of(3, 2)) * math.sqrt(abar)
    torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-6)
    # A19: the noise level is kept, whatever gamma.
    assert (math.sqrt(1 - abar) - eta_l / math.sqrt(1 - abar)) ** 2 + eta_g**2 == pytest.approx(1 - abar)


def test_renoise_leaves_its_inputs_and_ends_in_x0() -> None:
    x, x0 = batch(0), batch(1)
    copies = x.clone(), x0.clone()
    assert torch.equal(renoise(x, x0, 2.0, 0.0, 0.5, Streams.of(0, 2)), x0)
    renoise(x, x0, 2.0, 3.0, 0.5, Streams.of(0, 2))
    assert torch.equal(x, copies[0])
    assert torch.equal(x0, copies[1])


def test_renoise_refuses_what_has_no_meaning() -> None:
    x = batch()
    with pytest.raises(UsageError, match="above 0"):
        renoise(x, x, 0.0, 1.0)
    with pytest.raises(UsageError, match="random streams"):
        renoise(x, x, 1.0, 1.0, 0.5)


VARIANCE = 0.25
GAUSSIAN = GaussianPrior(torch.zeros(1, 1, 1, dtype=torch.float64), variance=torch.full((1, 1, 1), VARIANCE).double())


def inverted(ladder: Tensor, image: Tensor) -> Tensor:
    *_, (sigma, latent, _) = invert(GAUSSIAN, image, ladder)
    assert sigma == ladder[0].item()
    return latent


def round_trip_error(ladder: Tensor) -> float:
    """Largest error of inversion followed by DDIM."""
    image = batch(0, 4, 1, 8, 8)
    x = inverted(ladder, image)
    for sigma, sigma_next in pairwise(ladder.tolist()):
        x = renoise(x, GAUSSIAN(x, sigma), sigma, sigma_next)
    return (x - image).abs().max().item()


def geometric_ladder(steps: int) -> Tensor:
    return torch.logspace(0.5, -2, steps + 1, dtype=torch.float64)


def test_inversion_reaches_the_exact_latent_of_a_gaussian() -> None:
    # The probability flow of N(0, v) scales x by sqrt((v + s'^2) / (v + s^2)); Euler steps get there to first order.
    image, errors = batch(0, 2, 1, 4, 4), []
    for ladder in (geometric_ladder(400), geometric_ladder(800)):
        bottom, top = ladder[-1].item(), ladder[0].item()
        exact = image * math.sqrt((VARIANCE + top**2) / (VARIANCE + bottom**2))
        errors.append(((inverted(ladder, image) - exact) / exact).abs().max().item())
    assert errors[1] < 0.005
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)


def test_a_round_trip_returns_the_image_to_second_order_in_the_step() -> None:
    # Up by Euler from the lower level and down by Euler from the upper one: the first order cancels at each level ...
    coarse, fine = (round_trip_error(torch.tensor([0.5 + h, 0.5]).double()) for h in (0.02, 0.01))
    assert fine < 4e-4
    assert coarse / fine == pytest.approx(4, rel=0.05)
    # ... and n levels of second order in 1/n each leave an error of first order in all.
    coarse, fine = (round_trip_error(geometric_ladder(n)) for n in (400, 800))
    assert fine < 0.02
    assert coarse / fine == pytest.approx(2, rel=0.05)


def test_golden_seeds() -> None:
    """The outputs of every folder hang on these numbers: they never change."""
    assert derive_seed(5) == 5
    assert derive_seed(0, "a/photo.jpg") == 961750106314602314
    assert derive_seed(7, "\u00e9.png", 2) == 432878752804811331
    assert derive_seed(3, sample=1) == 4104037911446519565
    drawn = Streams.of(7, 1).like(torch.zeros(1, 1, 1, 3)).flatten().tolist()
    assert drawn == pytest.approx([-0.1467951, 0.7861413, 0.9468216], abs=1e-6)


@given(st.integers(1, 1000))
def test_steps_that_do_not_divide_the_ladder_walk_a_few_levels_more(steps: int) -> None:
    moves = len(strided(linear_ladder(), steps)) - 1
    assert moves == math.ceil(1000 / (1000 // steps))
    assert moves >= steps
    assert (moves == steps) or 1000 % steps
    assert len(strided(linear_ladder(), 3)) - 1 == 4
