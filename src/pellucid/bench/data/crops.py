"""Preparation of photographs in published code, by name: the crop and the resizing.

All work on 8-bit images, as that code does, with Pillow's filters, which average when they reduce.

References:
    guided: https://github.com/openai/guided-diffusion (image_datasets.py), also in GDP's code.
    square, celeba, short, stretch: https://github.com/bahjat-kawar/ddrm (datasets/), also in DDNM's code.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from ...errors import PellucidError, unknown_name

_Resampling = Image.Resampling


def guided(image: Image.Image, size: int) -> Image.Image:
    """Halves by 2 x 2 means while enough is left, brings the shorter side to `size`, cuts the middle."""
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), _Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), _Resampling.BICUBIC)
    return _cut(image, (image.width - size) // 2, (image.height - size) // 2, size)


def square(image: Image.Image, size: int) -> Image.Image:
    """Cuts the largest square from the middle, then resizes it bilinearly: DDRM's for ImageNet."""
    side = min(image.size)
    return _middle(image, side).resize((size, size), _Resampling.BILINEAR)


def short(image: Image.Image, size: int) -> Image.Image:
    """Brings the shorter side to `size` bilinearly, then cuts the middle: DDRM's for LSUN."""
    width, height = (size * side // min(image.size) for side in image.size)
    return _middle(image.resize((width, height), _Resampling.BILINEAR), size)


def stretch(image: Image.Image, size: int) -> Image.Image:
    """Resizes to a square bilinearly, without regard to the shape: DDRM's for CelebA-HQ."""
    return image.resize((size, size), _Resampling.BILINEAR)


def celeba(image: Image.Image, size: int) -> Image.Image:
    """Cuts the 128 x 128 pixels around (89, 121) from an aligned face of 178 x 218, then resizes bilinearly.

    Raises:
        PellucidError: the image has another size.
    """
    if image.size != (178, 218):
        raise PellucidError(f"an aligned face of CelebA has 178x218 pixels, this has {image.width}x{image.height}")
    return _cut(image, 89 - 64, 121 - 64, 128).resize((size, size), _Resampling.BILINEAR)


def middle(image: Image.Image, size: int) -> Image.Image:
    """Cuts `size` x `size` pixels from the middle without resizing, so that noise keeps its statistics.

    Raises:
        PellucidError: the image is smaller.
    """
    if min(image.size) < size:
        raise PellucidError(f"{image.width}x{image.height} pixels have no {size}x{size} in them")
    return _middle(image, size)


CROPS: dict[str, Callable[[Image.Image, int], Image.Image] | None] = {
    "whole": None,
    "guided": guided,
    "square": square,
    "short": short,
    "stretch": stretch,
    "celeba": celeba,
    "middle": middle,
}
"""Crops by name; "whole" leaves images and their depth unchanged."""


def find(name: str) -> Callable[[Image.Image, int], Image.Image] | None:
    """Finds a crop by name.

    Raises:
        UsageError: unknown name.
    """
    if name not in CROPS:
        raise unknown_name("crop", name, CROPS)
    return CROPS[name]


def _middle(image: Image.Image, side: int) -> Image.Image:
    # torchvision's center_crop, whose halves are rounded to even.
    return _cut(image, round((image.width - side) / 2), round((image.height - side) / 2), side)


def _cut(image: Image.Image, left: int, top: int, side: int) -> Image.Image:
    return image.crop((left, top, left + side, top + side))
