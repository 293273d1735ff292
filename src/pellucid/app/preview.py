"""Copies of pictures that a browser can show; the files that people download are never made of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .. import images
from ..problem import to_unit

_MOST_SHOWN = 4096
_MOST_LIVE = 640
_LOSSLESS = 1_000_000
THUMB = 96
"""Side of the small pictures in the strip, in pixels."""


def show(picture: images.Picture, path: Path) -> Path:
    """Writes what the page shows of a picture: PNG if it is small, else JPEG, never larger than 4096 pixels.

    Args:
        picture: of any depth and with any transparency, which is laid on light grey.
        path: where to, without a suffix.

    Returns:
        The file.
    """
    image = _visible(picture)
    image.thumbnail((_MOST_SHOWN, _MOST_SHOWN), Image.Resampling.LANCZOS)
    small = image.width * image.height <= _LOSSLESS
    path = path.with_name(path.name + (".png" if small else ".jpg"))
    image.save(path, quality=92)
    return path


def thumb(picture: images.Picture) -> str:
    """A small copy, as a data URL."""
    image = _visible(picture)
    image.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    return _data_url(image, 85)


def live(x0: Tensor) -> str:
    """An estimate on its way, (1, C, H, W) in [-1, 1], as a data URL; C beyond 3 are further exposures."""
    image = _visible(images.from_tensor(_displayed(to_unit(x0[:1]))))
    image.thumbnail((_MOST_LIVE, _MOST_LIVE), Image.Resampling.BILINEAR)
    return _data_url(image, 80)


def spread(samples: Sequence[Tensor]) -> tuple[images.Picture, float]:
    """Where samples differ: what no measurement says, and the prior made up.

    Args:
        samples: (1, C, H, W) each, in [0, 1].

    Returns:
        A picture, black where they agree and white where they differ most, and that most: the standard deviation there,
        in [0, 1] units.
    """
    deviation = torch.cat(list(samples)).std(0, correction=0).mean(0)
    most = float(deviation.max())
    return images.from_tensor((deviation / (most or 1))[None, None]), most


def _displayed(image: Tensor) -> Tensor:
    return image[:, : 3 if image.shape[1] >= 3 else 1]


def _visible(picture: images.Picture) -> Image.Image:
    image = images.to_pil(images.from_tensor(picture.tensor())).convert("RGB")
    if picture.alpha is None:
        return image
    alpha = picture.alpha
    opaque = alpha.astype("float32") / (255 if alpha.dtype == "uint8" else 65535 if alpha.dtype == "uint16" else 1)
    ground = Image.new("RGB", image.size, (204, 204, 204))
    return Image.composite(image, ground, Image.fromarray((opaque * 255).round().astype("uint8")))


def _data_url(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
