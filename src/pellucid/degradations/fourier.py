"""The magnitudes of an image's Fourier transform, the input of phase retrieval: neither an image nor a file."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..maths.problem import to_model
from ..operators import PhaseRetrieval
from ..support.ranges import check_noise
from .chance import streams


def magnitudes(
    image: Tensor, oversampling: float = 1.5, noise: float = 0.05, seed: int | Sequence[int] = 0
) -> tuple[Tensor, PhaseRetrieval]:
    """Measures images as in DPS: zero padding, the magnitudes of the orthonormal transform, noise.

    Args:
        image: (B, C, H, W) in [0, 1].
        oversampling: ratio of the padded size to the image's, 1 or more; DPS has 384 over 256.
        noise: standard deviation in [-1, 1] units, as in DPS, 0 or more; noisy magnitudes may be negative.
        seed: image i has noise of seed `seed + i`, or `seed[i]`.

    Returns:
        The magnitudes in [-1, 1] units, (B, C, oversampling H, oversampling W), and their operator. With the noise
        level they make a `Problem`.

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> y, operator = degradations.magnitudes(torch.rand(1, 3, 32, 32))
        >>> tuple(y.shape)
        (1, 3, 48, 48)
    """
    operator = PhaseRetrieval(oversampling)
    check_noise(noise, measured=True)
    y = operator.A(to_model(image))
    return y + noise * streams(y, seed).like(y), operator
