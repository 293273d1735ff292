"""Copies of pictures for the browser; downloads are never made from them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .. import images

if TYPE_CHECKING:
    from torch import Tensor

_MOST_SHOWN = 4096
_MOST_LIVE = 640
_LOSSLESS = 1_000_000
THUMB = 96
"""Side of thumbnails in pixels."""


def previews(path: Path, name: str) -> tuple[str, bytes, str, str]:
    """Makes previews of a file; runs in `apart.call`, since the picture itself is much larger.

    Args:
        path: the file.
        name: its owner's name for it.

    Returns:
        See `Upload.output`; the content of the file that `show` writes, its suffix, and the result of `thumb`.

    Raises:
        PellucidError: as for `images.read`.
    """
    picture = images.read(path)
    output, _ = images.fitting(picture, images.targets_of(Path(name)))
    image = _visible(picture)
    return output.name, *_shown(image), _thumb(image)


def show(picture: images.Picture, path: Path) -> Path:
    """Writes the page's copy of a picture: PNG if it is small, else JPEG, never larger than 4096 pixels.

    Args:
        picture: any depth; transparency is laid on light grey.
        path: file to write, without a suffix.

    Returns:
        The file.
    """
    content, suffix = _shown(_visible(picture))
    path = path.with_name(path.name + suffix)
    path.write_bytes(content)
    return path


def thumb(picture: images.Picture) -> str:
    """Thumbnail as a data URL."""
    return _thumb(_visible(picture))


def _shown(image: Image.Image) -> tuple[bytes, str]:
    small = _within(image, _MOST_SHOWN)
    lossless = small.width * small.height <= _LOSSLESS
    file = io.BytesIO()
    small.save(file, "PNG" if lossless else "JPEG", quality=92)
    return file.getvalue(), ".png" if lossless else ".jpg"


def _thumb(image: Image.Image) -> str:
    return _data_url(_within(image, THUMB), 85)


def _within(image: Image.Image, side: int) -> Image.Image:
    copy = image.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    return copy


def live(x0: Tensor) -> str:
    """Estimate in progress, (1, C, H, W) in [-1, 1], as a data URL; channels beyond 3 are further exposures."""
    from ..maths.problem import to_unit

    image = _visible(images.from_tensor(_displayed(to_unit(x0[:1]))))
    image.thumbnail((_MOST_LIVE, _MOST_LIVE), Image.Resampling.BILINEAR)
    return _data_url(image, 80)


def spread(samples: Sequence[Tensor]) -> tuple[images.Picture, float]:
    """Map of the difference between samples, where the prior decides and the measurement does not.

    Args:
        samples: (1, C, H, W) each, in [0, 1].

    Returns:
        A picture, black where samples agree and white where they differ most; and their largest standard deviation, in
        [0, 1] units.
    """
    import torch

    deviation = torch.cat(list(samples)).std(0, correction=0).mean(0)
    most = float(deviation.max())
    return images.from_tensor((deviation / (most or 1))[None, None]), most


def _displayed(image: Tensor) -> Tensor:
    return image[:, : 3 if image.shape[1] >= 3 else 1]


def _visible(picture: images.Picture) -> Image.Image:
    colour = _bytes(picture.colour)
    image = Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else colour).convert("RGB")
    if picture.alpha is None:
        return image
    ground = Image.new("RGB", image.size, (204, 204, 204))
    return Image.composite(image, ground, Image.fromarray(_bytes(picture.alpha)))


def _bytes(pixels: images.Pixels) -> images.Pixels:
    """Converts pixels to 8 bits."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    full = np.float32(65535 if pixels.dtype == np.uint16 else 1)
    # What is no number is black.
    scaled: images.Pixels = np.rint(np.nan_to_num(pixels.astype(np.float32) / full).clip(0, 1) * 255).astype(np.uint8)
    return scaled


def _data_url(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
