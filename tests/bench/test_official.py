"""What published code does beside its paper."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from pellucid.bench import official
from pellucid.errors import UsageError
from pellucid.methods import DDNM, DDRM, DPS
from pellucid.noise import Streams
from pellucid.operators import AveragePool, Denoise, Mask
from pellucid.priors import GaussianPrior
from pellucid.problem import Problem

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
    rows = blurred.sum(1).nonzero().flatten().tolist()
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


def test_presets_are_the_scripts_numbers() -> None:
    assert official.PRESETS["gdp"]["blur"].scale == 6000  # type: ignore[attr-defined]
    assert official.PRESETS["dps"]["phase retrieval"].scale == 1.0  # type: ignore[attr-defined]
    assert all(method.nfe(PRIOR) in (20, 100, 1000) for tasks in official.PRESETS.values() for method in tasks.values())
