from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pellucid.degradations import gaussian_blur, gaussian_noise
from pellucid.diagnosis.estimate import EVIDENCE, Evidence, evidence, excerpt, noise_level, noise_seen
from pellucid.maths.problem import to_model, to_unit
from pellucid.operators import Mask
from pellucid.priors import Counted, GaussianPrior, load_prior


@pytest.mark.parametrize("sigma", [0.01, 0.1, 3.0])
def test_white_noise_is_measured(sigma: float) -> None:
    noise = sigma * torch.randn(1, 3, 200, 201, generator=torch.Generator().manual_seed(0))
    assert noise_level(noise) == pytest.approx(sigma, rel=0.02)


def test_a_photograph_adds_little(bundled: dict[str, Tensor]) -> None:
    for image in bundled.values():
        assert noise_level(to_unit(image)) < 0.015
        assert noise_level(gaussian_noise(to_unit(image), 0.05)) == pytest.approx(0.05, rel=0.1)


def test_missing_pixels_do_not_count(bundled: dict[str, Tensor]) -> None:
    mask = Mask.random(256, 256, 0.2)
    damaged = mask.A(gaussian_noise(to_unit(bundled["coffee"]), 0.05))
    assert noise_level(damaged, mask.known) == pytest.approx(0.05, rel=0.1)
    assert noise_level(damaged) > 0.06


def test_images_without_a_block_have_none() -> None:
    assert noise_level(torch.ones(1, 3, 1, 9)) == 0
    assert noise_level(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)) == 0


# --- what a prior sees -----------------------------------------------------------------------------------------------


def exact(variance: float) -> GaussianPrior:
    return GaussianPrior(torch.full((3, 1, 1), 0.1).double(), variance=torch.full((3, 1, 1), variance).double())


@pytest.mark.parametrize("sigma", [0.03, 0.2, 1.0])
def test_a_prior_finds_the_noise_in_what_it_knows(sigma: float) -> None:
    """From a flat image a prior takes sigma^2 / (sigma^2 + v) of the deviation, which is all of the noise but v."""
    prior = exact(1e-6)
    noise = torch.randn(2, 3, 100, 100, generator=torch.Generator().manual_seed(0)).double()
    y = 0.1 + noise * torch.tensor([sigma, sigma / 2]).view(2, 1, 1, 1)
    found = noise_seen(prior, y, calls=16)
    assert found.tolist() == pytest.approx([sigma, sigma / 2], rel=0.02)
    torch.testing.assert_close(noise_seen(prior, y[1:]), noise_seen(prior, y)[1:], rtol=0, atol=0)


def test_of_large_images_a_prior_is_shown_a_part() -> None:
    small = torch.zeros(1, 3, 1500, 1500)
    assert excerpt(small) is small
    rows = torch.arange(1700).view(1, 1, -1, 1).expand(1, 1, -1, 1501)
    seen = excerpt(rows)
    assert seen.shape == (1, 1, 1024, 1024)
    starts = seen[0, 0, ::256, 0]
    assert (starts % 16 == 0).all()
    # About the middles of the quarters.
    assert ((starts + 128) / 1700).tolist() == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8], abs=0.01)
    assert torch.equal(seen[0, 0, 256:512, 7], starts[1] + torch.arange(256))

    noisy = 0.1 + 0.2 * torch.randn(1, 3, 1800, 20, generator=torch.Generator().manual_seed(0)).double()
    pixels: list[int] = []
    found = evidence(Counted(exact(1e-6), pixels.append), noisy)[0]
    assert pixels == [1024 * 20] * EVIDENCE
    assert found.noise == pytest.approx(0.2, rel=0.03)


def test_what_looks_like_an_image_is_no_noise() -> None:
    y = 0.1 + math.sqrt(0.3) * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    assert noise_seen(exact(0.3), y).tolist() == pytest.approx([0.01])


@pytest.mark.slow
def test_the_embedded_prior_sees_noise_where_there_is_some(photographs: dict[str, Tensor]) -> None:
    prior = load_prior("natural")
    for image in (photograph[..., 64:192, 64:192] for photograph in list(photographs.values())[:4]):
        for level in (0.05, 0.1):
            noisy = to_model(gaussian_noise(to_unit(image), level))
            assert noise_seen(prior, noisy).item() == pytest.approx(2 * level, rel=0.15)
        assert noise_seen(prior, image).item() < 0.02


# --- how strong ------------------------------------------------------------------------------------------------------


def test_the_strength_follows_from_what_is_known() -> None:
    def strength(unrest: float, grain: float, sharpness: float = 1.5) -> float:
        return Evidence(0.0, unrest, grain, sharpness).strength

    assert Evidence(noise=0.2, unrest=1.0, grain=1.0, sharpness=0.5).strength == 30
    assert strength(0.3, grain=0) == strength(0.3, grain=1) == 18  # nothing unusual
    assert strength(0.9, grain=0) == 70  # coarse noise
    assert strength(0.5, grain=0) == pytest.approx(44)
    assert strength(0.9, grain=1) == 5  # texture
    assert strength(0.5, grain=0.375) == pytest.approx((44 + 5) / 2)
    assert strength(0.9, grain=0, sharpness=0.8) == 0  # blur


def test_the_evidence_of_a_prior_that_is_known() -> None:
    """A Gaussian prior takes sigma^2 / (sigma^2 + v) of the deviation: what that is at two levels is arithmetic."""
    prior = exact(0.04)
    y = 0.1 + 0.2 * torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0)).double()
    y[1] = 0.1 + 0.02 * (y[1] - 0.1)
    counted = Counted(prior)
    both = evidence(counted, y)
    assert counted.nfe == EVIDENCE
    for image, found in zip(y, both, strict=True):
        deviation = (image - 0.1).square().mean().sqrt().item()
        assert found.unrest == pytest.approx(min(deviation * s / (s**2 + 0.04) for s in (0.057, 0.097)))
        assert found.noise == 0
        assert found.grain == pytest.approx(noise_level(image[None]) / (0.057 * found.unrest))
        # White noise: 4^2 + 4 = 20 of its variance in the Laplacian, 2 in each direction of the gradient.
        assert found.sharpness == pytest.approx(math.sqrt(20 / 4), rel=0.05)
    assert evidence(prior, y[1:]) == both[1:]


def test_a_blurred_photograph_is_not_sharp(bundled: dict[str, Tensor]) -> None:
    prior = exact(0.3)
    for image in bundled.values():
        (sharp,), (dull,) = (evidence(prior, x.double()) for x in (image, to_model(gaussian_blur(to_unit(image), 1.5))))
        assert sharp.sharpness > 1.1
        assert dull.sharpness < 0.9


def test_what_has_no_edges_has_no_sharpness() -> None:
    for shape in ((1, 3, 1, 1), (1, 1, 2, 9), (1, 3, 5, 5)):
        (found,) = evidence(exact(0.3), torch.zeros(shape).double())
        assert found.sharpness == 0
