"""View of images for a metric: brightness or colours, border, scale."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import PellucidError, UsageError

Space = Literal["rgb", "y", "grey"]

# BT.601: of full range, as OpenCV and Pillow make grey; of video's range, 16 to 235, as MATLAB's rgb2ycbcr makes Y.
_GREY = (0.299, 0.587, 0.114)
_Y = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BLACK = 16 / 255


def check(name: str, space: str, crop: int) -> None:
    """Rejects an invalid view before there are images.

    Raises:
        UsageError: the space is unknown or the crop negative.
    """
    if space not in get_args(Space):
        raise UsageError(f"{name}: space must be one of {', '.join(get_args(Space))}, not {space!r}")
    if crop < 0:
        raise UsageError(f"{name}: crop must be 0 or more pixels, not {crop}")


def view(image: Tensor, space: Space = "rgb", crop: int = 0, rounded: bool = False) -> Tensor:
    """Converts images to the form that a paper's code measures.

    Args:
        image: (B, C, H, W) in [0, 1]; values beyond are clamped first, as in a saved image.
        space: "rgb" for the channels as they are; "y" for the luma of video, 16/255 to 235/255; "grey" for luma of full
            range. Grey images count as three equal channels.
        crop: pixels that are cut off at each side.
        rounded: whether to round to 8 bits, and grey made of such values once more.

    Returns:
        (B, C or 1, H - 2 crop, W - 2 crop), float64.

    Raises:
        PellucidError: nothing remains of the images, or they have no colours to weigh.
    """
    if min(image.shape[-2:]) <= 2 * crop:
        raise PellucidError(f"images of {tuple(image.shape[-2:])} have nothing inside a border of {crop} pixels")
    shown = image[..., crop : image.shape[-2] - crop, crop : image.shape[-1] - crop].double().clamp(0, 1)
    if rounded:
        shown = _eight_bit(shown)
    if space == "rgb":
        return shown
    if shown.shape[1] not in (1, 3):
        raise PellucidError(f"luma is of grey or of three colours, not of {shown.shape[1]} channels")
    weights = torch.tensor(_Y if space == "y" else _GREY, dtype=shown.dtype, device=shown.device)
    luma = (shown.expand(-1, 3, -1, -1) * weights.view(3, 1, 1)).sum(1, keepdim=True)
    if space == "y":
        return luma + _BLACK
    return _eight_bit(luma) if rounded else luma


def _eight_bit(x: Tensor) -> Tensor:
    return (x * 255).round() / 255
