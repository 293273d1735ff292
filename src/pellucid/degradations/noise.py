"""Noise of electronics, light, film and cameras, and mixtures.

References:
    Chung et al., "Diffusion Posterior Sampling for General Noisy Inverse Problems" (DPS), ICLR 2023: Poisson noise.
        https://arxiv.org/abs/2209.14687
    Chihaoui et al., "Blind Image Restoration via Fast Diffusion Inversion" (BIRD), NeurIPS 2024: the mixture.
        https://arxiv.org/abs/2405.19572, https://github.com/hamadichihaoui/BIRD
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, derive_seed
from ..support.ranges import check_noise
from .chance import streams


def gaussian_noise(image: Tensor, sigma: float = 0.1, seed: int | Sequence[int] = 0) -> Tensor:
    """Adds white Gaussian noise.

    Args:
        image: (B, C, H, W) in [0, 1].
        sigma: its standard deviation in [0, 1] units, 0 to 1; 25/255 is 0.098.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The noisy images, not clamped: clamping would bias what papers call Gaussian noise.

    Raises:
        UsageError: sigma is out of range.

    Example:
        >>> degradations.gaussian_noise(torch.rand(1, 3, 32, 32), sigma=0.1, seed=0).shape
        torch.Size([1, 3, 32, 32])
    """
    check_noise(sigma)
    return image + sigma * streams(image, seed).like(image)


def poisson(image: Tensor, peak: float = 255.0, seed: int | Sequence[int] = 0) -> Tensor:
    """Counts photons: y = Poisson(peak x) / peak, whose mean is x and whose variance is x / peak.

    As in DPS, where peak is 255 times a rate. DPS does not publish the rate, which is taken to be 1; DreamClean does
    not publish its level either.

    Args:
        image: (B, C, H, W) in [0, 1]; values beyond are clamped first.
        peak: photons that a white pixel counts on average, above 0; fewer are noisier.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The noisy images, clamped to [0, 1], as DPS clamps them.

    Raises:
        UsageError: peak is out of range.

    Example:
        >>> degradations.poisson(torch.rand(1, 3, 32, 32), peak=30).shape
        torch.Size([1, 3, 32, 32])
    """
    # Beyond 2^24 a float32 no longer tells one count from the next.
    if not 0 < peak <= 2**24:
        raise UsageError(f"the peak of Poisson noise must be above 0, at most {2**24}, not {peak}")
    counts = streams(image, seed).poisson(peak * image.clamp(0, 1))
    return (counts / peak).clamp(0, 1)


def mixed_noise(
    image: Tensor, speckle: float = 0.4, sigma: float = 0.15, share: float = 0.8, seed: int | Sequence[int] = 0
) -> Tensor:
    r"""Adds a mixture of speckle and Gaussian noise, as in BIRD's published code.

    .. math:: y = w (x + \lambda n_1 x) + (1 - w) (x + \sigma n_2), \quad n_i \sim N(0, I)

    Its defaults are those of BIRD's denoising; the noise of BIRD's other tasks is speckle 0.12 and sigma 0.05.

    Args:
        image: (B, C, H, W) in [0, 1].
        speckle: lambda, level of the noise in proportion to the light, 0 or more.
        sigma: level of the additive noise, in [0, 1] units, 0 to 1.
        share: w, from 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The noisy images, clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.mixed_noise(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= speckle < math.inf and 0 <= share <= 1):
        raise UsageError(f"mixed noise takes speckle of 0 or more and a share from 0 to 1, not {speckle}, {share}")
    check_noise(sigma)
    rng = streams(image, seed)
    speckled = image + speckle * rng.like(image) * image
    return (share * speckled + (1 - share) * (image + sigma * rng.like(image))).clamp(0, 1)


def shared_noise(image: Tensor, sigma: float = 0.1, seed: int | Sequence[int] = 0) -> Tensor:
    """Adds one field of white Gaussian noise to all channels alike, as in a grey scan saved in colour.

    Args:
        image: (B, C, H, W) in [0, 1].
        sigma: its standard deviation in [0, 1] units, 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: sigma is out of range.

    Example:
        >>> degradations.shared_noise(torch.rand(1, 3, 32, 32), sigma=0.1).shape
        torch.Size([1, 3, 32, 32])
    """
    check_noise(sigma)
    return (image + sigma * streams(image, seed).like(image[:, :1])).clamp(0, 1)


def grain(image: Tensor, sigma: float = 0.06, size: float = 0.7, seed: int | Sequence[int] = 0) -> Tensor:
    """Adds film grain: Gaussian noise, alike in all channels and correlated over some pixels.

    Args:
        image: (B, C, H, W) in [0, 1].
        sigma: its standard deviation in [0, 1] units, 0 to 1.
        size: standard deviation in pixels of the Gaussian that white noise is convolved with, from 0 to 100.
        seed: image i has grain of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.grain(torch.rand(1, 3, 32, 32), sigma=0.05).shape
        torch.Size([1, 3, 32, 32])
    """
    check_noise(sigma)
    _check_size(size)
    return (image + sigma * _correlated(streams(image, seed).like(image[:, :1]), size)).clamp(0, 1)


def chroma_noise(
    image: Tensor, sigma: float = 0.08, size: float = 2.0, luma: float = 0.02, seed: int | Sequence[int] = 0
) -> Tensor:
    """Adds blotches of colour like a small sensor's: coarse noise in Cb and Cr, and fine luma noise.

    Args:
        image: (B, 3, H, W) in [0, 1].
        sigma: standard deviation of Cb's and of Cr's noise in [0, 1] units, 0 to 1.
        size: of the blotches, standard deviation in pixels, from 0 to 100.
        luma: standard deviation of the luma's white noise, 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, 3, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range, or the images have no colours.

    Example:
        >>> degradations.chroma_noise(torch.rand(1, 3, 32, 32), sigma=0.1).shape
        torch.Size([1, 3, 32, 32])
    """
    check_noise(sigma)
    check_noise(luma)
    _check_size(size)
    rng = streams(image, seed)
    fine = luma * rng.like(image[:, :1])
    if image.shape[1] == 1:
        return (image + fine).clamp(0, 1)
    if image.shape[1] != 3:
        raise UsageError(f"chroma noise takes grey or RGB images, not {image.shape[1]} channels")
    blue, red = (sigma * _correlated(rng.like(image[:, :1]), size) for _ in range(2))
    # JFIF's Cb and Cr as R, G and B.
    colours = torch.cat([1.402 * red, -0.344136 * blue - 0.714136 * red, 1.772 * blue], 1)
    return (image + fine + colours).clamp(0, 1)


def poisson_gaussian(
    image: Tensor, peak: float = 255.0, read: float = 3 / 255, seed: int | Sequence[int] = 0
) -> Tensor:
    """Adds a raw sensor's noise: photon counts, then Gaussian read noise; the variance is `x / peak + read^2`.

    Args:
        image: (B, C, H, W) in [0, 1]; values beyond are clamped first.
        peak: photons that a white pixel counts on average, above 0.
        read: standard deviation of the read noise in [0, 1] units, 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.poisson_gaussian(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """
    check_noise(read)
    counted = poisson(image, peak, seed)
    return (
        counted
        + read * streams(counted, [derive_seed(own, "read") for own in Streams.seeds(seed, len(image))]).like(counted)
    ).clamp(0, 1)


def _correlated(white: Tensor, size: float) -> Tensor:
    """White noise after a periodic Gaussian filter of so many pixels, scaled to a deviation of 1."""
    height, width = white.shape[-2:]
    at = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)).to(white)
    passed = (-2 * (math.pi * size * at).square()).exp()
    # Power of a whole plane, where all columns of an rfft but the first and the middle one count twice.
    twice = torch.full((width // 2 + 1,), 2.0).to(white)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    power = (passed.square() * twice).sum() / (height * width)
    field = [torch.fft.irfft2(torch.fft.rfft2(one) * passed, s=(height, width)) for one in white]
    return torch.stack(field) / power.sqrt()


def _check_size(size: float) -> None:
    if not 0 <= size <= 100:
        raise UsageError(f"noise is correlated over 0 to 100 pixels, not {size}")
