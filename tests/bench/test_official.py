"""What published code does beside its paper."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from pellucid.bench import official, spec
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DDNM, DDRM, DPS, GDP
from pellucid.operators import AveragePool, Denoise, Grayscale, Mask, Operator
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2).double(), variance=torch.full((3, 1, 1), 0.3).double())


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def streams() -> Streams:
    return Streams.of(0, 1)


@pytest.mark.parametrize(
    ("name", "gain", "cut"),
    [("uniform", (8 / 9) ** 2, (28, 28)), ("gaussian", 0.643, (15, 15)), ("anisotropic", 0.890, (38, 29))],
)
def test_published_blurs_lose_brightness_and_small_singular_values(
    name: Literal["uniform", "gaussian", "anisotropic"], gain: float, cut: tuple[int, int]
) -> None:
    """The counts of singular values are those of 256 pixels in the published code's own matrices."""
    # Of one channel the singular values are where they belong.
    operator = official.blur(name, cut=0)
    flat = operator.A(torch.ones(1, 1, 32, 32, dtype=torch.float64))
    assert flat[0, 0, 16, 16].item() == pytest.approx(gain, abs=1e-3)
    svd = official.blur(name).svd((1, 1, 256, 256))
    assert svd is not None
    kept = svd.s[0, 0] > 0
    assert sorted(256 - int(side) for side in (kept.any(0).sum(), kept.any(1).sum())) == sorted(cut)


def test_the_uniform_blur_lies_half_a_pixel_beside_the_middle() -> None:
    point = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    point[..., 16, 16] = 1
    blurred = official.blur("uniform", cut=0).A(point)[0, 0]
    rows = (blurred.sum(1) > 1e-6).nonzero().flatten().tolist()
    assert rows == list(range(13, 21))


@pytest.mark.parametrize("name", ["uniform", "gaussian", "anisotropic"])
def test_what_is_cut_is_cut_from_the_operator_itself(name: Literal["uniform", "gaussian", "anisotropic"]) -> None:
    operator, x = official.blur(name), draw(2, 3, 40, 36)
    y = operator.A(x)
    torch.testing.assert_close(operator.A(operator.pinv(y)), y)
    svd = operator.svd((2, 3, 40, 36))
    assert svd is not None
    torch.testing.assert_close(svd.U(svd.s * svd.Vt(x)), y, rtol=1e-5, atol=1e-6)
    assert svd.s[svd.s > 0].min() >= 0.03**2 * (1 - 1e-6)


# --- frozen: what the published code itself gives, run once in float64, its fresh noise and networks replaced ---

_AT = (0, 7, 100, 400, 767)


def digest(x: Tensor) -> list[float]:
    """Five values, the sum and the sum of squares."""
    return [*x.flatten()[list(_AT)].tolist(), x.sum().item(), x.square().sum().item()]


class Silent(Streams):
    """Random streams that give nothing but zeros."""

    def like(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def vp(method_x: Tensor, sigma: float) -> Tensor:
    """The variance-preserving latent."""
    return method_x / math.sqrt(1 + sigma**2)


class Stub(GaussianPrior):
    """The prior of a network whose predicted noise is tanh of its latent, shifted by a pixel."""

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        level = float(sigma)
        return x - level * torch.tanh(vp(x, level).roll(1, -1))


STUB = Stub(PRIOR.mean, PRIOR.variance)
SEEN = 0.5 * draw(1, 3, 16, 16)


def noisy() -> tuple[Problem, Operator]:
    operator = official.blur("uniform")
    return Problem(operator.A(SEEN) + 0.1 * draw(1, 3, 16, 16, seed=1), operator, 0.1), operator


def test_the_published_blur_is_frozen() -> None:
    """DDRM's `Deblurring` of 9 taps on 3 channels of 16 x 16 pixels; 93 of its 768 singular values are zero.

    Run with the stable sort that stands beside the code's own as a comment; without it the machine decides.
    """
    operator = official.blur("uniform")
    expected = [
        -0.03464062254176461, -0.030729087200300053, -0.014603090224104652, -0.11795099402070887,
        -0.0041173501253374345, -2.2598908312273025, 1.355581571153337,
    ]  # fmt: skip
    assert digest(operator.A(SEEN)) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    svd = operator.svd((1, 3, 16, 16))
    assert svd is not None
    assert int((svd.s == 0).sum()) == 93
    # Not what a blur does: the same kernel, its values where they belong.
    true = official._Taps((1 / 9,) * 8, (1 / 9,) * 8, 4)
    assert (true.A(SEEN) - operator.A(SEEN)).abs().max() > 0.1


def test_ddrm_on_a_blur_is_frozen() -> None:
    """`efficient_generalized_steps` on t = 750, 500, 250, the last latent before the end, eta 0.85, eta_b 1."""
    problem, operator = noisy()
    levels = [*linear_ladder()[[750, 500, 250, 0]].tolist(), 0.0]
    svd = operator.svd((1, 3, 16, 16))
    assert svd is not None
    measured = official._Strict(problem, operator, 0.1, "DDRM")
    # Its start is a latent in spectral coordinates: there this library's draws are those of the code's order.
    seen = (measured.level < levels[0]).double()
    drawn = misordered(draw(1, 3, 16, 16, seed=2))
    z = seen * (measured.y + (levels[0] ** 2 - measured.level.clamp_max(1e9) ** 2).clamp_min(0).sqrt() * drawn)
    z = z + (1 - seen) * levels[0] * drawn
    # The code divides by sigma, not by the square root of 1 + sigma^2, to begin with.
    z = z * math.sqrt(1 + levels[0] ** 2) / levels[0]
    for sigma, after in pairwise(levels[:4]):
        x = measured.V(z)
        z = measured.step(z, measured.Vt(STUB(x, sigma)), sigma, after, torch.zeros_like(z), 0.85)
    expected = [
        -9.384151839665194, 4.564825871042021, 6.603484550576437, 15.439964222912808, 15.48139073276834,
        -3.5962812450242723, 229033.99271207507,
    ]  # fmt: skip
    assert digest(vp(measured.V(z), levels[3])) == pytest.approx(expected, rel=1e-4)


def misordered(x: Tensor) -> Tensor:
    """Numbers in the published code's order of spectral coordinates, in this library's: rank first, then channel."""
    s = official._axis((1 / 9,) * 8, 4, 16, 0.0, False).s
    kept = torch.where(s < 0.03, 0, s)
    order = torch.outer(kept, kept).flatten().sort(descending=True, stable=True).indices
    placed = torch.empty(3, 256, dtype=x.dtype)
    placed[:, order] = x.reshape(256, 3).T
    return placed.view(1, 3, 16, 16)


DDNM_FROZEN = {
    (750, 740): [
        -0.33785576786436455, 0.17509159667455762, 0.21107305710679933, 1.6556990734436947, 0.41660779609410864,
        -8.681649961227752, 1018.8752271739386,
    ],
    (100, 90): [
        -1.0496737948900534, -0.5499615683174576, -0.48721130494347037, 1.3181472124380467, -1.0997037889636507,
        8.07352718151877, 968.8974243714601,
    ],
    (20, 10): [
        -0.8485159573502445, -0.5361066083134963, -0.758861014531778, 0.16260739598693716, -1.2530992325962207,
        -27.386379682505794, 750.6833796184974,
    ],
}  # fmt: skip


@pytest.mark.parametrize("step", DDNM_FROZEN)
def test_ddnm_on_a_blur_is_frozen(step: tuple[int, int]) -> None:
    """One step of `ddnm_plus_diffusion` with `Lambda` and `Lambda_noise` of its `Deblurring`."""
    problem, operator = noisy()
    sigma, after = linear_ladder()[list(step)].tolist()
    x = draw(1, 3, 16, 16, seed=2) * math.sqrt(1 + sigma**2)
    move = official.DDNMUnturned()._noisy(problem, operator, 0.1, Silent([0]))
    found = vp(move(x, STUB(x, sigma), sigma, after), after)
    assert digest(found) == pytest.approx(DDNM_FROZEN[step], rel=1e-4, abs=1e-5)


def test_ddrm_and_ddnm_are_two_methods_on_a_blur() -> None:
    problem, _ = noisy()
    one, other = (kind(steps=10)(problem, PRIOR) for kind in (official.DDRMStrict, official.DDNMUnturned))
    assert (one - other).abs().max() > 0.1


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (0.3, [0.20018012325519785, -0.4002456486351887, 0.6007089054284374, 0.10008419952185917]),
        (0.0, [0.2044, -0.3820857142857143, 0.6, 0.10013156175290494]),
    ],
)
def test_one_step_of_snips_is_frozen(last: float, expected: list[float]) -> None:
    """`general_anneal_Langevin_dynamics` on a diagonal H: of full rank it has no measurement, else it has."""
    s = torch.tensor([0.9, 0.7, 0.5, last], dtype=torch.float64)
    y = torch.tensor([0.3, 0.1, -0.2, 0.05], dtype=torch.float64)
    x = torch.tensor([0.2, -0.4, 0.6, 0.1], dtype=torch.float64)
    sigma = 0.2
    level = torch.where(s > 0, 0.1 / s, math.inf)
    seen = torch.where(s > 0, y / s.clamp_min(1e-9), 0)
    towards_y, towards_x0, _ = official.SNIPSReleased().coefficients(level, sigma)
    x0 = x + sigma**2 * x.tanh()  # a score of tanh
    moved = x + towards_y * (seen - x) + towards_x0 * (x0 - x)
    # Where s sigma = sigma_y, as in its third place, the code moves by the score alone, this library not at all.
    torch.testing.assert_close(moved[[0, 1, 3]], torch.tensor(expected, dtype=torch.float64)[[0, 1, 3]])


def test_the_pull_of_dps_with_poisson_noise_is_frozen() -> None:
    """`grad_and_value` of `PosteriorSampling`, A = x / 2, x0 = 0.8 tanh x."""

    class Half(Operator):
        def A(self, x: Tensor) -> Tensor:
            return x / 2

    class Tanh(GaussianPrior):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return 0.8 * torch.tanh(x)

    prior = Tanh(PRIOR.mean, PRIOR.variance)
    x, y = draw(1, 3, 2, 2, seed=3), draw(1, 3, 2, 2, seed=4)
    _, pull = official.DPSPoisson(clip=False).pull(Half(), y, prior, x, 1.0)
    expected = [0.13145206076340243, -0.019982452655607972, -0.27595476667761154, -0.094298553673926]
    assert pull.flatten()[:4].tolist() == pytest.approx(expected)
    assert pull.sum().item() == pytest.approx(-0.43320667427082665)
    with pytest.raises(UsageError, match="0 in places"):
        official.DPSPoisson().distance(y, torch.zeros_like(y))


def test_the_colour_loss_of_gdp_is_frozen() -> None:
    """`L_color` of its MyLoss, and its gradient."""
    x = (0.4 * draw(1, 3, 4, 4, seed=5)).requires_grad_()
    loss = official.released_colour(x)
    (slope,) = torch.autograd.grad(loss.sum(), x)
    assert loss.item() == pytest.approx(0.07008286272789051)
    expected = [0.022334998648610334, 0.016891923479524697, -0.03922692212813503]
    assert slope[0, :, 0, 0].tolist() == pytest.approx(expected)
    grey = torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64).requires_grad_()
    (flat,) = torch.autograd.grad(official.released_colour(grey).sum(), grey)
    assert flat.isfinite().all()


# --- GDP as released, by hand ---


def of_light(method: official.GDPReleased, exposures: int = 1) -> tuple[Any, Tensor, Tensor, dict[str, Tensor]]:
    """A family, an estimate, a measurement and its numbers, which are not where they begin."""
    x, y = 0.5 * draw(1, 3, 8, 8, seed=1), 0.5 * draw(1, 3 * exposures, 8, 8, seed=2)
    family = method.family(Problem(y))
    theta = family.start(y, 3, Streams([0]))
    theta["gain"] = torch.full_like(theta["gain"], 0.7)
    return family, x, y, theta


def loss_of(x: Tensor, y: Tensor, f: Tensor, m: Tensor) -> Tensor:
    """The mean squared error of the released code, in [0, 1] units."""
    return ((f * (x + 1) / 2 + m - (y + 1) / 2) ** 2).mean()


def test_exposures_are_summed_for_the_push_and_averaged_for_the_light() -> None:
    method = official.GDPReleased()
    family, x, y, theta = of_light(method, exposures=3)
    assert theta["gain"].numel() == 1
    assert theta["map"].shape == (1, 1, 8, 8)
    assert theta["map"].min() >= 0
    assert theta["map"].max() <= 1e-4
    free, f, m = (one.clone().requires_grad_() for one in (x, theta["gain"].flatten(), theta["map"]))
    each = [loss_of(free, one, f, m) for one in y.split(3, 1)]
    (expected,) = torch.autograd.grad(torch.stack(each).sum(), free, retain_graph=True)
    moves = [torch.autograd.grad(one, [f, m], retain_graph=True) for one in each]
    _, slope = method.gradients(family, x, y, theta)
    torch.testing.assert_close(slope, expected)
    assert theta["gain"].grad is not None
    torch.testing.assert_close(theta["gain"].grad.flatten(), sum(one[0] for one in moves) / 3)
    torch.testing.assert_close(theta["map"].grad, sum(one[1] for one in moves) / 3)
    # This library's own has a light for each exposure, and a mean for the push, a third of it at the same light.
    own = GDP(map_rate=0.0, smooth=0.0)
    light = own.family(Problem(y))
    numbers = light.start(y, 3, Streams([0]))
    numbers["gain"] = torch.full_like(numbers["gain"], 0.7)
    inside = (0.01 * y).detach()  # nothing is clipped
    bare = {"gain": theta["gain"].detach(), "map": torch.zeros_like(theta["map"])}
    torch.testing.assert_close(
        method.gradients(family, x, inside, bare)[1], 3 * own.gradients(light, x, inside, numbers)[1]
    )


def test_low_light_pushes_twice_from_the_same_light() -> None:
    once, twice, six = official.GDPReleased(), official.GDPReleased(pushes=2), official.GDPReleased(updates=6)
    family, x, y, theta = of_light(once)
    before = {name: value.clone() for name, value in theta.items()}
    _, single = once.gradients(family, x, y, theta)
    _, double = twice.gradients(family, x, y, theta)
    torch.testing.assert_close(double, 2 * single)
    assert all(torch.equal(theta[name], before[name]) for name in theta)
    # The variant for a single patch moves them between: by hand, plain descent of rate 1.
    f, m = theta["gain"].detach().clone(), theta["map"].detach().clone()
    for _ in range(5):
        f, m = f.detach().requires_grad_(), m.detach().requires_grad_()
        df, dm = torch.autograd.grad(loss_of(x, y, f, m), [f, m])
        # The rate is that of patches of 256 x 256 pixels, of whose mean each pixel has so small a part.
        f, m = f - df, m - dm * 64 / 256**2
    _, after = six.gradients(family, x, y, theta)
    torch.testing.assert_close(theta["gain"], f.detach())
    torch.testing.assert_close(theta["map"], m.detach())
    free = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss_of(free, y, f.detach(), m.detach()), free)
    torch.testing.assert_close(after, expected)


def test_the_colour_loss_is_beside_the_scale_and_not_under_it() -> None:
    """scale * grad MSE + 500 * grad L_color, as the released script has it."""
    method = official.GDPReleased(scale=6000, colour=500)
    x, y = 0.5 * draw(1, 3, 8, 8, seed=1), 0.5 * draw(1, 1, 8, 8, seed=2)
    family = method.family(Problem(y, Grayscale()))
    _, slope = method.gradients(family, x, y, {})
    free = x.clone().requires_grad_()
    mse = ((Grayscale().A(free) - y) / 2).square().mean()
    total = 6000 * mse + 500 * official.released_colour(free).sum()
    (expected,) = torch.autograd.grad(total, free)
    torch.testing.assert_close(6000 * slope, expected)


def test_the_learned_variance_is_the_default_where_the_code_has_one() -> None:
    assert official.GDPReleased().variance == "learned"
    with pytest.raises(UsageError, match="has no learned variance"):
        official.GDPReleased(steps=2)(Problem(draw(1, 3, 4, 4)), PRIOR)
    with pytest.raises(UsageError, match="has no learned variance"):
        official.DPSBatch(steps=2, variance="learned")(Problem(draw(1, 3, 4, 4), Denoise()), PRIOR)


def test_gdps_blur_loses_its_border() -> None:
    operator = official.valid_blur()
    x = draw(1, 3, 256, 200)
    y = operator.A(x)
    assert y.shape == (1, 3, 248, 192)
    assert operator.image_shape(tuple(y.shape)) == x.shape
    torch.testing.assert_close(operator.A(torch.ones_like(x)), torch.ones_like(y))
    torch.testing.assert_close((operator.At(y) * x).sum(), (y * y).sum())
    with pytest.raises(UsageError, match="9 pixels and more"):
        operator.A(draw(1, 1, 8, 20))


@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_ddrm_ends_on_the_estimate(sigma_y: float) -> None:
    y = AveragePool(2).A(draw(1, 3, 8, 8))
    problem = Problem(y, AveragePool(2), sigma_y)
    *_, before, end = DDRM(steps=10).iterate(problem, PRIOR, streams())
    *_, strict_before, strict_end = official.DDRMStrict(steps=10).iterate(problem, PRIOR, streams())
    torch.testing.assert_close(strict_before.x, before.x)
    torch.testing.assert_close(strict_end.x, end.x0)
    assert (AveragePool(2).A(strict_end.x) - y).abs().max() > 1e-4
    if not sigma_y:
        torch.testing.assert_close(AveragePool(2).A(end.x), y)


def test_ddnm_without_vt_differs_in_the_null_space_alone() -> None:
    operator = AveragePool(2)
    problem = Problem(operator.A(draw(1, 3, 8, 8)), operator, 0.1)
    ours, theirs = (kind(steps=10).iterate(problem, PRIOR, streams()) for kind in (DDNM, official.DDNMUnturned))
    first, other = next(ours).x, next(theirs).x
    torch.testing.assert_close(operator.A(first), operator.A(other), rtol=1e-6, atol=1e-6)
    assert (first - other).abs().max() > 1
    # Where spectral coordinates are pixels there is nothing to turn.
    known = (draw(8, 8) > 0).double()
    masked = Problem(draw(1, 3, 8, 8) * known, Mask(known), 0.1)
    torch.testing.assert_close(official.DDNMUnturned()(masked, PRIOR), DDNM()(masked, PRIOR))


def test_dps_in_a_batch_is_pulled_by_all_of_it() -> None:
    y = draw(2, 3, 4, 4)
    method, own = official.DPSBatch(steps=5), DPS(steps=5)
    one = Problem(y[:1], Denoise(), 0.1)
    torch.testing.assert_close(method(one, PRIOR), own(one, PRIOR))
    both = Problem(y, Denoise(), 0.1)
    assert not torch.allclose(method(both, PRIOR)[:1], method(one, PRIOR))
    x = draw(2, 3, 4, 4, seed=1)
    _, theirs = method.pull(Denoise(), y, PRIOR, x, 1.0)
    _, ours = own.pull(Denoise(), y, PRIOR, x, 1.0)
    norms = (y - PRIOR(x, 1.0).clamp(-1, 1)).flatten(1).norm(dim=1).view(2, 1, 1, 1)
    torch.testing.assert_close(theirs * norms.square().sum().sqrt(), ours * norms)


def test_noise_levels_are_what_they_are_in_each_code() -> None:
    assert official.noise("ddrm", 0.05) == 0.05
    assert official.noise("dps", 0.05) == 0.025
    assert official.noise("red", math.sqrt(2)) == pytest.approx(0.005546, abs=1e-6)
    with pytest.raises(UsageError, match="did you mean 'ddnm'"):
        official.noise("dnmm", 0.05)
    with pytest.raises(UsageError, match="published blur"):
        official.blur("box")  # type: ignore[arg-type]


OPERATORS = {"published-blur": "blur", "valid-blur": "valid_blur"}


def test_the_page_says_which_table_has_which_variant() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for table in map(spec.load, spec.names()):
        for entrant in table.methods:
            if entrant.method.startswith("official:"):
                used[entrant.method.removeprefix("official:")].add(table.name)
        for task in table.tasks:
            if task.operator and task.operator["name"] in OPERATORS:
                used[OPERATORS[task.operator["name"]]].add(table.name)
    page = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
    said: dict[str, set[str]] = {}
    for name, tables in re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", page.partition("| variant |")[2], re.MULTILINE):
        paper, said[name] = "", set()
        for one in re.findall(r"`([\w-]+)`", tables):
            paper = paper if one.startswith("-") else one.partition("-")[0]
            said[name].add(paper + one if one.startswith("-") else one)
    unused = {name for name, tables in said.items() if not tables}
    assert {name: said[name] for name in said.keys() - unused} == used
    assert all(hasattr(official, name) for name in said)


def test_presets_are_the_scripts_numbers() -> None:
    assert official.PRESETS["gdp"]["blur"].scale == 6000  # type: ignore[attr-defined]
    assert official.PRESETS["dps"]["phase retrieval"].scale == 1.0  # type: ignore[attr-defined]
    assert all(method.nfe(PRIOR) in (20, 100, 1000) for tasks in official.PRESETS.values() for method in tasks.values())
