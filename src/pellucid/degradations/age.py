"""Damage of years to a photograph on paper; the generator is ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, derive_seed
from ..operators.blur import gaussian
from .chance import streams
from .missing import grey
from .noise import gaussian_noise
from .sharpness import alone, blur, gaussian_blur
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
        fade: weight of brown and paler colours, from 0 to 1.
        scratches: share of the pixels with the middle of a scratch, from 0 to 1.
        grain: standard deviation of the noise, in [0, 1] units, 0 to 1.
        blur: standard deviation in pixels, 0 or more.
        seed: image i has the grain and the scratches of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.old_photograph(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
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


def scratched(
    image: Tensor,
    scratches: int = 6,
    specks: float = 0.0003,
    light: float = 0.7,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Scratches an image like a worn print: long thin lines, most of them upright, and dust.

    A scratch is a shallow curve, as long as a fifth of the image up to all of it, and one to four pixels wide. Four of
    five show the white paper; the others are dirt.

    Args:
        image: (B, C, H, W) in [0, 1].
        scratches: number of scratches, 0 to 1000.
        specks: share of the pixels with the middle of a speck, from 0 to 1.
        light: weight of white or black over the picture, from 0 to 1.
        seed: image i has the scratches of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.scratched(torch.rand(1, 3, 32, 32), scratches=5).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= scratches <= 1000 and 0 <= specks <= 1 and 0 <= light <= 1):
        raise UsageError(
            "a scratched image has 0 to 1000 scratches, specks and light from 0 to 1, "
            f"not {scratches}, {specks} and {light}"
        )
    rng = streams(image, seed)
    lines = torch.special.ndtr(rng.like(image.new_zeros(len(image), max(scratches, 1), _TRAITS, 1)))
    for size in (0.6, 1.2, 2.4):
        # A speck four times as large in area is a quarter as frequent.
        chance = torch.special.ndtr(rng.like(image[:, :1])), torch.special.ndtr(rng.like(image[:, :1]))
        own = partial(_specked, share=specks * 0.36 / size**2, light=light, size=size)
        image = alone(own, image, *chance)
    return alone(lambda one, own: _scratched(one, own[0, :scratches, :, 0], light), image, lines)


_TRAITS = 8
"""Random numbers for each scratch."""


def _specked(image: Tensor, chance: Tensor, colour: Tensor, share: float, light: float, size: float) -> Tensor:
    kernel = gaussian(size)
    for white in (1.0, 0.0):
        points = ((chance < share) & ((colour < 0.8) == bool(white))).to(image)
        image = image.lerp(torch.full_like(image, white), light * blur(points, kernel / kernel.max()).clamp(0, 1))
    return image


def _scratched(image: Tensor, traits: Tensor, light: float) -> Tensor:
    """Draws lines over one image.

    Args:
        image: (1, C, H, W).
        traits: random numbers of each line, (n, `_TRAITS`) in [0, 1].
        light: see `scratched`.
    """
    height, width = image.shape[-2:]
    side = max(height, width)
    down, right = (torch.arange(n, device=image.device, dtype=image.dtype) for n in (height, width))
    for x, y, turn, bend, length, wide, colour, depth in traits.tolist():
        # Three of four are within 20 degrees of upright.
        angle = math.pi / 2 + ((turn / 0.75 - 0.5) * math.pi / 4.5 if turn < 0.75 else (turn - 0.875) * math.pi * 4)
        east, south = right[None, :] - x * (width - 1), down[:, None] - y * (height - 1)
        cosine, sine = math.cos(angle), math.sin(angle)
        along, across = east * cosine + south * sine, south * cosine - east * sine
        off = across - (bend - 0.5) * 0.4 * along**2 / side
        line = torch.exp(-(off**2) / (2 * (0.4 + 0.8 * wide) ** 2))
        ends = ((side * (0.1 + 0.4 * length) - along.abs()) / 3).clamp(0, 1)
        share = light * (0.5 + 0.5 * depth) * line * ends
        image = image.lerp(torch.full_like(image, float(colour < 0.8)), share)
    return image
