"""A prior of blur kernels in closed form: the common blurs of pictures."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..maths.noise import Streams
from ..operators import blur
from .exact import CovariantPrior

_WIDTHS = (0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5, 3.0, 3.6, 4.3, 5.0)
_LENGTHS = tuple(range(3, 30, 2))
_TURNS = 12


@lru_cache(maxsize=4)
def kernel_prior(size: int, shaken: int = 300) -> CovariantPrior:
    """Gaussian with the mean and covariance of Gaussians, disks, straight and shaken movements of all sizes.

    Kernels that are too large are left out. They have the form of `to_image`. (The collection as an `EmpiricalPrior`
    would have nothing between its kernels, and a search would stop at the first one nearby.)

    Args:
        size: side of the kernels in pixels, odd.
        shaken: number of movements of a shaking hand.
    """
    made = [
        *(blur.anisotropic(wide, narrow, 180 * turn / _TURNS, size)
          for wide in _WIDTHS for narrow in _WIDTHS if narrow <= wide and 4 * wide < size
          for turn in range(_TURNS if narrow < wide else 1)),
        *(blur.disk(radius, size) for radius in range(1, size // 2)),
        *(_fitted(blur.motion(length, 180 * turn / _TURNS), size)
          for length in _LENGTHS if length < size for turn in range(_TURNS)),
        *(shake(size, seed) for seed in range(shaken)),
    ]  # fmt: skip
    return CovariantPrior(to_image(torch.stack(made)[:, None].float()))


def shake(size: int, seed: int) -> Tensor:
    """Makes the path of a shaking hand: a smooth random walk, (size, size), with sum 1 and a centred mass."""
    steps = Streams([seed]).like(torch.empty(1, 2, 64, dtype=torch.float64))[0]
    path = steps.cumsum(1).cumsum(1)
    path = path - path.mean(1, keepdim=True)
    # As far from the middle as there is room, at most; how far, by chance.
    reach = 0.2 + 0.75 * (seed * 0.6180339887 % 1)
    path = path / path.abs().max() * reach * (size // 2)
    kernel = torch.zeros(size, size, dtype=torch.float64)
    fine = F.interpolate(path[None], 2048, mode="linear", align_corners=True)[0] + size // 2
    kernel.index_put_(tuple(fine.round().long().clamp(0, size - 1)), torch.ones(2048, dtype=torch.float64), True)
    kernel = F.avg_pool2d(kernel[None, None], 3, 1, 1)[0, 0]
    return kernel / kernel.sum()


def to_image(kernels: Tensor) -> Tensor:
    """Converts kernels to images in [-1, 1], (..., h, w): their largest number is 1, and 0 is -1."""
    return 2 * kernels / kernels.amax((-2, -1), keepdim=True) - 1


def to_kernel(image: Tensor) -> Tensor:
    """Converts images in [-1, 1] to kernels with sum 1, (..., h, w); values below -1 become 0."""
    positive = (image + 1).clamp_min(0)
    return positive / positive.sum((-2, -1), keepdim=True).clamp_min(torch.finfo(image.dtype).tiny)


def _fitted(kernel: Tensor, size: int) -> Tensor:
    """Puts a kernel of odd sides on a canvas of another size, in the middle."""
    over = (size - len(kernel)) // 2
    return F.pad(kernel, (over, size - len(kernel) - over, over, size - len(kernel) - over))
