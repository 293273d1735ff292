"""GDP where the degradation is learnt; test_guided.py has the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid import degradations
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams, linear_ladder, strided
from pellucid.maths.problem import Problem, to_model, to_zero_one
from pellucid.methods import GDP
from pellucid.methods.losses import colour_constancy, exposure, illumination_smoothness
from pellucid.operators import AveragePool, Grayscale
from pellucid.operators.unknown import Light
from pellucid.priors import Counted, GaussianPrior, VENetwork, VPNetwork, load_prior

FEW = GDP(steps=10, scale=500 * 32**2, cell=4)  # 500 in images of 8 x 8


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scene(size: int = 64) -> tuple[GaussianPrior, Tensor]:
    """A prior around a smooth image with edges, and a sample of it."""
    waves = F.interpolate(draw(1, 3, 8, 8, seed=4), (size, size), mode="bilinear")[0]
    prior = GaussianPrior((0.3 * waves + 0.3 * waves.sign()).clamp(-0.8, 0.8), variance=torch.full((3, 1, 1), 0.005))
    return prior, prior.sample((size, size), Streams([5]))


def test_the_light_is_found() -> None:
    """y = f x + M with a slope of light: both within 5 %."""
    prior, x = scene()
    light = torch.linspace(0.05, 0.15, 64).double()[:, None].expand(64, 64)
    y = to_model(0.4 * to_zero_one(x) + light)
    method = GDP(steps=250, scale=32_000, clip=False, map_rate=0.1)
    *_, state = method.iterate(Problem(y), prior, Streams([0]))
    assert state.found["gain"].item() == pytest.approx(0.4, rel=0.05)
    assert (state.found["map"][0, 0] - light).norm() < 0.05 * light.norm()
    assert state.curves["loss"][0] < 1e-3


def test_one_step_in_the_papers_notation() -> None:
    """x' = mu - s grad_{x0} L with the numbers before they move; then f -= l dL/df, by hand."""
    prior, x = scene(8)
    y = to_model((0.4 * to_zero_one(x)).clamp(0.01, 0.99))
    method = replace(FEW, map_rate=0.0, rate=0.3, smooth=0.0, clip=False)
    first, second = list(method.iterate(Problem(y), prior, Streams([0])))[:2]
    rng = Streams([0])
    rng.like(torch.empty(1, 1, 1, 1, 1, dtype=torch.float64))  # f
    for _ in range(2):
        rng.like(y)  # the start, the first step
    z = rng.like(y)
    sigma, after = strided(linear_ladder(), 10).tolist()[1:3]
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    beta = 1 - a / a_next
    x0 = prior(first.x, sigma)
    f = first.found["gain"].item()
    residual = f * to_zero_one(x0) - to_zero_one(y)
    count = y.numel()
    slope = 2 * f * residual / count / 2  # d to_zero_one / dx = 1/2
    latent = math.sqrt(a) * first.x
    mean = math.sqrt(a_next) * beta / (1 - a) * x0 + math.sqrt(1 - beta) * (1 - a_next) / (1 - a) * latent
    spread = math.sqrt((1 - a_next) / (1 - a) * beta)
    expected = (mean - 500 * slope + spread * z) / math.sqrt(a_next)
    torch.testing.assert_close(second.x, expected, rtol=1e-6, atol=1e-6)
    moved = f - 0.3 * (2 * residual * to_zero_one(x0)).mean().item()
    assert second.found["gain"].item() == pytest.approx(moved, rel=1e-6)


def learnt(prior: GaussianPrior, v: float | None = None) -> VPNetwork:
    """A network of the prior that also predicts a variance: v, or what differs from pixel to pixel."""
    ladder = linear_ladder()

    def network(x_vp: Tensor, t: Tensor) -> Tensor:
        sigma = ladder[int(t[0].round())].item()
        x = x_vp * math.sqrt(1 + sigma**2)
        predicted = (x - prior(x, sigma)) / sigma
        return torch.cat([predicted, x_vp.tanh() if v is None else torch.full_like(x, v)], 1)

    return VPNetwork(network, ladder)


def test_one_step_with_the_learned_variance_in_the_papers_notation() -> None:
    """Improved DDPM, eq. 15: Sigma = exp(w log beta + (1 - w) log beta~) with w = (v + 1) / 2, pixel by pixel."""
    prior, x = scene(8)
    operator = AveragePool(2)
    method = replace(FEW, variance="learned", scale=0.0, clip=False)
    counted = Counted(learnt(prior))
    first, second = list(method.iterate(Problem(operator.A(x), operator), counted, Streams([0])))[:2]
    assert (first.nfe, second.nfe, counted.nfe) == (1, 2, method.nfe(counted)) == (1, 2, 10)
    rng = Streams([0])
    for _ in range(2):
        rng.like(x)  # the start, the first step
    z = rng.like(x)
    sigma, after = strided(linear_ladder(), 10).tolist()[1:3]
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    beta = 1 - a / a_next
    posterior = (1 - a_next) / (1 - a) * beta
    latent = math.sqrt(a) * first.x
    w = (latent.tanh() + 1) / 2
    spread = torch.exp(0.5 * (w * math.log(beta) + (1 - w) * math.log(posterior)))
    x0 = prior(first.x, sigma)
    mean = math.sqrt(a_next) * beta / (1 - a) * x0 + math.sqrt(1 - beta) * (1 - a_next) / (1 - a) * latent
    torch.testing.assert_close(second.x, (mean + spread * z) / math.sqrt(a_next), rtol=1e-5, atol=1e-5)


def test_the_learned_variance_lies_between_the_two() -> None:
    prior, x = scene(8)
    problem = Problem(AveragePool(2).A(x), AveragePool(2))
    for v, variance in ((-1.0, "posterior"), (1.0, "beta")):
        network = learnt(prior, v)
        out = replace(FEW, variance="learned")(problem, network)
        torch.testing.assert_close(out, replace(FEW, variance=variance)(problem, network))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no learned variance: take the posterior's, or beta"):
        replace(FEW, variance="learned")(problem, prior)


def test_the_quality_losses_are_part_of_the_gradients() -> None:
    """Against autograd of Zero-DCE's losses, written out."""
    x, y = (0.5 * draw(1, 3, 16, 16, seed=seed) for seed in (1, 2))
    method = GDP(bright=0.3, level=0.7, colour=0.2, smooth=0.5, cell=4, per_channel=True)
    family = method.family(Problem(y))
    assert isinstance(family, Light)
    theta = family.start(y, 3, Streams([0]))
    theta["map"] = 0.1 * draw(1, 1, 4, 4, seed=3)
    (loss,), slope = method.gradients(family, x, y, theta)
    free = x.clone().requires_grad_()
    own = {name: value.detach().clone().requires_grad_() for name, value in theta.items()}
    total = (to_zero_one(family.A(free, own, y)) - to_zero_one(y)).square().mean()
    total = total + 0.3 * exposure(to_zero_one(free), 0.7).sum() + 0.2 * colour_constancy(to_zero_one(free)).sum()
    total = total + 0.5 * illumination_smoothness(family.map(own, y)).sum()
    total.backward()
    assert loss == pytest.approx(total.item())
    assert free.grad is not None
    torch.testing.assert_close(slope, free.grad)
    for name, value in own.items():
        assert theta[name].grad is not None
        torch.testing.assert_close(theta[name].grad, value.grad)


@pytest.mark.parametrize("loss", ["mse", "l1", "ssim"])
def test_losses_bring_the_estimate_to_the_measurement(loss: str) -> None:
    prior, x = scene(32)
    method = GDP(steps=40, scale={"mse": 1e5, "l1": 13_000, "ssim": 16_000}[loss], loss=loss)  # type: ignore[arg-type]
    y = AveragePool(2).A(x)
    free = replace(method, scale=0)
    guided, alone = (list(m.iterate(Problem(y, AveragePool(2)), prior, Streams([0])))[-1] for m in (method, free))
    assert guided.curves["loss"][0] < 0.7 * alone.curves["loss"][0]


def test_several_damages_at_once() -> None:
    prior, x = scene(32)
    operator = Grayscale() @ AveragePool(2)
    y = operator.A(x)
    out = GDP(steps=100, scale=1e5)(Problem(y, operator), prior)
    assert out.shape == x.shape
    assert (operator.A(out) - y).square().mean() < 0.1 * y.var()


def test_exposures_give_one_image() -> None:
    """Each has its own factor; where the long one is white the short one still knows."""
    prior, x = scene(32)
    brightness = to_zero_one(x)
    short, long = 0.3 * brightness, (1.6 * brightness).clamp(max=1)
    y = to_model(torch.cat([short, long], 1))
    *_, state = GDP(steps=200, scale=3e5, map_rate=0, clip=False).iterate(Problem(y), prior, Streams([0]))
    assert state.x.shape == x.shape
    torch.testing.assert_close(state.found["gain"].flatten(), torch.tensor([0.3, 1.6]).double(), rtol=0.05, atol=0)


def test_a_small_image_first_hands_on_what_it_learnt() -> None:
    prior = GaussianPrior(torch.zeros(3, 1, 1).double(), variance=torch.full((3, 1, 1), 0.2))
    y = 0.5 * draw(1, 3, 24, 20)
    method = replace(FEW, first=12)
    states = list(method.iterate(Problem(y), prior, Streams([0])))
    assert [state.x.shape[2:] for state in states] == [(12, 10)] * 10 + [(24, 20)] * 10
    assert [state.step for state in states] == list(range(1, 21))
    assert {state.total for state in states} == {20}
    assert states[-1].nfe == method.nfe(prior) == 20
    # f goes on from where it was, not from nothing.
    assert abs(states[10].found["gain"].item() - states[9].found["gain"].item()) < 0.1
    assert abs(states[9].found["gain"].item()) > 0.05
    assert states[9].found["map"].shape == (1, 1, 12, 10)
    assert states[-1].found["map"].shape == (1, 1, 24, 20)


def test_a_small_image_need_not_be_of_a_size_that_the_prior_takes() -> None:
    prior = VENetwork(lambda x, sigma: 0.5 * x, linear_ladder(), multiple=4)
    states = list(replace(FEW, first=10).iterate(Problem(0.5 * draw(1, 3, 24, 20)), prior, Streams([0])))
    assert [state.x.shape[2:] for state in states[9:11]] == [(10, 8), (24, 20)]


@pytest.mark.parametrize(("size", "steps"), [(64, 50), (64, 250), (128, 50)])
def test_the_papers_map_of_every_pixel_stays_a_map(size: int, steps: int) -> None:
    """Plain descent multiplies a checkerboard by 1 - 3.2 at each step: M reached 1e14."""
    prior, x = scene(size)
    light = torch.linspace(0.05, 0.15, size).double()[:, None].expand(size, size)
    y = to_model(0.4 * to_zero_one(x) + light)
    *_, state = GDP(steps=steps, cell=1, clip=False).iterate(Problem(y), prior, Streams([0]))
    found = state.found["map"][0, 0]
    assert found.min() > -0.1
    assert found.max() < 0.4
    # Its differences from pixel to pixel are those of light, not of a checkerboard.
    assert found.diff(dim=0).abs().mean() < 0.02
    assert fitted(state.x, x) < fitted(y, x)


def fitted(image: Tensor, truth: Tensor) -> float:
    """Mean square of the difference to the truth that remains at the best gain, in [0, 1] units."""
    image, truth = to_zero_one(image), to_zero_one(truth)
    gain = (image * truth).sum() / image.square().sum()
    return (gain * image - truth).square().mean().item()


@pytest.mark.parametrize("rate", [None, 1 / (3 * 256**2)])
def test_the_papers_map_does_not_take_the_picture_for_shade(bundled: dict[str, Tensor], rate: float | None) -> None:
    """At 0.1 a pixel, M took so much of the picture that the result was farther from it than the dark one."""
    cat = F.interpolate(bundled["cat"], (64, 64), mode="area")
    y = degradations.get("low-light", exposure=0.25, gamma=1.5, noise=0.02)(to_zero_one(cat), 0).clamp(0, 1)
    lit = GDP(steps=50, cell=1, map_rate=rate)(Problem(to_model(y)), load_prior("natural", "cpu"))
    assert fitted(lit, cat) < 10**-0.2 * fitted(to_model(y), cat)


@pytest.mark.parametrize("steps", [50, 1000])
def test_the_map_comes_as_far_in_any_number_of_steps(steps: int) -> None:
    assert GDP(steps=steps).rate_of_map() * steps == pytest.approx(0.5)
    assert GDP(steps=steps, map_rate=0.1).rate_of_map() == 0.1


@pytest.mark.parametrize(("rate", "smooth"), [(0.1, 1.0), (0.1, 100.0), (5.0, 1.0), (1.0, 0.0)])
def test_a_step_of_the_map_never_overshoots(rate: float, smooth: float) -> None:
    """rate * pixels * P H has no eigenvalue above 2: descent with it converges, and only to the minimum."""
    light = Light(map_rate=rate, cell=1, smooth=smooth)
    size = 5
    y = to_model(torch.full((1, 1, size, size), 0.5).double())

    def step(flat: Tensor) -> Tensor:
        def loss(m: Tensor) -> Tensor:
            # One colour, f = 0: the loss of a pixel's own, and the smoothness by squares, which bound its own.
            smoothness = 2 * (m.diff(dim=-1).square().sum() + m.diff(dim=-2).square().sum()) / size**2
            return m.square().mean() + smooth * smoothness

        m = flat.view(1, 1, size, size).requires_grad_()
        (move,) = torch.autograd.grad(loss(m), m)
        return rate * size**2 * light.damped(move).flatten()

    columns = [step(row) for row in torch.eye(size**2, dtype=torch.float64)]
    values = torch.linalg.eigvals(torch.stack(columns, 1)).real
    assert values.min() > 0
    assert values.max() <= 2 + 1e-9
    assert y.shape == (1, 1, size, size)


def test_light_that_grows_without_bound_is_refused_in_one_line_that_names_the_rate() -> None:
    prior, x = scene(16)
    y = to_model(0.4 * to_zero_one(x))
    with pytest.raises(PellucidError, match=r"the factor f .* has grown to .*: take a rate below 50") as error:
        GDP(steps=100, rate=50.0, map_rate=0.0)(Problem(y), prior)
    assert "\n" not in str(error.value)


def test_a_finite_result_that_is_no_image_is_refused() -> None:
    prior, x = scene(16)
    with pytest.raises(PellucidError, match=r"is no image: 100% of its values .* up to .*e\+.*: the iteration has div"):
        GDP(steps=10, scale=1e12)(Problem(AveragePool(2).A(x), AveragePool(2)), prior)


def test_without_a_scale_light_is_pushed_as_in_the_released_code() -> None:
    y = Problem(0.5 * draw(1, 3, 8, 8))
    for steps, expected in ((1000, 160_000), (50, 3_200_000), (2000, 160_000)):
        method = GDP(steps=steps)
        assert method.zeta(method.family(y)) == expected
    blurred = GDP(steps=50, degradation="kernel")
    assert blurred.zeta(blurred.family(y)) == 2000
    assert GDP(scale=5.0).zeta(GDP().family(y)) == 5.0


@pytest.mark.parametrize("degradation", ["light", "kernel"])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_laws(degradation: str, size: tuple[int, int]) -> None:
    prior = GaussianPrior(torch.zeros(3, 1, 1).double(), variance=torch.full((3, 1, 1), 0.2))
    method = replace(FEW, degradation=degradation, kernel=3)  # type: ignore[arg-type]
    y = 0.5 * draw(2, 3, *size)
    before, counted = y.clone(), Counted(prior)
    out = method(Problem(y), counted, seed=3)
    assert torch.equal(y, before)
    assert counted.nfe == method.nfe(prior) == 10
    assert torch.equal(out, method(Problem(y), prior, seed=3))
    assert torch.equal(out[1:], method(Problem(y[1:]), prior, seed=4))
    assert not out.requires_grad


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", "l3"), ("degradation", "fog"), ("kernel", 4), ("cell", 0), ("level", 2), ("first", -1), ("bright", -1),
        ("colour", math.inf), ("smooth", -1), ("hold", -1), ("map_rate", -1),
    ],
)  # fmt: skip
def test_ranges(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        GDP(**{field: value})  # type: ignore[arg-type]
