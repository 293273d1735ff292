"""Peak signal to noise ratio."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .metric import Metric
from .view import Space, check, view


def psnr(image: Tensor, clean: Tensor) -> Tensor:
    """Peak signal to noise ratio of each image, -10 log10 of its mean squared error over all channels.

    Args:
        image: (B, C, H, W) in [0, 1]; values beyond are clamped first, as in a saved image.
        clean: the truth, same shape, in [0, 1].

    Returns:
        dB, (B,); infinite for equal images.

    Example:
        >>> metrics.psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round()
        tensor([20.], dtype=torch.float64)
    """
    error = (image.clamp(0, 1) - clean).to(torch.float64).square().flatten(1).mean(1)
    return -10 * torch.log10(error)


@dataclass(frozen=True)
class Psnr(Metric):
    """`psnr` by a paper's protocol.

    Attributes:
        space: "rgb", "y" or "grey"; see `view`.
        crop: pixels cut off at each side.
        rounded: whether to round to 8 bits first.

    Raises:
        UsageError: an option is out of range.

    Example:
        >>> metric = metrics.Psnr(space="y", crop=4)
        >>> metric(torch.ones(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1])
    """

    space: Space = "rgb"
    crop: int = 0
    rounded: bool = False

    name = "psnr"
    better = "higher"
    unit = "dB"

    def __post_init__(self) -> None:
        check(self.name, self.space, self.crop)

    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """See `Metric`."""
        shown, clean = (view(each, self.space, self.crop, self.rounded) for each in (image, truth))
        return psnr(shown, clean)
