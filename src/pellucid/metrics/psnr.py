"""Peak signal to noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(image: Tensor, clean: Tensor) -> Tensor:
    """The peak signal to noise ratio of each image, -10 log10 of its mean squared error; all channels together.

    Args:
        image: (B, C, H, W) in [0, 1]; values beyond are clamped first, as they are when an image is saved.
        clean: the truth, same shape, in [0, 1].

    Returns:
        dB, (B,); infinite where both are equal.
    """
    error = (image.clamp(0, 1) - clean).to(torch.float64).square().flatten(1).mean(1)
    return -10 * torch.log10(error)
