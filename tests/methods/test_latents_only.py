"""PSLD and ReSample, whose steps are held against their papers with an autoencoder that can be written down."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pellucid.api import Restorer
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import PSLD, Method, ReSample
from pellucid.operators import AveragePool, Mask
from pellucid.operators.decoder import Decoder
from pellucid.priors import Counted, GaussianPrior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2).double(), variance=torch.full((3, 1, 1), 0.3).double())
POOL = AveragePool(2)


def decode(z: Tensor) -> Tensor:
    return 2 * z + 0.1 * z**2


def encode(x: Tensor) -> Tensor:
    return 0.5 * x


OPERATOR = Decoder(decode, (3, 4, 4), 3, POOL, encode)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("squared", [False, True])
def test_one_step_of_psld_as_published(squared: bool) -> None:
    """Algorithm 2 in the variance-preserving notation: DDIM's step, then both gradients at the latent before it."""
    y, method = draw(0, 1, 3, 2, 2), PSLD(steps=20, scale=0.8, glue=0.2, squared=squared)
    first, second, *_ = method.iterate(Problem(y, OPERATOR), PRIOR, Streams.of(0, 1))
    sigma, after = method.ladder(linear_ladder()).tolist()[1:3]
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    z = (math.sqrt(a) * first.x).requires_grad_()
    z0 = PRIOR(z / math.sqrt(a), sigma)
    image = decode(z0)
    glued = encode(POOL.pinv(y) + image - POOL.pinv(POOL.A(image)))
    power = 2 if squared else 1
    loss = 0.8 * (y - POOL.A(image)).norm() ** power + 0.2 * (z0 - glued).norm() ** power
    (g,) = torch.autograd.grad(loss, z)
    epsilon = (z - math.sqrt(a) * z0) / math.sqrt(1 - a)
    expected = math.sqrt(a_next) * z0 + math.sqrt(1 - a_next) * epsilon - g
    torch.testing.assert_close(second.x * math.sqrt(a_next), expected.detach(), rtol=1e-6, atol=1e-6)


def test_resampling_as_published() -> None:
    """Proposition 1 and the paper's schedule of its variance, in the variance-preserving notation."""
    sigma, after, method = 2.0, 1.5, ReSample(gamma=3.0)
    a, a_next = 1 / (1 + sigma**2), 1 / (1 + after**2)
    z, z0 = draw(0, 1, 3, 4, 4), draw(1, 1, 3, 4, 4)
    s2 = 3.0 * (1 - a_next) / a * (1 - a / a_next)
    mean = (s2 * math.sqrt(a_next) * z0 + (1 - a_next) * math.sqrt(a_next) * z) / (s2 + 1 - a_next)
    spread = math.sqrt(s2 * (1 - a_next) / (s2 + 1 - a_next))
    expected = mean + spread * Streams.of(0, 1).like(z)
    found = method.resampled(z, z0, sigma, after, Streams.of(0, 1))
    torch.testing.assert_close(found * math.sqrt(a_next), expected)


def test_resample_optimises_in_pixels_first_and_then_in_latents() -> None:
    y = draw(0, 2, 3, 2, 2)
    seen: list[str] = []

    def watched(z: Tensor) -> Tensor:
        seen.append("latents" if torch.is_grad_enabled() else "pixels")
        return decode(z)

    operator = Decoder(watched, (3, 4, 4), 3, POOL, encode)
    method = ReSample(steps=10, every=2, iterations=1)
    assert len(list(method.iterate(Problem(y, operator), PRIOR, Streams.of(0, 2)))) == 10
    # Of ten levels 9 to 0 are left: of the even ones 6 and 4 are in the second third, 2 is in the last.
    assert seen == ["pixels", "pixels", "latents"]


def test_resample_explains_the_measurement_as_well_as_its_noise_allows() -> None:
    y = POOL.A(decode(0.2 + 0.3 * draw(1, 1, 3, 4, 4)))
    for sigma_y, most in ((0.0, 2e-3), (0.2, 0.21)):
        out = ReSample(steps=20, every=5, iterations=2000, polish=True)(Problem(y, OPERATOR, sigma_y), PRIOR)
        assert (OPERATOR.A(out) - y).square().mean().sqrt() < most


@pytest.mark.parametrize("method", [PSLD(steps=5), ReSample(steps=5, every=1, iterations=3, polish=True)])
def test_laws(method: Method) -> None:
    y = draw(0, 2, 3, 2, 2)
    before, prior = y.clone(), Counted(PRIOR)
    states = list(method.iterate(Problem(y, OPERATOR, 0.1), prior, Streams.of(5, 2)))
    assert prior.nfe == states[-1].nfe == method.nfe(PRIOR) == 5
    assert states[-1].step == states[-1].total == len(states)
    assert torch.equal(y, before)
    for i in range(2):
        one = method(Problem(y[i : i + 1], OPERATOR, 0.1), PRIOR, seed=5 + i)
        torch.testing.assert_close(one, states[-1].x[i : i + 1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", [PSLD(), ReSample()])
def test_pixels_are_refused(method: Method) -> None:
    known, says = Mask.random(8, 8), f"{type(method).__name__} works in latents: take a latent prior, or dps for pixels"
    with pytest.raises(UsageError, match=says):
        method(Problem(torch.zeros(1, 3, 8, 8), known, 0.1), PRIOR)
    with pytest.raises(UsageError, match=says):
        Restorer(method, PRIOR, operator=known, noise=0.1)
