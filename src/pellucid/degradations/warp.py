"""Bent light: non-uniform deformation, and drops of water on the lens.

DIIP's tables have both, but their generators are not published. These generators and their defaults are ours.

References:
    Chihaoui and Favaro, "Diffusion Image Prior" (DIIP), 2025. https://arxiv.org/abs/2503.21410
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..operators import Blur
from ..operators.blur import gaussian
from .chance import streams
from .sharpness import alone, gaussian_blur


def deform(
    image: Tensor,
    strength: float = 2.0,
    smoothness: float = 8.0,
    blur: float = 0.0,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Moves each pixel a little, and its neighbours nearly alike, as hot air or wavy glass does.

    Both components of the displacement are white noise smoothed by a Gaussian; between pixels the image is bilinear.

    Args:
        image: (B, C, H, W) in [0, 1].
        strength: standard deviation of each component of the displacement, in pixels, 0 or more; 0 moves nothing.
        smoothness: standard deviation of the Gaussian, in pixels, above 0.
        blur: standard deviation in pixels of a blur that varies over the image in the same way; 0 for none.
        seed: image i has the displacement of seed `seed + i`, or `seed[i]`.

    Returns:
        The deformed images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.deform(torch.rand(1, 3, 32, 32), strength=2.0).shape
        torch.Size([1, 3, 32, 32])
    """
    if not (0 <= strength < math.inf and 0 < smoothness <= 100):
        raise UsageError(
            f"deformation takes a strength of 0 or more and a smoothness above 0, at most 100 pixels, "
            f"not {strength} and {smoothness}"
        )
    rng = streams(image, seed)
    field = smooth_noise(image.new_empty(len(image), 3, *image.shape[-2:]), smoothness, rng)
    rows, columns = (torch.arange(extent).to(image) for extent in image.shape[-2:])

    def deformed(one: Tensor, field: Tensor) -> Tensor:
        if blur:
            # Nowhere wholly sharp, nowhere wholly blurred, but near to both.
            one = one.lerp(gaussian_blur(one, blur), torch.special.ndtr(2 * field[:, 2:]))
        return sample(one, rows[:, None] + strength * field[:, 0], columns + strength * field[:, 1])

    return alone(deformed, image, field)


def water_drops(
    image: Tensor,
    number: int = 25,
    size: float = 0.06,
    refraction: float = 2.0,
    blur: float = 2.0,
    light: float = 0.15,
    seed: int | Sequence[int] = 0,
) -> Tensor:
    """Puts drops of water on the lens: each shows the scene upside down, small, out of focus and a little brighter.

    A drop is a disc with a smoothly varying radius and a soft edge. It is lighter below than above, since it shows the
    sky there.

    Args:
        image: (B, C, H, W) in [0, 1].
        number: number of drops, 0 or more.
        size: their typical radius, as a share of the image's shorter side, above 0.
        refraction: strength of a drop: a point at distance d from its middle shows the scene at distance (1 -
            refraction) d. 0 bends nothing, 1 makes a lens of one colour, 2 turns the scene upside down.
        blur: standard deviation in pixels of the blur in a drop.
        light: additional brightness of a drop, and its difference from top to bottom, 0 or more.
        seed: image i has the drops of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W), clamped to [0, 1].

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.water_drops(torch.rand(1, 3, 32, 32), number=4).shape
        torch.Size([1, 3, 32, 32])
    """
    if number < 0 or not 0 < size <= 1:
        raise UsageError(f"drops take a number of 0 or more and a size above 0, at most 1, not {number} and {size}")
    if not (math.isfinite(refraction) and 0 <= light < math.inf):
        raise UsageError(f"drops take a finite refraction and a light of 0 or more, not {refraction} and {light}")
    height, width = image.shape[-2:]
    rows, columns = (torch.arange(extent).to(image) for extent in (height, width))
    bent = refraction * size * min(height, width)

    def wet(one: Tensor, drawn: Tensor) -> Tensor:
        down, right, covered = (part[None].to(one) for part in _drops(drawn[0].cpu(), height, width, size))
        seen = sample(gaussian_blur(one, blur), rows[:, None] - bent * down, columns - bent * right)
        return one.lerp(seen * (1 + light * (0.5 + down)), covered).clamp(0, 1)

    return alone(wet, image, streams(image, seed).like(image.new_empty(len(image), number, 9)))


def _drops(drawn: Tensor, height: int, width: int, size: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places the drops in one image.

    Args:
        drawn: N(0, 1), (number, 9): place, size, and amplitude and phase of three waves around the edge.
        height: of the image.
        width: of the image.
        size: see `water_drops`.

    Returns:
        The offset of each pixel from its drop's middle, down and right, in typical radii; and the drop's opacity there,
        from 0 to 1: each (H, W).
    """
    down, right, covered = drawn.new_zeros(3, height, width)
    uniform = torch.special.ndtr(drawn)
    typical = size * min(height, width)
    for normal, even in zip(drawn.tolist(), uniform.tolist(), strict=True):
        row, column = even[0] * height, even[1] * width
        radius = typical * math.exp(0.4 * max(-2.0, min(2.0, normal[2])))
        # No drop reaches farther than the sum of its waves.
        reach = math.ceil(1.6 * radius)
        top, left = max(0, int(row) - reach), max(0, int(column) - reach)
        box = (slice(top, int(row) + reach + 1), slice(left, int(column) + reach + 1))
        below = torch.arange(top, top + covered[box].shape[0])[:, None] + 0.5 - row
        beside = torch.arange(left, left + covered[box].shape[1])[None] + 0.5 - column
        angle = torch.atan2(below, beside)
        edge = torch.ones_like(angle)
        for k in range(3):
            edge += (0.2 * even[3 + k] / (k + 1)) * torch.cos((k + 1) * angle + 2 * math.pi * even[6 + k])
        depth = (1 - torch.hypot(below, beside) / (radius * edge)).clamp(0, 1)
        cover = (depth / 0.3).clamp(max=1)
        cover = cover * cover * (3 - 2 * cover)
        # Where two drops meet the one that is farther from its edge is seen.
        front = cover > covered[box]
        down[box] = torch.where(front, (below / typical).to(down), down[box])
        right[box] = torch.where(front, (beside / typical).to(right), right[box])
        covered[box] = torch.where(front, cover.to(covered), covered[box])
    return down, right, covered


def smooth_noise(like: Tensor, std: float, rng: Streams) -> Tensor:
    """Slowly varying Gaussian noise of variance 1 in the shape of `like`, periodic at the edges.

    Args:
        like: (B, C, H, W).
        std: standard deviation in pixels of the Gaussian that smooths white noise, above 0.
        rng: the images' noise.
    """
    smooth = Blur(gaussian(std))
    point = torch.zeros(1, 1, *like.shape[-2:], dtype=torch.float64)
    point[..., 0, 0] = 1
    return alone(smooth.A, rng.like(like)) / float(smooth.A(point).norm())


def sample(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Samples an image between its pixels, bilinearly; the border replicates the edge.

    Args:
        image: (B, C, H, W).
        rows: of the places, (B, h, w), 0 the first.
        columns: of the places, likewise.

    Returns:
        The values, (B, C, h, w); at whole numbers the pixels themselves.
    """
    height, width = image.shape[-2:]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    top, left = rows.long(), columns.long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    flat = image.flatten(2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row * width + column).flatten(1)[:, None].expand(-1, image.shape[1], -1)
        return flat.gather(2, index).view(*image.shape[:2], *row.shape[1:])

    below, beside = (rows - top)[:, None], (columns - left)[:, None]
    upper = at(top, left).lerp(at(top, right), beside)
    lower = at(bottom, left).lerp(at(bottom, right), beside)
    between: Tensor = upper.lerp(lower, below)
    return between
