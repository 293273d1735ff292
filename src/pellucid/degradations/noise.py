"""Noise: of electronics, of light, and of both.

References:
    Chung et al., "Diffusion Posterior Sampling for General Noisy Inverse Problems" (DPS), ICLR 2023: Poisson noise.
        https://arxiv.org/abs/2209.14687
    Chihaoui et al., "Blind Image Restoration via Fast Diffusion Inversion" (BIRD), NeurIPS 2024: the mixture.
        https://arxiv.org/abs/2405.19572, https://github.com/hamadichihaoui/BIRD
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ..errors import UsageError
from .chance import streams


def gaussian_noise(image: Tensor, sigma: float = 0.1, seed: int | Sequence[int] = 0) -> Tensor:
    """Adds white Gaussian noise.

    Args:
        image: (B, C, H, W) in [0, 1].
        sigma: its standard deviation in [0, 1] units, 0 or more; 25/255 is 0.098.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The noisy images, not clamped: clamping would bias what papers call Gaussian noise.

    Raises:
        UsageError: sigma is negative.
    """
    if not 0 <= sigma < math.inf:
        raise UsageError(f"the noise level must be 0 or more, not {sigma}")
    return image + sigma * streams(image, seed).like(image)


def poisson(image: Tensor, peak: float = 255.0, seed: int | Sequence[int] = 0) -> Tensor:
    """Counts photons: y = Poisson(peak x) / peak, whose mean is x and whose variance is x / peak.

    As in DPS, where peak is 255 times a rate. The rate is not published and taken to be 1; nor is DreamClean's level.

    Args:
        image: (B, C, H, W) in [0, 1]; values beyond are clamped first.
        peak: photons that a white pixel counts on average, above 0; fewer are noisier.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The noisy images, clamped to [0, 1], as DPS clamps them.

    Raises:
        UsageError: peak is out of range.
    """
    # Beyond 2^24 a float32 no longer tells one count from the next.
    if not 0 < peak <= 2**24:
        raise UsageError(f"the peak of Poisson noise must be above 0, at most {2**24}, not {peak}")
    counts = streams(image, seed).poisson(peak * image.clamp(0, 1))
    return (counts / peak).clamp(0, 1)


def mixed_noise(
    image: Tensor, speckle: float = 0.4, sigma: float = 0.15, share: float = 0.8, seed: int | Sequence[int] = 0
) -> Tensor:
    r"""A mixture of speckle and Gaussian noise, as in BIRD's published code.

    .. math:: y = w (x + \lambda n_1 x) + (1 - w) (x + \sigma n_2), \quad n_i \sim N(0, I)

    Its defaults are those of BIRD's denoising; the noise of BIRD's other tasks is speckle 0.12 and sigma 0.05.

    Args:
        image: (B, C, H, W) in [0, 1].
        speckle: lambda, of the noise that is in proportion to the light, 0 or more.
        sigma: of the noise that is not, in [0, 1] units, 0 or more.
        share: w, from 0 to 1.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The noisy images, clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.
    """
    if not (0 <= speckle < math.inf and 0 <= sigma < math.inf and 0 <= share <= 1):
        raise UsageError(
            f"mixed noise takes levels of 0 or more and a share from 0 to 1, not {speckle}, {sigma}, {share}"
        )
    rng = streams(image, seed)
    speckled = image + speckle * rng.like(image) * image
    return (share * speckled + (1 - share) * (image + sigma * rng.like(image))).clamp(0, 1)
