"""The Diffusion Image Prior."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DIIP
from pellucid.methods.diip import Watch, laplacian_variance
from pellucid.operators import Denoise
from pellucid.priors import Counted, EmpiricalPrior, GaussianPrior

MEAN, VARIANCE = 0.2, 0.3
PRIOR = GaussianPrior(torch.full((3, 1, 1), MEAN).double(), variance=torch.full((3, 1, 1), VARIANCE).double())
FEW = DIIP(steps=4, rate=0.05, iterations=12, window=2, gradient="exact")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(method: DIIP) -> list[float]:
    return method.ladder(linear_ladder()).tolist()


def affine(method: DIIP) -> tuple[float, float]:
    """g(z) = a z + b on the Gaussian prior: the product of the DDIM steps' factors."""
    ladder = levels(method)
    a, b = math.sqrt(1 + ladder[0] ** 2), 0.0
    for sigma, after in pairwise(ladder):
        share = VARIANCE / (VARIANCE + sigma**2)
        factor = share + after / sigma * (1 - share)
        a, b = factor * a, factor * b + (1 - after / sigma) * (1 - share) * MEAN
    return a, b


def test_the_generator_on_a_gaussian_prior_is_affine() -> None:
    a, b = affine(FEW)
    z = draw(2, 3, 4, 5)
    torch.testing.assert_close(FEW.generate(PRIOR, z, levels(FEW)), a * z + b)
    # DDIM from 900 down, as the paper's steps of 100.
    assert levels(DIIP()) == [*(linear_ladder()[t].item() for t in range(900, -1, -100)), 0.0]


def test_one_ddim_step_in_the_papers_notation() -> None:
    """z is the variance-preserving latent; x0 = (x - sqrt(1 - abar) eps) / sqrt(abar) is the last step's result."""
    method = DIIP(steps=1)
    z = draw(1, 3, 4, 4)
    sigma = levels(method)[0]
    abar = 1 / (1 + sigma**2)
    x = z / math.sqrt(abar)
    eps = (x - PRIOR(x, sigma)) / sigma
    expected = (z - math.sqrt(1 - abar) * eps) / math.sqrt(abar)
    torch.testing.assert_close(method.generate(PRIOR, z, levels(method)), expected)


def test_the_gradient_is_exact_through_three_steps() -> None:
    """Against finite differences, with a prior that is not linear."""
    prior = EmpiricalPrior(draw(5, 1, 3, 3, seed=2))
    ladder = [1.5, 0.8, 0.3, 0.0]
    z = draw(1, 1, 3, 3, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: DIIP(gradient="exact").generate(prior, z, ladder), (z,), eps=1e-5, atol=1e-5
    )


def test_straight_through_gives_the_same_image_and_the_latents_own_gradient() -> None:
    z = draw(1, 3, 4, 4).requires_grad_()
    exact, straight = FEW, replace(FEW, gradient="straight-through")
    image = straight.generate(PRIOR, z, levels(FEW))
    torch.testing.assert_close(image, exact.generate(PRIOR, z, levels(FEW)))
    (gradient,) = torch.autograd.grad(image.sum(), z)
    torch.testing.assert_close(gradient, torch.full_like(z, math.sqrt(1 + levels(FEW)[0] ** 2)))


@pytest.mark.parametrize("gradient", ["exact", "straight-through"])
def test_without_a_stop_the_noise_is_found_whose_image_is_the_damaged_one(
    gradient: Literal["exact", "straight-through"],
) -> None:
    y = (0.5 * draw(1, 3, 4, 4)).clamp(-1, 1)
    method = DIIP(steps=4, rate=0.05, iterations=400, stop="never", gradient=gradient)
    torch.testing.assert_close(method(Problem(y), PRIOR), y, atol=2e-3, rtol=0)


def test_two_iterates_with_adam_in_plain_arithmetic() -> None:
    """Adam's first step moves every number by the learning rate against the sign of its gradient."""
    y = draw(1, 3, 4, 4, seed=5)
    states = list(replace(FEW, iterations=2, stop="never").iterate(Problem(y), PRIOR, Streams([7])))
    a, b = affine(FEW)
    z = Streams([7]).like(y)
    torch.testing.assert_close(states[0].x, a * z + b)
    torch.testing.assert_close(states[1].x, a * (z - 0.05 * (a * z + b - y).sign()) + b, rtol=1e-6, atol=1e-6)
    assert states[0].curves["loss"][0] == pytest.approx((a * z + b - y).square().mean().item())


def test_on_the_sphere_the_noise_keeps_its_length() -> None:
    y = draw(2, 3, 4, 4, seed=5)
    method = replace(FEW, sphere=True, stop="never")
    a, b = affine(method)
    *_, state = method.iterate(Problem(y), PRIOR, Streams([1, 2]))
    z = (state.x - b) / a
    torch.testing.assert_close(z.flatten(1).norm(dim=1), torch.full((2,), math.sqrt(48)).double())


# --- stopping ---------------------------------------------------------------------------------------------------------


def stopped_at(method: DIIP, losses: list[float], variances: list[float]) -> int | None:
    """The number of the iterate that is returned, counted from 0; None if it does not stop."""
    watch = Watch(method)
    for index, (loss, variance) in enumerate(zip(losses, variances, strict=True)):
        watch.see(torch.tensor(index), loss, variance)
    return int(watch.image) if watch.stopped else None


def test_the_papers_one_step_tests() -> None:
    slope = DIIP(stop="slope", window=1, slope=0.1)
    # (L_1 - L_2) / L_1 = 0.05 is the first below 0.1: iterate 1 is returned.
    assert stopped_at(slope, [1.0, 0.8, 0.76, 0.5], [1.0, 2, 3, 4]) == 1
    assert stopped_at(slope, [1.0, 0.8, 0.6, 0.4], [4.0, 3, 2, 1]) is None
    laplacian = DIIP(stop="laplacian", window=1, minimum=3)
    # The fall from 1 to 2 comes before k_min; the first after it is from 4 to 5.
    assert stopped_at(laplacian, [1.0] * 6, [1.0, 3, 2, 4, 5, 4.9]) == 4
    assert stopped_at(laplacian, [1.0] * 6, [1.0, 2, 3, 4, 5, 6]) is None
    assert stopped_at(replace(laplacian, stop="never"), [1.0] * 6, [6.0, 5, 4, 3, 2, 1]) is None


def test_auto_is_whichever_comes_first() -> None:
    auto = DIIP(stop="auto", window=1, slope=0.1, minimum=0)
    rising, falling = [1.0, 2, 3, 4], [1.0, 2, 1, 0]
    steep, flat = [1.0, 0.5, 0.25, 0.1], [1.0, 0.5, 0.25, 0.24]
    assert [stopped_at(auto, a, b) for a in (steep, flat) for b in (rising, falling)] == [None, 1, 2, 1]


def test_a_window_compares_means() -> None:
    # Up and down by 0.1 while it falls: single steps rise, means of two do not.
    losses = [1.0, 0.8, 0.9, 0.6, 0.7, 0.4, 0.5, 0.2, 0.35, 0.35, 0.3, 0.3]
    assert stopped_at(DIIP(stop="slope", window=1, slope=0.05), losses, losses) == 1
    assert stopped_at(DIIP(stop="slope", window=2, slope=0.05), losses, losses) == 7


def test_an_image_that_has_stopped_keeps_still() -> None:
    """A flat image is found at once; the other of the batch goes on, and both are as they are alone."""
    y = torch.cat([torch.full((1, 3, 6, 6), 0.2).double(), draw(1, 3, 6, 6, seed=4)])
    method = DIIP(steps=2, rate=0.1, iterations=400, window=3, slope=0.02, stop="slope")
    states = list(method.iterate(Problem(y), PRIOR, Streams([0, 1])))
    alone = [list(method.iterate(Problem(y[i : i + 1]), PRIOR, Streams([i]))) for i in range(2)]
    assert len(states) == max(len(own) for own in alone) < 400
    assert len(alone[0]) != len(alone[1])
    for i in range(2):
        assert torch.equal(states[-1].x[i : i + 1], alone[i][-1].x)
    assert states[-1].step == states[-1].total


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
@pytest.mark.parametrize("gradient", ["exact", "straight-through"])
def test_laws(size: tuple[int, int], gradient: Literal["exact", "straight-through"]) -> None:
    y = draw(2, 3, *size)
    before, method = y.clone(), replace(FEW, stop="never", gradient=gradient)
    counted = Counted(PRIOR)
    out = method(Problem(y), counted, seed=3)
    assert torch.equal(y, before)
    assert torch.equal(out, method(Problem(y), PRIOR, seed=3))
    assert torch.equal(out[1:], method(Problem(y[1:]), PRIOR, seed=4))
    *_, state = method.iterate(Problem(y), PRIOR, Streams([3, 4]))
    assert state.nfe == method.nfe(PRIOR) == 48
    assert not out.requires_grad


def test_it_is_blind_and_minds_its_ranges() -> None:
    with pytest.raises(UsageError, match="blind"):
        FEW(Problem(draw(1, 3, 4, 4), Denoise(), 0.1), PRIOR)
    for field, value in (
        ("steps", 0), ("rate", 0), ("iterations", 0), ("stop", "soon"), ("slope", -1),
        ("minimum", -1), ("window", 0), ("gradient", "half"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=field):
            DIIP(**{field: value})  # type: ignore[arg-type]


def test_the_laplacian_of_a_checkerboard() -> None:
    board = (-1.0) ** (torch.arange(6)[:, None] + torch.arange(6))
    flat = torch.full((6, 6), 0.3)
    images = torch.stack([board, flat])[:, None].expand(2, 3, 6, 6)
    # Each pixel and its four neighbours differ by 2: the Laplacian is 8 or -8.
    assert laplacian_variance(images).tolist() == pytest.approx([64, 0], abs=1e-5)
    assert laplacian_variance(images[..., :2]).tolist() == [0, 0]
