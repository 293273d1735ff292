"""The prior of blur kernels, and the Gaussian that it is."""

from __future__ import annotations

import pytest
import torch

from pellucid.errors import UsageError
from pellucid.operators.blur import disk
from pellucid.priors.exact import CovariantPrior
from pellucid.priors.kernels import kernel_prior, shake, to_image, to_kernel


def test_the_posterior_mean_of_correlated_images() -> None:
    """Against Gauss's formula with the covariance written out: (C^-1 + I / sigma^2)^-1 (C^-1 m + x / sigma^2)."""
    images = torch.randn(50, 2, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(2, 2, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sigma = 0.7
    mean = images.flatten(1).mean(0)
    precision = torch.linalg.inv(torch.cov(images.flatten(1).T, correction=0))
    total = precision + torch.eye(12) / sigma**2
    right = precision @ mean + x.flatten(1) / sigma**2
    expected = torch.linalg.solve(total, right.T).T.view_as(x)
    torch.testing.assert_close(CovariantPrior(images)(x, sigma), expected)
    with pytest.raises(UsageError, match="a Gaussian is fitted"):
        CovariantPrior(images[0])


def test_kernels_and_their_images() -> None:
    kernel = disk(3, 15)
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel[7, 10] > 0
    assert kernel[7, 11] == 0
    image = to_image(kernel)
    assert (image.max().item(), image.min().item()) == (1, -1)
    torch.testing.assert_close(to_kernel(image), kernel)
    # Below -1 nothing is left, and nothing at all is no kernel of NaN.
    assert to_kernel(torch.full((2, 2), -2.0)).tolist() == [[0, 0], [0, 0]]


def test_a_shaken_path_is_centred_and_its_own() -> None:
    kernel = shake(21, 3)
    assert kernel.shape == (21, 21)
    assert kernel.sum().item() == pytest.approx(1)
    place = torch.arange(21, dtype=torch.float64) - 10
    assert abs((kernel.sum(1) * place).sum().item()) < 0.5
    assert torch.equal(kernel, shake(21, 3))
    assert not torch.equal(kernel, shake(21, 4))


def test_it_knows_kernels() -> None:
    """A kernel in noise is nearer to itself after the prior than before."""
    prior = kernel_prior(15, shaken=50)
    image = to_image(disk(4, 15))[None, None].float()
    noisy = image + 0.5 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert (prior(noisy, 0.5) - image).norm() < 0.5 * (noisy - image).norm()
