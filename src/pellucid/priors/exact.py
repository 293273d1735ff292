"""Priors whose posterior mean has a closed form, for tests of methods and wrappers."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, linear_ladder


class GaussianPrior:
    """Images drawn from a Gaussian, independent per pixel or per spatial frequency.

    With x0 ~ N(mean, V) and x = x0 + sigma n, the posterior mean is `mean + V / (V + sigma^2) (x - mean)` in the basis
    where V is diagonal.

    Args:
        mean: (C, H, W), or broadcastable to it.
        variance: of each pixel, broadcastable to (C, H, W). Exactly one of variance and spectrum is given.
        spectrum: variance of each coefficient of the orthonormal `torch.fft.rfft2`, broadcastable to (C, H, W // 2 +
            1): a stationary Gaussian field. For a real field it must be symmetric under reversal of the rows'
            frequencies.
        sigmas: training ladder, by default DDPM's.

    Example:
        >>> prior = priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25))
        >>> prior(torch.ones(1, 3, 8, 8), 0.5).mean().item()
        0.5
    """

    multiple = 1

    def __init__(
        self,
        mean: Tensor,
        variance: Tensor | None = None,
        spectrum: Tensor | None = None,
        sigmas: Tensor | None = None,
    ) -> None:
        if (variance is None) == (spectrum is None):
            raise UsageError("a Gaussian prior takes a variance or a spectrum, one of the two")
        if mean.ndim != 3:
            raise UsageError(f"a Gaussian prior's mean has shape (C, H, W), not {tuple(mean.shape)}")
        self.mean, self.variance, self.spectrum = mean, variance, spectrum
        self.channels = len(mean)
        self.sigmas = linear_ladder() if sigmas is None else sigmas

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`; exact."""
        noise = _per_sample(sigma, x).square()
        if self.variance is not None:
            kept: Tensor = self.variance / (self.variance + noise)
            return self.mean + kept * (x - self.mean)
        assert self.spectrum is not None
        coefficients = torch.fft.rfft2(x - self.mean, norm="ortho")
        kept = self.spectrum / (self.spectrum + noise)
        smoothed: Tensor = torch.fft.irfft2(kept * coefficients, s=x.shape[-2:], norm="ortho")
        return self.mean + smoothed

    def sample(self, shape: tuple[int, int], rng: Streams, batch: int = 1) -> Tensor:
        """Draws clean images, (batch, C, *shape)."""
        noise = rng.like(self.mean.new_empty(batch, self.channels, *shape))
        if self.variance is not None:
            return self.mean + self.variance.sqrt() * noise
        assert self.spectrum is not None
        coefficients = self.spectrum.sqrt() * torch.fft.rfft2(noise, norm="ortho")
        field: Tensor = torch.fft.irfft2(coefficients, s=shape, norm="ortho")
        return self.mean + field


class EmpiricalPrior:
    """The exact model of a finite set of images: a mixture of Dirac impulses.

    The posterior mean is the average of the images, weighted by their likelihood,
    `w_i ~ exp(-|x - x_i|^2 / (2 sigma^2))` (Karras et al. 2022, https://arxiv.org/abs/2206.00364, appendix B.3).

    Args:
        images: (N, C, H, W) in [-1, 1].
        sigmas: training ladder, by default DDPM's.

    Example:
        >>> prior = priors.EmpiricalPrior(torch.zeros(2, 3, 8, 8))
        >>> prior(torch.ones(1, 3, 8, 8), 1.0).abs().max().item()
        0.0
    """

    multiple = 1

    def __init__(self, images: Tensor, sigmas: Tensor | None = None) -> None:
        if images.ndim != 4 or not len(images):
            raise UsageError(f"an empirical prior takes images (N, C, H, W), not {tuple(images.shape)}")
        self.images = images
        self.channels = images.shape[1]
        self.sigmas = linear_ladder() if sigmas is None else sigmas

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`; exact."""
        flat = self.images.flatten(1)
        distance = torch.cdist(x.flatten(1), flat, compute_mode="donot_use_mm_for_euclid_dist") ** 2
        weights = torch.softmax(-distance / (2 * _per_sample(sigma, x).view(-1, 1) ** 2), dim=1)
        return (weights @ flat).view(x.shape)


class CovariantPrior:
    """Images drawn from a Gaussian with the mean and the covariance of a set of images.

    The posterior mean is `mean + C (C + sigma^2)^-1 (x - mean)`, in the basis where the covariance C is diagonal.

    Args:
        images: (N, C, H, W) in [-1, 1], with few pixels, since the covariance is a full matrix.
        sigmas: training ladder, by default DDPM's.
    """

    multiple = 1

    def __init__(self, images: Tensor, sigmas: Tensor | None = None) -> None:
        if images.ndim != 4 or not len(images):
            raise UsageError(f"a Gaussian is fitted to images (N, C, H, W), not {tuple(images.shape)}")
        flat = images.flatten(1).double()
        mean = flat.mean(0)
        spread = flat - mean
        variance, basis = torch.linalg.eigh(spread.T @ spread / len(flat))
        self.mean, self.variance, self.basis = mean, variance.clamp_min(0), basis
        self.channels = images.shape[1]
        self.sigmas = linear_ladder() if sigmas is None else sigmas

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`; exact."""
        noise = _per_sample(sigma, x).view(-1, 1).square()
        mean, variance, basis = (part.to(x) for part in (self.mean, self.variance, self.basis))
        parts = (x.flatten(1) - mean) @ basis
        return (mean + (variance / (variance + noise) * parts) @ basis.T).view(x.shape)


def _per_sample(sigma: float | Tensor, x: Tensor) -> Tensor:
    level: Tensor = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    return level.view(-1, 1, 1, 1)
