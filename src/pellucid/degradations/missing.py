"""Missing pixels and missing colours: the inputs of inpainting and colorization, as images."""

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
    """Removes random pixels, in all channels alike.

    Args:
        image: (B, C, H, W) in [0, 1].
        share: probability of removing a pixel, from 0 to 1; GDP has 0.25, DDRM 0.5.
        fill: value of removed pixels, from 0 to 1; GDP has 0, and 0.5 is the middle of [-1, 1].
        seed: image i loses the pixels of seed `seed + i`, or `seed[i]`.

    Returns:
        The images, (B, C, H, W).

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.random_mask(torch.rand(1, 3, 32, 32), share=0.25).shape
        torch.Size([1, 3, 32, 32])
    """
    _check("a random mask", share, fill)
    chance = torch.special.ndtr(streams(image, seed).like(image[:, :1]))
    return torch.where(chance < share, fill, image)


def box_mask(image: Tensor, share: float = 0.3125, fill: float = 0.0) -> Tensor:
    """Removes a rectangle in the middle.

    Args:
        image: (B, C, H, W) in [0, 1].
        share: share of the height and of the width, from 0 to 1; BIRD's 80 pixels are 0.3125 of 256.
        fill: value of removed pixels, from 0 to 1.

    Returns:
        The images, (B, C, H, W).

    Raises:
        UsageError: a parameter is out of range.

    Example:
        >>> degradations.box_mask(torch.rand(1, 3, 32, 32), share=0.5).shape
        torch.Size([1, 3, 32, 32])
    """
    _check("a box mask", share, fill)
    height, width = image.shape[-2:]
    tall, wide = round(share * height), round(share * width)
    top, left = (height - tall) // 2, (width - wide) // 2
    boxed = image.clone()
    boxed[..., top : top + tall, left : left + wide] = fill
    return boxed


def text_mask(image: Tensor, text: str = "lorem ipsum", size: float = 0.12, fill: float = 0.0) -> Tensor:
    """Writes text over an image, line below line, like a watermark.

    Args:
        image: (B, C, H, W) in [0, 1].
        text: text to repeat until the image is full; without letters nothing happens.
        size: height of the letters as a share of the shorter side, above 0, at most 1.
        fill: value of the letters, from 0 to 1.

    Returns:
        The images, (B, C, H, W).

    Raises:
        UsageError: a parameter is out of range, or there is no text.

    Example:
        >>> degradations.text_mask(torch.rand(1, 3, 32, 32), text="SAMPLE").shape
        torch.Size([1, 3, 32, 32])
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
    """Removes the colours: each channel becomes the mean of all, as in DDNM and GDP.

    Args:
        image: (B, C, H, W) in [0, 1].

    Returns:
        The images, (B, C, H, W).

    Example:
        >>> degradations.grey(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """
    return alone(lambda one: one.mean(1, keepdim=True).expand_as(one), image)


def _check(what: str, share: float, fill: float) -> None:
    if not (0 <= share <= 1 and 0 <= fill <= 1):
        raise UsageError(f"{what} takes a share and a fill from 0 to 1, not {share} and {fill}")
