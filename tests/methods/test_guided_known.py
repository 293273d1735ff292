"""PiGDM, DiffPIR, DAPS, RED-diff and RePaint: their papers' steps, their closed forms, their laws."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, karras_ladder, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DAPS, DiffPIR, Method, PiGDM, REDDiff, RePaint, get
from pellucid.operators import AveragePool, Blur, Denoise, Grayscale, Jpeg, Mask, Operator, ToneCurve
from pellucid.operators import blur as kernels
from pellucid.priors import Counted, GaussianPrior

MEAN, VARIANCE, Y = 0.2, 0.3, 0.7
PRIOR = GaussianPrior(torch.full((3, 1, 1), MEAN).double(), variance=torch.full((3, 1, 1), VARIANCE).double())
METHODS: list[Method] = [
    PiGDM(steps=10),
    PiGDM(steps=10, guidance="score", spread=0.5, eta=0.3),
    DiffPIR(steps=10),
    DiffPIR(steps=10, spacing="quad", ends="prior", zeta=1.0),
    DAPS(steps=4, langevin=3),
    DAPS(steps=4, draw="exact", beta=None),
    REDDiff(steps=10),
    REDDiff(steps=10, norm="mean"),
]
NAMES = [f"{type(m).__name__}{i}" for i, m in enumerate(METHODS)]
Scalar = tuple[float, float, float]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def share(sigma: float) -> float:
    return VARIANCE / (VARIANCE + sigma**2)


def affine(state: Scalar, factor: float, shift: float, by_y: float = 0.0, added: float = 0.0) -> Scalar:
    """Mean a + b y and variance v of a pixel, after `factor x + shift + by_y y + noise of variance added`."""
    a, b, v = state
    return factor * a + shift, factor * b + by_y, factor**2 * v + added


def pigdm(method: PiGDM, seen: bool, sigma_y: float) -> Scalar:
    """A pixel by the formulas of the paper; x0 = s x + (1 - s) MEAN, the derivative of the network is s."""
    ladder = method.ladder(linear_ladder()).tolist()
    state = (0.0, 0.0, ladder[0] ** 2)
    for sigma, after in pairwise(ladder):
        s, r2 = share(sigma), method.spread**2 * sigma**2 / (method.spread**2 + sigma**2)
        # The pull is g = p (y - x0).
        p = s / (1 + sigma_y**2 / r2) if seen else 0.0
        fresh = method.eta * math.sqrt(1 - (after / sigma) ** 2) * after
        kept = math.sqrt(after**2 - fresh**2) / sigma
        if method.guidance == "step":
            pull = p * math.sqrt(1 + after**2)
            factor, shift = s + kept * (1 - s) - pull * s, (1 - s - kept * (1 - s) - pull * (1 - s)) * MEAN
            state = affine(state, factor, shift, pull, fresh**2)
        else:
            pull = p * sigma**2 / r2 * (1 - kept)
            factor, shift = s + kept * (1 - s) - pull * s, (1 - s) * (1 - kept - pull) * MEAN
            state = affine(state, factor, shift, pull, fresh**2)
    return state


def diffpir(method: DiffPIR, seen: bool, sigma_y: float) -> Scalar:
    ladder = method.ladder(linear_ladder()).tolist()
    state = (0.0, 0.0, ladder[0] ** 2)
    for sigma, after in pairwise(ladder):
        s, rho = share(sigma), method.weight * max(sigma_y, 0.002) ** 2 / sigma**2
        told = 1 / (1 + rho) if seen and (after or method.ends == "data") else 0.0
        kept = math.sqrt(1 - method.zeta) * after / sigma
        # x' = (1 - kept) x0 + kept x + noise, with x0 = (1 - told) (s x + (1 - s) MEAN) + told y.
        part = (1 - kept) * (1 - told)
        state = affine(state, part * s + kept, part * (1 - s) * MEAN, (1 - kept) * told, method.zeta * after**2)
    return state


def daps(method: DAPS, seen: bool, sigma_y: float) -> Scalar:
    ladder = method.ladder(linear_ladder()).tolist()
    beta = sigma_y if method.beta is None else method.beta
    state = (0.0, 0.0, ladder[0] ** 2)
    for step, (sigma, after) in enumerate(pairwise(ladder), 1):
        factor, shift = 1.0, 0.0
        for level, below in pairwise(karras_ladder(method.flow, linear_ladder()[0].item(), sigma).tolist()):
            move = share(level) + below / level * (1 - share(level))
            factor, shift = move * factor, move * shift + (1 - share(level)) * (1 - below / level) * MEAN
        a, b, v = affine(state, factor, shift)
        if method.draw == "exact":
            wide = method.width * sigma
            tight = wide**2 / (wide**2 + beta**2) if seen else 0.0
            state = affine((a, b, v), 1 - tight, 0.0, tight, wide**2 * (1 - tight))
        else:
            rate = method.rate * (method.floor + (1 - method.floor) * (method.steps - step) / method.steps)
            # x = f x0 + g y + noise, one Langevin step after the other.
            f, g, extra = 1.0, 0.0, 0.0
            pull = 1 / beta**2 if seen else 0.0
            for _ in range(method.langevin):
                keep = 1 - rate * (pull + 1 / sigma**2)
                f, g = keep * f + rate / sigma**2, keep * g + rate * pull
                extra = keep**2 * extra + 2 * rate
            state = affine((a, b, v), f, 0.0, g, extra)
        state = affine(state, 1.0, 0.0, 0.0, after**2)
    return state


CLOSED: list[tuple[Method, Any]] = [
    (PiGDM(), pigdm),
    (PiGDM(steps=30, guidance="score", spread=0.5, eta=0.5), pigdm),
    (DiffPIR(), diffpir),
    (DiffPIR(zeta=0.1), diffpir),
    (DiffPIR(steps=20, spacing="quad", ends="prior", weight=5.0, zeta=0.7), diffpir),
    (DAPS(steps=20, langevin=10, rate=2e-5), daps),
    (DAPS(steps=20, draw="exact", beta=None, width=0.2), daps),
]


@pytest.mark.parametrize("sigma_y", [0.1, 0.6])
@pytest.mark.parametrize(
    ("method", "recursion"), CLOSED, ids=[f"{type(m).__name__}{i}" for i, (m, _) in enumerate(CLOSED)]
)
def test_on_a_gaussian_prior_it_is_its_own_recursion(method: Method, recursion: Any, sigma_y: float) -> None:
    """Mean and variance over independent pixels, those that are measured and those that are not."""
    known = torch.zeros(64, 64)
    known[:, ::2] = 1
    y = torch.full((1, 3, 64, 64), Y, dtype=torch.float64) * known
    out = method(Problem(y, Mask(known), sigma_y), PRIOR, seed=1)
    for seen, part in ((True, out[..., ::2]), (False, out[..., 1::2])):
        a, b, v = recursion(method, seen, sigma_y)
        assert part.mean().item() == pytest.approx(a + b * Y, abs=5 * math.sqrt(v / part.numel()) + 1e-6)
        assert part.var().item() == pytest.approx(v, abs=5 * v * math.sqrt(2 / part.numel()) + 1e-10)


@pytest.mark.parametrize("sigma_y", [0.1, 0.4])
def test_pigdm_by_the_score_samples_the_posterior_of_a_prior_as_wide_as_it_is_told(sigma_y: float) -> None:
    """In closed form, to the limit of small steps: mean within 1 %, variance within 5 %."""
    kept = share(sigma_y)
    a, b, v = pigdm(PiGDM(guidance="score", spread=math.sqrt(VARIANCE), steps=1000), True, sigma_y)
    assert a + b * Y == pytest.approx(kept * Y + (1 - kept) * MEAN, rel=0.01)
    fine = PiGDM(guidance="score", spread=math.sqrt(VARIANCE))
    object.__setattr__(fine, "ladder", lambda sigmas: karras_ladder(400, sigmas[0].item(), sigmas[-1].item()))
    assert pigdm(fine, True, sigma_y)[2] / (kept * sigma_y**2) == pytest.approx(1, abs=0.05)
    assert v / (kept * sigma_y**2) == pytest.approx(1, abs=0.1)


def abars(sigma: float, after: float) -> tuple[float, float]:
    return 1 / (1 + sigma**2), 1 / (1 + after**2)


def two_states(method: Method, y: Tensor, operator: Operator, sigma_y: float) -> tuple[Any, Any, float, float]:
    """The first two states, and the levels before and after the second step."""
    first, second = islice(method.iterate(Problem(y, operator, sigma_y), PRIOR, Streams.of(0, 1)), 2)
    sigma, after = method.ladder(linear_ladder()).tolist()[1:3]  # type: ignore[attr-defined]
    return first, second, sigma, after


def fresh(y: Tensor, image: Tensor, before: int) -> Tensor:
    """The noise that is drawn after so many draws."""
    rng = Streams.of(0, 1)
    for _ in range(before):
        rng.like(image)
    return rng.like(image)


def test_one_step_of_pigdm_as_published() -> None:
    """Algorithm 1 in the variance-preserving notation, with the matrices of a small AveragePool written out."""
    operator, sigma_y = AveragePool(2), 0.1
    y = operator.A(draw(0, 1, 3, 4, 4))
    first, second, sigma, after = two_states(PiGDM(steps=20), y, operator, sigma_y)
    a, a_next = abars(sigma, after)
    matrix = torch.stack([operator.A(e.view(1, 3, 4, 4)).flatten() for e in torch.eye(48).double()], 1)
    x = (math.sqrt(a) * first.x).requires_grad_()
    x0 = PRIOR(x / math.sqrt(a), sigma)
    r2 = sigma**2 / (1 + sigma**2)
    gram = matrix @ matrix.T + sigma_y**2 / r2 * torch.eye(12).double()
    m = matrix.T @ torch.linalg.solve(gram, y.flatten() - matrix @ x0.detach().flatten())
    (g,) = torch.autograd.grad(x0.flatten() @ m, x)
    x, x0 = x.detach(), x0.detach()
    epsilon = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
    c1 = math.sqrt((1 - a / a_next) * (1 - a_next) / (1 - a))
    noise = fresh(y, x, 2)
    expected = math.sqrt(a_next) * x0 + c1 * noise + math.sqrt(1 - a_next - c1**2) * epsilon + math.sqrt(a) * g
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected, rtol=1e-6, atol=1e-6)


def test_one_step_of_diffpir_as_published() -> None:
    """Equations 12 and 13, for a circular blur solved by Fourier transforms."""
    blur, sigma_y, method = Blur(kernels.gaussian(1.0)), 0.1, DiffPIR(steps=20, weight=7.0, zeta=0.3)
    y = draw(0, 1, 3, 16, 16)
    first, second, sigma, after = two_states(method, y, blur, sigma_y)
    a, a_next = abars(sigma, after)
    point = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    point[..., 0, 0] = 1
    transfer, rho = torch.fft.fft2(blur.A(point)), 7.0 * sigma_y**2 / sigma**2
    x0 = torch.fft.fft2(PRIOR(first.x, sigma))
    solved = torch.fft.ifft2((transfer.conj() * torch.fft.fft2(y) + rho * x0) / (transfer.abs() ** 2 + rho)).real
    epsilon = (math.sqrt(a) * first.x - math.sqrt(a) * solved) / math.sqrt(1 - a)
    noise = math.sqrt(1 - 0.3) * epsilon + math.sqrt(0.3) * fresh(y, y, 2)
    expected = math.sqrt(a_next) * solved + math.sqrt(1 - a_next) * noise
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected, rtol=1e-5, atol=1e-5)


def test_diffpir_keeps_no_noise_that_a_data_step_coloured() -> None:
    """By default the noise of each latent is drawn, so that it is white and of the level that the prior is told."""
    blur = Blur(kernels.gaussian(1.0))
    first, second, _, after = two_states(DiffPIR(), draw(0, 1, 3, 16, 16), blur, 0.1)
    torch.testing.assert_close(second.x - second.x0, after * fresh(first.x, first.x, 2), rtol=1e-5, atol=1e-5)
    kept, again, _, after = two_states(get("diffpir", preset="paper"), draw(0, 1, 3, 16, 16), blur, 0.1)
    share = ((again.x - again.x0) - after * math.sqrt(0.1) * fresh(kept.x, kept.x, 2)).norm() / after
    assert share > 0.9 * math.sqrt(0.9 * kept.x.numel())


def test_one_step_of_daps_as_published() -> None:
    """Two Langevin steps of equation 9 by the adjoint, from the end of the ODE."""
    operator, method = AveragePool(2), DAPS(steps=5, langevin=2, rate=1e-5)
    y = operator.A(draw(0, 1, 3, 4, 4))
    first, second, sigma, after = two_states(method, y, operator, 0.1)
    start = method.flowed(PRIOR, first.x, sigma)
    rate, x = 1e-5 * (0.01 + 0.99 * 3 / 5), start
    for step in range(2):
        slope = (x - start) / sigma**2 + operator.At(operator.A(x) - y) / 0.01**2
        x = x - rate * slope + math.sqrt(2 * rate) * fresh(y, x, 4 + step)
    torch.testing.assert_close(second.x0, x)
    torch.testing.assert_close(second.x, x + after * fresh(y, x, 6))


@pytest.mark.parametrize("norm", ["sum", "mean"])
def test_red_diff_descends_its_papers_loss(norm: Any) -> None:
    """Algorithm 1: the loss by autograd in the variance-preserving notation, Adam by hand."""
    operator, method = AveragePool(2), REDDiff(steps=5, norm=norm)
    y = operator.A(draw(0, 1, 3, 4, 4))
    states = list(method.iterate(Problem(y, operator), PRIOR, Streams.of(0, 1)))
    mu = operator.pinv(y).clamp(-1, 1)
    mean, power = torch.zeros_like(mu), torch.zeros_like(mu)
    for step, sigma in enumerate(method.ladder(linear_ladder()).tolist()[:-1], 1):
        a, n = abars(sigma, 0.0)[0], fresh(y, mu, step - 1)
        at = mu.clone().requires_grad_()
        x = math.sqrt(a) * mu + math.sqrt(1 - a) * n
        epsilon = (x - math.sqrt(a) * PRIOR(x / math.sqrt(a), sigma)) / math.sqrt(1 - a)
        noise, residual = 0.25 * sigma * (epsilon - n) * at, (y - operator.A(at)).square()
        loss = residual.sum() + noise.sum() if norm == "sum" else residual.mean() / 2 + noise.mean()
        (g,) = torch.autograd.grad(loss, at)
        mean, power = 0.9 * mean + 0.1 * g, 0.99 * power + 0.01 * g * g
        mu = mu - 0.1 * mean / (1 - 0.9**step) / ((power / (1 - 0.99**step)).sqrt() + 1e-8)
        torch.testing.assert_close(states[step - 1].x, mu, rtol=1e-5, atol=1e-5)


def test_red_diff_starts_from_grey_where_there_is_no_inverse() -> None:
    class Square(Operator):
        linear = False

        def A(self, x: Tensor) -> Tensor:
            return x**2

        def pinv(self, y: Tensor) -> Tensor:
            raise UsageError("none")

    states = list(REDDiff(steps=1)(Problem(draw(0, 1, 3, 4, 4), Square()), PRIOR))
    assert len(states) == 1


# --- RePaint ---


def test_one_step_of_repaint_as_published() -> None:
    """Algorithm 1: known pixels from y at the level, the others by DDPM's step of the training chain."""
    known = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    y, method = draw(0, 1, 3, 4, 2) * known, RePaint(steps=1000, travel_repeat=1)
    first, second, sigma, after = two_states(method, y, Mask(known), 0.0)
    a, a_next = abars(sigma, after)
    beta, x, x0 = 1 - a / a_next, math.sqrt(a) * first.x, PRIOR(first.x, sigma)
    mean = math.sqrt(a_next) * beta / (1 - a) * x0 + math.sqrt(a / a_next) * (1 - a_next) / (1 - a) * x
    painted = mean + math.sqrt((1 - a_next) / (1 - a) * beta) * fresh(y, y, 3)
    given = math.sqrt(a_next) * y + math.sqrt(1 - a_next) * fresh(y, y, 4)
    expected = torch.where(known > 0, given, painted)
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected)


def test_repaint_walks_as_published_and_keeps_what_is_known() -> None:
    """The schedule of its appendix for T = 250, j = 10, r = 10: 24 turns of ten levels, each walked nine times more."""
    assert RePaint().nfe(PRIOR) == 250 + 24 * 9 * 10
    known = torch.zeros(64, 64)
    known[:, ::2] = 1
    y = torch.full((1, 3, 64, 64), Y, dtype=torch.float64) * known
    method, prior = RePaint(steps=40, travel_length=5, travel_repeat=3), Counted(PRIOR)
    out = method(Problem(y, Mask(known)), prior, seed=1)
    assert prior.nfe == method.nfe(PRIOR)
    assert torch.equal(out[..., ::2], y[..., ::2])
    ladder = method.ladder(linear_ladder()).tolist()
    state = (0.0, 0.0, ladder[0] ** 2)
    for before, after in pairwise(method.path(len(ladder) - 1)):
        sigma, level = ladder[before], ladder[after]
        if after < before:
            state = affine(state, 1.0, 0.0, 0.0, level**2 - sigma**2)
        else:
            s, kept = share(sigma), level**2 / sigma**2
            added = level**2 * (sigma**2 - level**2) / sigma**2
            state = affine(state, s + kept * (1 - s), (1 - s) * (1 - kept) * MEAN, 0.0, added)
    painted = out[..., 1::2]
    assert painted.mean().item() == pytest.approx(state[0], abs=5 * math.sqrt(state[2] / painted.numel()))
    assert painted.var().item() == pytest.approx(state[2], rel=5 * math.sqrt(2 / painted.numel()))


def test_repaint_needs_a_mask() -> None:
    with pytest.raises(UsageError, match=r"it needs a Mask, not Grayscale"):
        RePaint()(Problem(draw(0, 1, 1, 4, 4), Grayscale()), PRIOR)


# --- laws ---


@pytest.mark.parametrize(
    "operator", [AveragePool(2), Mask.random(8, 12, 0.4), Blur(kernels.gaussian(0.6), "replicate")]
)
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_laws(method: Method, operator: Operator) -> None:
    """A batch is its images, a seed its result, and the NFE is the one that was said."""
    y = operator.A(draw(0, 2, 3, 8, 12))
    before, prior, problem = y.clone(), Counted(PRIOR), Problem(y, operator, 0.1)
    states = list(method.iterate(problem, prior, Streams.of(5, 2)))
    assert prior.nfe == states[-1].nfe == method.nfe(PRIOR)
    assert states[-1].step == states[-1].total == len(states)
    assert torch.equal(y, before)
    assert states[-1].x.shape == (2, 3, 8, 12)
    for i in range(2):
        one = method(Problem(y[i : i + 1], operator, 0.1), PRIOR, seed=5 + i)
        torch.testing.assert_close(one, states[-1].x[i : i + 1], rtol=1e-10, atol=1e-10)


def test_nfe_at_the_defaults() -> None:
    assert [m.nfe(PRIOR) for m in (PiGDM(), DiffPIR(), DAPS(), REDDiff(), RePaint())] == [100, 100, 1000, 1000, 2410]


def test_what_a_method_cannot_is_said_in_a_line() -> None:
    y = draw(0, 1, 3, 8, 8)
    for method in (DiffPIR(), DAPS(draw="exact")):
        with pytest.raises(UsageError, match=r"linear operator; ToneCurve is not: use DPS or GDP"):
            method(Problem(y, ToneCurve(), 0.1), PRIOR)
    with pytest.raises(UsageError, match=r"ToneCurve, which is not linear, without noise alone"):
        PiGDM(steps=2)(Problem(y, ToneCurve(), 0.1), PRIOR)
    assert PiGDM(steps=2)(Problem(y.clamp(-0.5, 0.5), Jpeg(50), 0.0), PRIOR).isfinite().all()
    with pytest.raises(UsageError, match="needs the noise level"):
        DAPS(beta=None)(Problem(y, Denoise()), PRIOR)
    with torch.inference_mode(), pytest.raises(UsageError, match=r"outside torch\.inference_mode"):
        PiGDM()(Problem(y, Denoise(), 0.1), PRIOR)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("pigdm", {"steps": 0}),
        ("pigdm", {"eta": 2}),
        ("pigdm", {"spread": 0}),
        ("pigdm", {"guidance": "x"}),
        ("diffpir", {"weight": 0}),
        ("diffpir", {"zeta": -1}),
        ("diffpir", {"spacing": "x"}),
        ("diffpir", {"ends": "x"}),
        ("daps", {"top": 0.01}),
        ("daps", {"flow": 0}),
        ("daps", {"beta": 0}),
        ("daps", {"draw": "x"}),
        ("reddiff", {"rate": 0}),
        ("reddiff", {"norm": "x"}),
        ("repaint", {"travel_repeat": 0}),
        ("psld", {"glue": -1}),
        ("resample", {"every": 0}),
    ],
)
def test_nonsense_is_refused(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(fields))):
        get(name, **fields)
