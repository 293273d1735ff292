"""BIRD, BlindDPS and GibbsDDRM: blurs whose kernel nobody knows."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder, strided
from pellucid.maths.problem import Problem
from pellucid.methods import BIRD, BlindDPS, GibbsDDRM, Method
from pellucid.methods.gibbsddrm import data_slope, normal_matrix
from pellucid.operators import AveragePool, Denoise, blur
from pellucid.operators.blur import convolve
from pellucid.priors import Counted, GaussianPrior
from pellucid.priors.kernels import to_kernel

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2).double(), variance=torch.full((3, 1, 1), 0.3))
FEW: dict[str, Method] = {
    "bird": BIRD(steps=3, iterations=4, kernel=3),
    "blinddps": BlindDPS(steps=8, kernel=3),
    "gibbsddrm": GibbsDDRM(steps=8, kernel=3),
}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def likeness(kernel: Tensor, other: Tensor) -> Tensor:
    """Pearson's correlation of kernels of the same size, (B,)."""
    a, b = (k.flatten(1) - k.flatten(1).mean(1, keepdim=True) for k in (kernel, other))
    found: Tensor = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    return found


# --- the kernel is found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        BIRD(steps=3, rate=0.01, kernel=15, kernel_rate=0.1),
        BlindDPS(steps=100, scale=3, kernel_scale=1, kernel=15),
        GibbsDDRM(steps=20, kernel=15, begin=0.3, repeats=2, ridge=0.1),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_blur_is_found(method: Method) -> None:
    """A picture of disks and texture, blurred along a slant, and a prior that knows it but for a little."""
    place = torch.arange(78.0)
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    scene = sum(
        0.5 * (-1) ** i * torch.sigmoid(12 - ((rows - a) ** 2 + (columns - b) ** 2).sqrt() * 2)
        for i, (a, b) in enumerate([(15, 20), (40, 55), (60, 20), (30, 35), (65, 65), (20, 65), (50, 40)])
    )
    assert isinstance(scene, Tensor)
    scene = scene + 0.2 * draw(78, 78, seed=3).float()
    prior = GaussianPrior(scene.expand(3, -1, -1), variance=torch.full((3, 1, 1), 0.005))
    x = prior.sample((78, 78), Streams([5]))
    kernel = blur.anisotropic(2.0, 1.0, 30, 15).float()[None, None]
    noisy = convolve(x, kernel) + 0.02 * Streams([8]).like(x)
    # Beyond the measurement there is more of the picture, as for a camera.
    inside = (..., slice(7, -7), slice(7, -7))
    own = prior if isinstance(method, GibbsDDRM) else GaussianPrior(prior.mean[inside], variance=prior.variance)
    *_, state = method.iterate(Problem(noisy[inside]), own, Streams([0]))
    assert likeness(state.found["kernel"], kernel).item() > 0.9
    assert state.found["kernel"].sum().item() == pytest.approx(1, abs=1e-4)


# --- one published step -----------------------------------------------------------------------------------------------


def test_bird_moves_by_adam_and_returns_to_the_sphere() -> None:
    """On a Gaussian prior g(z) = a z + b, so that all of the second iterate can be written down."""
    y = 0.4 * draw(1, 3, 4, 5, seed=2)
    method = BIRD(steps=2, rate=0.05, iterations=2, degradation="none")
    states = list(method.iterate(Problem(y), PRIOR, Streams([3])))
    ladder = strided(linear_ladder(), 2).tolist()
    z = Streams([3]).like(y)
    x = z * math.sqrt(1 + ladder[0] ** 2)
    for sigma, after in pairwise(ladder):
        x = x + (after - sigma) * (x - PRIOR(x, sigma)) / sigma
    torch.testing.assert_close(states[0].x, x)
    moved = z - 0.05 * (x - y).sign()
    moved = moved * math.sqrt(60) / moved.norm()
    for sigma, after in pairwise(ladder):
        moved = moved * math.sqrt(1 + sigma**2) if sigma == ladder[0] else moved
        moved = moved + (after - sigma) * (moved - PRIOR(moved, sigma)) / sigma
    torch.testing.assert_close(states[1].x, moved, rtol=1e-5, atol=1e-5)


def test_bird_uses_a_known_operator() -> None:
    x = PRIOR.sample((8, 8), Streams([2]))
    y = AveragePool(2).A(x)
    out = BIRD(steps=3, rate=0.05, iterations=200)(Problem(y, AveragePool(2)), PRIOR)
    assert out.shape == x.shape
    assert (AveragePool(2).A(out) - y).square().mean() < 0.2 * y.var()


def test_one_step_of_blinddps_as_published() -> None:
    """In variance-preserving notation: DDPM's step, then x' -= zeta grad_{x_t} r and k' -= zeta_k grad_{k_t} r."""
    y = 0.3 * draw(1, 3, 6, 6, seed=1)
    method = BlindDPS(steps=10, scale=0.4, kernel_scale=0.7, kernel=3, sparsity=0.2, clip=False)
    first, second = list(method.iterate(Problem(y), PRIOR, Streams([0])))[:2]
    kernels = method._kernels()
    rng = Streams([0])
    ladder = strided(linear_ladder(), 10).tolist()
    x = ladder[0] * rng.like(y)
    k = ladder[0] * rng.like(y.new_empty(1, 1, 3, 3))
    for sigma, after in pairwise(ladder[:3]):
        a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
        beta = 1 - a / a_next
        vp_x, vp_k = (math.sqrt(a) * x).requires_grad_(), (math.sqrt(a) * k).requires_grad_()
        x0, k0 = PRIOR(vp_x / math.sqrt(a), sigma), kernels(vp_k / math.sqrt(a), sigma)
        kernel = to_kernel(k0)
        r = (y - convolve(x0, kernel)).norm() + 0.2 * (kernel + 1e-6).pow(0.8).sum()
        pulls = torch.autograd.grad(r, (vp_x, vp_k))
        moved = []
        for latent, clean, pull, scale in ((vp_x, x0, pulls[0], 0.4), (vp_k, k0, pulls[1], 0.7)):
            mean = math.sqrt(a_next) * beta / (1 - a) * clean + math.sqrt(1 - beta) * (1 - a_next) / (1 - a) * latent
            spread = math.sqrt((1 - a_next) / (1 - a) * beta)
            moved.append(((mean + spread * rng.like(latent) - scale * pull) / math.sqrt(a_next)).detach())
        x, k = moved
    torch.testing.assert_close(second.x, x, rtol=1e-6, atol=1e-6)
    assert first.nfe == 1


def test_the_kernels_data_term() -> None:
    """Its slope by autograd over what was measured, its curvature by what it says of a kernel."""
    x, y, k = draw(3, 9, 8), draw(3, 9, 8, seed=1), draw(9, seed=2)
    inside = (..., slice(1, -2), slice(2, -1))
    free = k.clone().requires_grad_()
    residual = (convolve(x[None], free.view(1, 1, 3, 3), "circular")[0] - y)[inside]
    (0.5 * residual.square().sum()).backward()
    assert free.grad is not None
    torch.testing.assert_close(data_slope(k, x, y, inside), free.grad)
    made = convolve(x[None], k.view(1, 1, 3, 3), "circular")
    torch.testing.assert_close(k @ normal_matrix(x, 3) @ k, made.square().sum())


def test_one_langevin_step_of_gibbsddrm_as_published() -> None:
    """k - h/2 grad + sqrt(h) n with a tiny h, then non-negative and of sum 1."""
    x, y = draw(1, 3, 8, 8), draw(1, 3, 8, 8, seed=1)
    method = GibbsDDRM(kernel=3, langevin=1, preconditioned=False, size=1e-4, sparsity=10.0)
    kernel = torch.full((1, 1, 3, 3), 1 / 9).double()
    drawn = method.draw(kernel, x, y, (..., slice(0, 8), slice(0, 8)), [0.5], Streams([4]))
    free = kernel.clone().requires_grad_()
    loss = (y - convolve(x, free, "circular")).square().sum() / (2 * 0.5**2) + 10 * free.abs().sum()
    loss.backward()
    assert free.grad is not None
    expected = (kernel - 0.5e-4 * free.grad + 1e-2 * Streams([4]).like(kernel)).clamp_min(0)
    torch.testing.assert_close(drawn, expected / expected.sum())


# --- laws -------------------------------------------------------------------------------------------------------------


def test_a_draw_that_leaves_nothing_is_none() -> None:
    """A huge sparsity takes every number below 0: the kernel stays as it was."""
    x = draw(1, 3, 8, 8)
    method = GibbsDDRM(kernel=3, langevin=1, preconditioned=False, size=1e-4, sparsity=1e9)
    kernel = torch.full((1, 1, 3, 3), 1 / 9).double()
    drawn = method.draw(kernel, x, x, (..., slice(0, 8), slice(0, 8)), [0.5], Streams([4]))
    assert torch.equal(drawn, kernel)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_laws(name: str, size: tuple[int, int]) -> None:
    method, y = FEW[name], 0.5 * draw(2, 3, *size)
    before, counted = y.clone(), Counted(PRIOR)
    out = method(Problem(y), counted, seed=3)
    assert out.shape == y.shape
    assert torch.equal(y, before)
    assert torch.equal(out, method(Problem(y), PRIOR, seed=3))
    assert torch.equal(out[1:], method(Problem(y[1:]), PRIOR, seed=4))
    *_, state = method.iterate(Problem(y), PRIOR, Streams([3, 4]))
    assert counted.nfe == state.nfe == method.nfe(PRIOR)
    assert not out.requires_grad
    assert state.found["kernel"].shape == (2, 1, 3, 3)


@pytest.mark.parametrize("name", ["blinddps", "gibbsddrm"])
def test_they_are_blind(name: str) -> None:
    with pytest.raises(UsageError, match="blind"):
        FEW[name](Problem(draw(1, 3, 4, 4), Denoise(), 0.1), PRIOR)


def test_gibbsddrm_counts_the_draws() -> None:
    """100 steps of which those from level 700 on draw three times, but for the last, which ends without noise."""
    assert GibbsDDRM().nfe(PRIOR) == 100 + 3 * 70


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (BIRD, "steps", 0), (BIRD, "rate", 0), (BIRD, "iterations", 0), (BIRD, "degradation", "fog"),
        (BIRD, "kernel", 2), (BIRD, "kernel_rate", -1), (BIRD, "gradient", "half"),
        (BlindDPS, "steps", 0), (BlindDPS, "kernel", 1), (BlindDPS, "scale", -1), (BlindDPS, "kernel_scale", math.inf),
        (BlindDPS, "sparsity", -1),
        (GibbsDDRM, "steps", 0), (GibbsDDRM, "eta", 2), (GibbsDDRM, "begin", -1), (GibbsDDRM, "repeats", 0),
        (GibbsDDRM, "langevin", 0), (GibbsDDRM, "size", 0), (GibbsDDRM, "sparsity", -1), (GibbsDDRM, "kernel", 2),
        (GibbsDDRM, "ridge", 0), (GibbsDDRM, "doubt", 0),
    ],
)  # fmt: skip
def test_ranges(kind: type[Method], field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        kind(**{field: value})


def test_a_prior_of_kernels_from_a_folder(tiny_prior: Path) -> None:
    with pytest.raises(UsageError, match="one channel"):
        BlindDPS(steps=1, kernel_prior=tiny_prior)(Problem(draw(1, 3, 8, 8)), PRIOR)


def test_the_likeness_of_kernels() -> None:
    kernel = draw(2, 1, 3, 3)
    torch.testing.assert_close(likeness(kernel, 2 * kernel + 1), torch.ones(2).double())
    torch.testing.assert_close(likeness(kernel, -kernel), -torch.ones(2).double())


def test_the_number_of_draws_may_be_small() -> None:
    method = GibbsDDRM(steps=8, kernel=3, begin=0.0)
    assert method.nfe(PRIOR) == 8
    assert replace(method, begin=1.0).nfe(PRIOR) == 8 + 3 * 7
