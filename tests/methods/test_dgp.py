"""The deep generative prior."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid import methods
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import DGP
from pellucid.operators import AveragePool, Grayscale, Mask
from pellucid.priors import Counted, GaussianPrior
from pellucid.support.settings import parse

PRIOR = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.ones(3, 1, 1))


class Linear(nn.Module):
    """G(z) = W2 W1 z as images of 4x4 pixels."""

    def __init__(self, latent: int = 3, channels: int = 3) -> None:
        super().__init__()
        self.latent, self.channels = latent, channels
        chance = torch.Generator().manual_seed(0)
        self.blocks = nn.ModuleList([nn.Linear(latent, 5, bias=False), nn.Linear(5, 16 * channels, bias=False)])
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.5, generator=chance)

    def forward(self, z: Tensor) -> Tensor:
        return self.blocks[1](self.blocks[0](z)).view(len(z), self.channels, 4, 4)  # type: ignore[no-any-return]


def halves(x: Tensor) -> list[Tensor]:
    """Stands in for a discriminator's layers."""
    return [100 * x[..., 1, :], x[..., ::2, :], 2 * x.mean((2, 3)), -x[:, :1]]


LINEAR = Linear().double()
TINY = DGP(LINEAR, halves, candidates=6, iterations=2, rates=(1e-3, 2e-3), latent_rates=(0.1, 0.05), overlap=1)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def drawn(method: DGP, y: Tensor, seed: int) -> Tensor:
    return method.spread * Streams([seed]).like(y.new_empty(1, method.candidates, 3))[0]


def feature_loss(a: Tensor, b: Tensor, layers: int) -> Tensor:
    pairs = list(zip(halves(a), halves(b), strict=True))[-layers:]
    return torch.stack([(own - other).abs().mean() for own, other in pairs]).sum()


# --- the paper --------------------------------------------------------------------------------------------------------


def test_the_latent_is_the_best_of_the_candidates_by_the_last_three_features() -> None:
    y = images(1, 3, 4, 4)
    first = next(TINY.iterate(Problem(y), PRIOR, Streams([5])))
    with torch.no_grad():
        made = [LINEAR(z[None]) for z in drawn(TINY, y, 5)]
    distances = [feature_loss(image, y, 3).item() for image in made]
    assert torch.equal(first.x, made[distances.index(min(distances))])
    # Not by the first, which weighs a hundred times as much.
    whole = [feature_loss(image, y, 4).item() for image in made]
    assert whole.index(min(whole)) != distances.index(min(distances))


def test_without_features_it_is_the_least_squared_error() -> None:
    y = images(1, 3, 4, 4, seed=3)
    first = next(replace(TINY, features=None).iterate(Problem(y), PRIOR, Streams([5])))
    with torch.no_grad():
        # One by one, as there: how a product is rounded may depend on how many there are.
        made = torch.cat([LINEAR(z[None]) for z in drawn(TINY, y, 5)])
    assert torch.equal(first.x[0], made[(made - y).square().mean((1, 2, 3)).argmin()])


def test_the_first_stage_in_plain_arithmetic() -> None:
    """Adam without momentum: each step is the gradient over the root of the mean of squared gradients so far.

    At the first stage of two the first of the two blocks moves, at the second both.
    """
    y = images(1, 3, 4, 4)
    states = list(TINY.iterate(Problem(y), PRIOR, Streams([5])))
    assert len(states) == 4
    candidates = drawn(TINY, y, 5)
    with torch.no_grad():
        z = candidates[torch.stack([feature_loss(LINEAR(z[None]), y, 3) for z in candidates]).argmin()][None]
    weights: list[Tensor] = [weight.detach().clone() for weight in LINEAR.parameters()]
    squares = [torch.zeros_like(own) for own in (z, *weights)]
    counts = [0, 0, 0]
    for step, state in enumerate(states):
        own = [value.requires_grad_() for value in (z, *weights)]
        x = (own[2] @ own[1] @ own[0][0]).view(1, 3, 4, 4)
        torch.testing.assert_close(state.x, x.detach())
        loss = (x - y).square().mean() + feature_loss(x, y, 8) + 0.02 * (own[0] ** 2 / 2).mean()
        assert state.curves["loss"][0] == pytest.approx(loss.item())
        slopes = torch.autograd.grad(loss, own)
        stage = step // 2
        rates = ((0.1, 1e-3, 0.0), (0.05, 2e-3, 2e-3))[stage]
        moved = []
        for index, (value, slope, rate) in enumerate(zip(own, slopes, rates, strict=True)):
            if rate:
                counts[index] += 1
                squares[index] = 0.999 * squares[index] + 0.001 * slope**2
            root = (squares[index] / (1 - 0.999 ** max(counts[index], 1))).sqrt() + 1e-8
            moved.append((value - rate * slope / root).detach() if rate else value.detach())
        z, *weights = moved


def test_what_it_can_make_is_found() -> None:
    y = LINEAR(torch.tensor([[0.5, -0.2, 0.3]]).double()).detach()
    method = replace(TINY, features=None, iterations=150, rates=(0.0, 0.0), latent_rates=(0.05, 0.003), latent_weight=0)
    out = method(Problem(y), PRIOR)
    torch.testing.assert_close(out, y, atol=0.02, rtol=0)


def test_the_given_generator_stays_as_it_is() -> None:
    before = [weight.clone() for weight in LINEAR.parameters()]
    TINY(Problem(images(1, 3, 4, 4)), PRIOR)
    assert all(torch.equal(a, b) for a, b in zip(before, LINEAR.parameters(), strict=True))
    assert all(weight.requires_grad for weight in LINEAR.parameters())


@pytest.mark.parametrize("operator", [Mask.box(4, 4, 1, 1, 2, 2), AveragePool(2), Grayscale()])
def test_the_loss_is_that_of_the_measurement(operator: Any) -> None:
    y = operator.A(images(1, 3, 4, 4))
    method = replace(TINY, feature_weight=0, latent_weight=0, iterations=20)
    first, *_, last = method.iterate(Problem(y, operator), PRIOR, Streams([0]))
    assert first.x.shape == (1, 3, 4, 4)
    assert first.curves["loss"][0] == pytest.approx((operator.A(first.x) - y).square().mean().item())
    assert last.curves["loss"][0] < first.curves["loss"][0]


# --- any size ---------------------------------------------------------------------------------------------------------


def constant(value: float) -> Any:
    def generator(z: Tensor) -> Tensor:
        return torch.full((len(z), 3, 4, 4), value, dtype=z.dtype) + 0 * z.sum()

    generator.latent = 1  # type: ignore[attr-defined]
    return generator


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (13, 6)])
@pytest.mark.parametrize("fit", ["patches", "resize"])
def test_equal_patches_blend_into_their_own_value(size: tuple[int, int], fit: Any) -> None:
    method = replace(TINY, generator=constant(0.3), fit=fit, iterations=1)
    out = method(Problem(images(1, 3, *size)), PRIOR)
    torch.testing.assert_close(out, torch.full((1, 3, *size), 0.3, dtype=torch.float64))


def test_each_patch_has_the_latent_that_is_best_for_it() -> None:
    """Two flat halves, and a generator of flat images."""

    def flat(z: Tensor) -> Tensor:
        return z.view(-1, 1, 1, 1).expand(-1, 3, 4, 4)

    flat.latent = 1  # type: ignore[attr-defined]
    y = torch.cat([torch.full((1, 3, 4, 4), value).double() for value in (-0.4, 0.5)], 3)
    method = DGP(flat, candidates=400, iterations=1, rates=(0.0,), latent_rates=(0.0,), overlap=0)
    for operator in (None, Mask(torch.ones(4, 8))):
        out = method(Problem(y, operator), PRIOR)
        torch.testing.assert_close(out, y, atol=0.03, rtol=0)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 5, 7), (3, 9, 4)])
@pytest.mark.parametrize("masked", [False, True])
def test_laws(shape: tuple[int, int, int], masked: bool) -> None:
    y = images(2, *shape)
    known = (images(2, 1, *shape[1:], seed=1) > -0.5).double()

    def problem(which: slice) -> Problem:
        return Problem(y[which] * known[which], Mask(known[which])) if masked else Problem(y[which])

    before, state = y.clone(), torch.get_rng_state()
    counted = Counted(PRIOR)
    out = TINY(problem(slice(None)), counted, seed=3)
    assert torch.equal(y, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(out, TINY(problem(slice(None)), PRIOR, seed=3))
    assert torch.equal(out[1:], TINY(problem(slice(1, 2)), PRIOR, seed=4))
    assert counted.nfe == TINY.nfe(PRIOR) == 0
    assert out.shape == y.shape
    assert not out.requires_grad


def test_the_packages_generator_restores() -> None:
    """Flat grey images and the way there: it comes nearer to what is asked."""
    y = 0.2 * images(1, 3, 20, 20).float() + 0.3
    method = DGP(candidates=4, iterations=4, rates=(1e-3,), latent_rates=(1e-2,))
    first, *_, last = method.iterate(Problem(y), PRIOR, Streams([0]))
    assert last.curves["loss"][0] < first.curves["loss"][0]
    assert last.x.shape == y.shape


def test_an_image_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(PellucidError, match="not finite"):
        replace(TINY, generator=constant(math.nan))(Problem(images(1, 3, 4, 4)), PRIOR)


def test_it_says_what_is_wrong(tmp_path: Path) -> None:
    y = images(1, 3, 4, 4)
    for method, says in (
        (replace(TINY, generator=torch.tanh), "attribute latent"),
        (replace(TINY, generator=Linear(channels=2)), "images of 2 channels"),
        (replace(TINY, generator="gan65"), "did you mean 'gan64'"),
    ):
        with pytest.raises(UsageError, match=says):
            method(Problem(y), PRIOR)
    with pytest.raises(PellucidError, match="cannot be read"):
        replace(TINY, generator=tmp_path)(Problem(y), PRIOR)
    with pytest.raises(UsageError, match="noise level"):
        TINY(Problem(y, None, 0.1), PRIOR)
    for field, value in (
        ("candidates", 0), ("spread", 0), ("iterations", 0), ("rates", ()), ("rates", (-1.0,)),
        ("latent_rates", (1.0,)), ("feature_weight", -1), ("error_weight", -1), ("latent_weight", -1), ("layers", 0),
        ("fit", "no"), ("overlap", -1),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=field):
            DGP(**{field: value})  # type: ignore[arg-type]


def test_its_settings_can_be_typed() -> None:
    values = parse(
        DGP, "dgp", {"generator": "runs/gan", "rates": "1e-3,0", "latent_rates": "0.1,0.2", "iterations": "3"}
    )
    assert methods.get("dgp", **values) == DGP("runs/gan", rates=(1e-3, 0.0), latent_rates=(0.1, 0.2), iterations=3)
    with pytest.raises(UsageError, match="rates must be a valid number"):
        parse(DGP, "dgp", {"rates": "1e-3,fast"})
