"""Missing pixels and missing colours: what inpainting and colourisation begin with, as images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import UsageError
from .chance import streams
from .sharpness import alone


def random_mask(image: Tensor, share: float = 0.5, fill: float = 0.0, seed: int | Sequence[int] = 0) -> Tensor:
    """Takes pixels away at random, each by itself, in all channels alike.

    Args:
        image: (B, C, H, W) in [0, 1].
        share: chance of a pixel to go, from 0 to 1; GDP has 0.25, DDRM 0.5.
        fill: what is in its place, from 0 to 1; GDP has 0, and in the middle of [-1, 1] is 0.5.
        seed: image i loses the pixels of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W).

    Raises:
        UsageError: a parameter is out of range.
    """
    _check("a random mask", share, fill)
    chance = torch.special.ndtr(streams(image, seed).like(image[:, :1]))
    return torch.where(chance < share, fill, image)


def box_mask(image: Tensor, share: float = 0.3125, fill: float = 0.0) -> Tensor:
    """Takes a rectangle out of the middle.

    Args:
        image: (B, C, H, W) in [0, 1].
        share: of the height and of the width, from 0 to 1; BIRD's 80 pixels are 0.3125 of 256.
        fill: what is in its place, from 0 to 1.

    Returns:
        The images, (B, C, H, W).

    Raises:
        UsageError: a parameter is out of range.
    """
    _check("a box mask", share, fill)
    height, width = image.shape[-2:]
    tall, wide = round(share * height), round(share * width)
    top, left = (height - tall) // 2, (width - wide) // 2
    boxed = image.clone()
    boxed[..., top : top + tall, left : left + wide] = fill
    return boxed


def text_mask(image: Tensor, text: str = "lorem ipsum", size: float = 0.12, fill: float = 0.0) -> Tensor:
    """Writes over an image, line below line, as somebody who marks it as theirs.

    Args:
        image: (B, C, H, W) in [0, 1].
        text: which is repeated until the image is full; letters, or nothing happens.
        size: of the letters, of the image's shorter side, above 0, at most 1.
        fill: what the letters are filled with, from 0 to 1.

    Returns:
        The images, (B, C, H, W).

    Raises:
        UsageError: a parameter is out of range, or there is no text.
    """
    _check("a text mask", 0, fill)
    if not 0 < size <= 1 or not text.strip():
        raise UsageError(f"a text mask takes a text and a size above 0, at most 1, not {text!r} and {size}")
    height, width = image.shape[-2:]
    letters = max(1.0, size * min(height, width))
    page = Image.new("1", (width, height))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(letters)
    line = f"{text} " * (2 + int(2 * width / letters))
    for number in range(1 + int(height / (1.5 * letters))):
        # Each line begins elsewhere, so that no column of the image is always between two words.
        draw.text((-3.7 * letters * (number % 2), 1.5 * letters * number), line, fill=1, font=font)
    return torch.where(torch.from_numpy(np.array(page)).to(image.device), fill, image)


def grey(image: Tensor) -> Tensor:
    """Takes the colours away: each channel becomes the mean of all, as in DDNM and GDP.

    Args:
        image: (B, C, H, W) in [0, 1].

    Returns:
        The images, (B, C, H, W).
    """
    return alone(lambda one: one.mean(1, keepdim=True).expand_as(one), image)


def _check(what: str, share: float, fill: float) -> None:
    if not (0 <= share <= 1 and 0 <= fill <= 1):
        raise UsageError(f"{what} takes a share and a fill from 0 to 1, not {share} and {fill}")
