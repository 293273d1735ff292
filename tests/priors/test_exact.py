from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.priors import EmpiricalPrior, GaussianPrior


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_gaussian_posterior_mean_per_pixel() -> None:
    mean, variance = draw(2, 3, 4), draw(2, 3, 4).exp()
    x = draw(5, 2, 3, 4)
    expected = (mean / variance + x / 0.49) / (1 / variance + 1 / 0.49)  # precisions add up
    torch.testing.assert_close(GaussianPrior(mean, variance)(x, 0.7), expected)


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (1, 1)])
def test_gaussian_posterior_mean_of_a_stationary_field(shape: tuple[int, int]) -> None:
    # Against dense linear algebra: covariance C by its action on unit impulses, then C (C + s^2 I)^-1.
    h, w = shape
    frequency = torch.fft.fftfreq(h).double()[:, None] ** 2 + torch.fft.rfftfreq(w).double() ** 2
    spectrum = 1 / (0.05 + frequency)[None]
    prior = GaussianPrior(torch.full((1, h, w), 0.2).double(), spectrum=spectrum)
    impulses = torch.eye(h * w, dtype=torch.float64).view(-1, 1, h, w)
    covariance = torch.fft.irfft2(spectrum * torch.fft.rfft2(impulses), s=shape).reshape(h * w, h * w)
    x = draw(1, 1, h, w)
    gain = covariance @ torch.linalg.inv(covariance + 0.3**2 * torch.eye(h * w))
    expected = 0.2 + (gain @ (x - 0.2).flatten()).view_as(x)
    torch.testing.assert_close(prior(x, 0.3), expected)


def test_gaussian_samples_have_the_variance_that_was_asked_for() -> None:
    spectrum = torch.tensor([4.0]).view(1, 1, 1)
    for prior in (
        GaussianPrior(torch.zeros(1, 8, 8), variance=spectrum),
        GaussianPrior(torch.zeros(1, 8, 8), None, spectrum),
    ):
        samples = prior.sample((8, 8), Streams.of(0, 500), batch=500)
        assert samples.shape == (500, 1, 8, 8)
        assert samples.var().item() == pytest.approx(4, rel=0.05)


def test_empirical_posterior_mean_is_the_weighted_average() -> None:
    images, x = draw(4, 1, 2, 3), draw(2, 1, 2, 3)
    weights = torch.stack([(-((x - image) ** 2).sum((1, 2, 3)) / (2 * 0.8**2)).exp() for image in images], 1)
    expected = torch.einsum("bn,nchw->bchw", weights / weights.sum(1, keepdim=True), images)
    torch.testing.assert_close(EmpiricalPrior(images)(x, 0.8), expected)


def test_empirical_prior_finds_the_image_at_low_noise_and_the_mean_at_high() -> None:
    images = draw(4, 3, 8, 8)
    prior = EmpiricalPrior(images)
    torch.testing.assert_close(prior(images[2:3] + 0.05 * draw(1, 3, 8, 8), 0.05), images[2:3])
    torch.testing.assert_close(prior(images[2:3], 1e6), images.mean(0, keepdim=True), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "prior", [GaussianPrior(torch.zeros(3, 1, 1), torch.ones(1, 1, 1)), EmpiricalPrior(torch.randn(3, 3, 4, 4))]
)
def test_one_noise_level_per_image(prior: GaussianPrior | EmpiricalPrior) -> None:
    x = draw(2, 3, 4, 4).float()
    both = prior(x, torch.tensor([0.3, 2.0]))
    torch.testing.assert_close(both[:1], prior(x[:1], 0.3))
    torch.testing.assert_close(both[1:], prior(x[1:], 2.0))


def test_bad_definitions_are_refused() -> None:
    with pytest.raises(UsageError, match="variance or a spectrum"):
        GaussianPrior(torch.zeros(1, 1, 1))
    with pytest.raises(UsageError, match="mean"):
        GaussianPrior(torch.zeros(2), variance=torch.ones(1))
    with pytest.raises(UsageError, match="images"):
        EmpiricalPrior(torch.zeros(3, 4, 4))
