"""Preparation of photographs in published code, by name: the square that it cuts, the way it resizes.

All work on images of 8 bits, as that code does, with Pillow's filters, which average over what a reduction leaves out.

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
    """Halves by means of 2 x 2 pixels while that leaves enough, brings the shorter side to `size`, cuts the middle."""
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), _Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), _Resampling.BICUBIC)
    return _cut(image, (image.width - size) // 2, (image.height - size) // 2, size)


def square(image: Image.Image, size: int) -> Image.Image:
    """Cuts the largest square out of the middle, then resizes it bilinearly: DDRM's on ImageNet."""
    side = min(image.size)
    return _middle(image, side).resize((size, size), _Resampling.BILINEAR)


def short(image: Image.Image, size: int) -> Image.Image:
    """Brings the shorter side to `size`, bilinearly, then cuts the middle: DDRM's on LSUN."""
    width, height = (size * side // min(image.size) for side in image.size)
    return _middle(image.resize((width, height), _Resampling.BILINEAR), size)


def stretch(image: Image.Image, size: int) -> Image.Image:
    """Resizes to a square, bilinearly, whatever the shape was: DDRM's on CelebA-HQ."""
    return image.resize((size, size), _Resampling.BILINEAR)


def celeba(image: Image.Image, size: int) -> Image.Image:
    """Cuts the 128 x 128 pixels around (89, 121) out of an aligned face of 178 x 218, then resizes them bilinearly.

    Raises:
        PellucidError: the image has another size.
    """
    if image.size != (178, 218):
        raise PellucidError(f"an aligned face of CelebA has 178x218 pixels, this has {image.width}x{image.height}")
    return _cut(image, 89 - 64, 121 - 64, 128).resize((size, size), _Resampling.BILINEAR)


def middle(image: Image.Image, size: int) -> Image.Image:
    """Cuts `size` x `size` pixels out of the middle and resizes nothing, so that noise stays what it is.

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
"""By name; "whole" leaves images as they are, in their depth."""


def find(name: str) -> Callable[[Image.Image, int], Image.Image] | None:
    """The crop of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in CROPS:
        raise unknown_name("crop", name, CROPS)
    return CROPS[name]


def _middle(image: Image.Image, side: int) -> Image.Image:
    # torchvision's center_crop, whose halves are rounded to even.
    return _cut(image, round((image.width - side) / 2), round((image.height - side) / 2), side)


def _cut(image: Image.Image, left: int, top: int, side: int) -> Image.Image:
    return image.crop((left, top, left + side, top + side))
