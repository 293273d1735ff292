"""Agreement of a restored image with the measurement: GDP's "Consistency".

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement" (GDP), CVPR 2023, table 1.
        https://arxiv.org/abs/2304.01247; https://github.com/Fayeben/GenerativeDiffusionPrior (scripts/psnr_ssim.py)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..errors import PellucidError
from .metric import Metric
from .view import view


@dataclass(frozen=True)
class Consistency(Metric):
    """Mean squared error between the damaged image and the restored one, damaged again, in steps of 8 bits.

    Attributes:
        damage: the damage without its noise, from images in [0, 1] to measurements in [0, 1], both (B, C, H, W). For
            inpainting, it sets unmeasured pixels to 0.
        rounded: whether the repeated damage is rounded to 8 bits, as in one of GDP's two programs.

    Example:
        >>> metric = metrics.Consistency(lambda image: image[..., ::2])
        >>> x = torch.rand(1, 3, 32, 32)
        >>> metric(x, x[..., ::2]) < 1
        tensor([True])
    """

    damage: Callable[[Tensor], Tensor]
    rounded: bool = False

    name = "consistency"
    better = "lower"
    unit = "squared steps of 8 bits"
    against = "input"
    needs = {"damage": "the damage itself, without its noise"}  # noqa: RUF012

    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """The error of an image.

        Args:
            image: restored, (1, C, H, W) in [0, 1].
            truth: the damaged image in [0, 1], of the damage's output shape.

        Returns:
            (1,), from 0 to 255^2.

        Raises:
            PellucidError: the damage gives another shape.
        """
        again = self.damage(view(image).to(image))
        if again.shape != truth.shape:
            raise PellucidError(f"consistency: damaged again it is {tuple(again.shape)}, not {tuple(truth.shape)}")
        error = view(again, rounded=self.rounded) - truth.double()
        return (255 * error).square().flatten(1).mean(1)
