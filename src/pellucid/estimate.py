"""How noisy an image is, from the image alone."""

from __future__ import annotations

from torch import Tensor

# The median of |n| for n ~ N(0, 1).
_MEDIAN = 0.6744897501960817


def noise_level(image: Tensor, known: Tensor | None = None) -> float:
    """Estimates the standard deviation of white noise.

    The median of the absolute diagonal differences of 2x2 blocks, the finest Haar coefficients, over that of white
    noise (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994, section 4.2): edges are too few
    to move a median. Fine texture all over the image counts as noise.

    Args:
        image: (B, C, H, W), in any units; the result is in the same.
        known: 1 where a pixel counts, broadcastable to the image; None for all.

    Returns:
        One level for the whole batch; 0 where there is no whole block.
    """
    height, width = (size // 2 * 2 for size in image.shape[-2:])
    blocks = image[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    diagonal = (blocks[..., 0, :, 0] - blocks[..., 0, :, 1] - blocks[..., 1, :, 0] + blocks[..., 1, :, 1]) / 2
    if known is not None:
        counts = known.expand_as(image)[..., :height, :width].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
        diagonal = diagonal[(counts > 0).all(-1).all(-2)]
    return diagonal.abs().median().item() / _MEDIAN if diagonal.numel() else 0.0
