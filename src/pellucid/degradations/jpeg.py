"""JPEG compression, single and repeated on shifted grids.

References:
    Jiang et al., "Towards Flexible Blind JPEG Artifacts Removal" (FBCNN), ICCV 2021: non-aligned double JPEG.
    Xiao et al., "DreamClean", ICLR 2024, section 4: three passes at quality 10, 20, 40 on grids shifted by 0, 3, 6.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UsageError

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]


def compress(image: Tensor, quality: int = 10, subsampling: Subsampling = "4:2:0") -> Tensor:
    """Compresses each image of a batch as a JPEG file (libjpeg) and reads it back.

    Args:
        image: (B, 1 or 3, H, W) in [0, 1]; values are rounded to 8 bits first, as in a file.
        quality: 1 to 100.
        subsampling: of the chroma: "4:4:4" keeps all of it, "4:2:2" half, "4:2:0" a quarter.

    Returns:
        The decoded images, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: quality or subsampling is out of range, or the images are neither grey nor RGB.

    Example:
        >>> degradations.compress(torch.rand(1, 3, 32, 32), quality=30).shape
        torch.Size([1, 3, 32, 32])
    """
    if not 1 <= quality <= 100:
        raise UsageError(f"JPEG quality goes from 1 to 100, not {quality}")
    if subsampling not in get_args(Subsampling):
        raise UsageError(f"JPEG subsampling is one of {', '.join(get_args(Subsampling))}, not {subsampling!r}")
    if image.shape[1] not in (1, 3):
        raise UsageError(f"JPEG takes grey or RGB images, not {image.shape[1]} channels")
    return torch.stack([_roundtrip(one, quality, subsampling) for one in image]).to(image)


def multiple_jpeg(image: Tensor, qualities: Sequence[int] = (10, 20, 40), shifts: Sequence[int] = (0, 3, 6)) -> Tensor:
    """Compresses an image several times, each time with the 8x8 grid moved down and to the right.

    Pictures that are cropped and saved repeatedly have such damage. To move the grid, a pass prepends `8 - shift`
    reflected rows and columns and removes them afterwards.

    Args:
        image: (B, 1 or 3, H, W) in [0, 1].
        qualities: of each pass.
        shifts: of each pass's grid, 0 to 7.

    Returns:
        The images after the last pass, (B, C, H, W) in [0, 1].

    Raises:
        UsageError: a quality or shift is out of range, or their numbers differ.

    Example:
        >>> degradations.multiple_jpeg(torch.rand(1, 3, 32, 32), qualities=(10, 20), shifts=(0, 3)).shape
        torch.Size([1, 3, 32, 32])
    """
    if len(qualities) != len(shifts) or not all(0 <= shift < 8 for shift in shifts):
        raise UsageError("multiple JPEG takes one shift from 0 to 7 for each quality")
    height, width = image.shape[-2:]
    for quality, shift in zip(qualities, shifts, strict=True):
        before = -shift % 8
        rows, columns = (_mirrored(size, before).to(image.device) for size in (height, width))
        image = compress(image[..., rows, :][..., columns], quality)[..., before:, before:]
    return image


def _mirrored(size: int, before: int) -> Tensor:
    """Indices of an axis with `before` reflected ones in front, also if the axis is shorter than that."""
    return torch.arange(-before, size).abs().clamp(max=size - 1)


def _roundtrip(image: Tensor, quality: int, subsampling: Subsampling) -> Tensor:
    pixels = (image * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=quality, subsampling=subsampling)
    decoded = torch.from_numpy(np.array(Image.open(file))).float() / 255
    return decoded[None] if decoded.ndim == 2 else decoded.permute(2, 0, 1)
