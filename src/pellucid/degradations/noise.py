"""Noise."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import UsageError
from ..noise import Streams


def gaussian_noise(image: Tensor, sigma: float, seed: int | Sequence[int] = 0) -> Tensor:
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
    if not sigma >= 0:
        raise UsageError(f"the noise level must be 0 or more, not {sigma}")
    return image + sigma * Streams.of(seed, len(image)).like(image)
