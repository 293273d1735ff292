"""Damage of years to a photograph on paper; the generator is ours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from ..noise import Streams, derive_seed
from .missing import grey
from .noise import gaussian_noise
from .sharpness import gaussian_blur
from .weather import rain

_PAPER = (0.93, 0.83, 0.66)


def old_photograph(
    image: Tensor,
    fade: float = 0.5,
    scratches: float = 0.0008,
    grain: float = 0.04,
    blur: float = 0.7,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Fades an image to brown, blurs it a little, and adds grain and scratches.

    Args:
        image: (B, C, H, W) in [0, 1]. Grey ones become pale, not brown.
        fade: how far colours are on their way to brown and paler ones, from 0 to 1.
        scratches: share of the pixels at which one has its middle, from 0 to 1.
        grain: standard deviation of the noise, in [0, 1] units, 0 or more.
        blur: standard deviation in pixels, 0 or more.
        seed: image i has the grain and the scratches of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.
    """
    if not 0 <= fade <= 1:
        raise UsageError(f"an old photograph has faded from 0 to 1, not by {fade}")
    channels = image.shape[1]
    paper = torch.tensor(_PAPER if channels == 3 else (sum(_PAPER) / 3,) * channels).to(image).view(1, channels, 1, 1)
    # Half of the contrast is lost on the way.
    brown = paper * (0.2 + 0.6 * grey(image))
    faded = gaussian_blur(image + fade * (brown - image), blur)
    grainy = gaussian_noise(faded, grain, seed).clamp(0, 1)
    # Of the grain's own seeds the scratches would lie where it is dark.
    others = [derive_seed(own, "scratches") for own in Streams.seeds(seed, len(image))]
    return rain(grainy, scratches, length=30.0, degrees=87.0, light=0.8, seed=others)
