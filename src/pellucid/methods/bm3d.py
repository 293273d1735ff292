r"""BM3D: collaborative filtering of similar patches; the classic reference for denoisers.

Blocks like each reference block are stacked into a group, whose 3-D transform a Wiener filter shrinks where the noise
outweighs the signal,

.. math:: \hat{Y} = T^{-1}\left(\frac{|T \hat{X}|^2}{|T \hat{X}|^2 + \sigma^2}\; T Y\right),

with X estimated by a first pass of hard thresholds; overlapping blocks are averaged by weight.

The algorithm is in the package `bm3d` by its inventors, whose licence allows **non-commercial use only**. It is not
part of pellucid and is imported with the first image.

References:
    Dabov et al., "Image Denoising by Sparse 3-D Transform-Domain Collaborative Filtering", IEEE TIP 16(8), 2007, eq. 9.
    Mäkinen et al., "Collaborative Filtering of Correlated Noise", IEEE TIP 29, 2020: the package.
        https://pypi.org/project/bm3d/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..diagnosis.estimate import noise_level
from ..errors import PellucidError, UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem, to_model, to_zero_one
from ..operators import Denoise
from ..priors.prior import Prior, reflection
from .method import PAPERS, Method, State

_SMALLEST = 16
"""Smallest side with room for similar blocks."""


@dataclass(frozen=True)
class BM3D(Method):
    """Removes white noise without a prior, by the package `bm3d`, for non-commercial use only (Dabov et al., 2007).

    Costs no evaluation of the prior; deterministic. The noise level is estimated for each image, or given with the
    operator `Denoise`. Colour images are denoised together in an opponent space, others channel by channel.
    """

    presets = PAPERS

    takes_operator: ClassVar[bool] = True
    needs_prior: ClassVar[bool] = False

    def nfe(self, prior: Prior) -> int:
        """Always 0."""
        return 0

    def prepare(self, device: torch.device) -> None:
        """See `Method`."""
        _package()

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state, whose `curves` has the "noise" of each image, in [0, 1] units.

        Raises:
            PellucidError: the package is not installed, or its result is not finite.
            UsageError: another operator than `Denoise`, or a noise level without it.
        """
        if problem.operator is None and problem.noise is not None:
            raise UsageError("BM3D uses the noise level only with the operator Denoise: give both")
        if problem.operator is not None and not isinstance(problem.operator, Denoise):
            raise UsageError(f"BM3D removes noise alone: it cannot use {type(problem.operator).__name__}")
        package = _package()
        # Noise may reach beyond [0, 1], and must not be cut before it is removed.
        images = to_zero_one(problem.y).split(1)
        levels = [noise_level(image) if problem.noise is None else problem.noise for image in images]
        x = to_model(torch.cat([_denoised(package, *each) for each in zip(images, levels, strict=True)]))
        if not torch.isfinite(x).all():
            raise PellucidError("BM3D: its result is not finite (NaN or infinity)")
        yield State(1, 1, 0.0, x, x, 0, {"noise": tuple(levels)})


def _package() -> ModuleType:
    try:
        import bm3d
    except ImportError:
        raise PellucidError(
            "BM3D needs the package bm3d, for non-commercial use only: pip install 'pellucid[bm3d]'"
        ) from None
    package: ModuleType = bm3d
    return package


def _denoised(package: ModuleType, image: Tensor, level: float) -> Tensor:
    """Denoises one image, (1, C, H, W) in [0, 1] plus noise of that level."""
    if not level:
        return image
    height, width = image.shape[-2:]
    padded = image
    for axis in (-2, -1):
        side = max(image.shape[axis], _SMALLEST)
        padded = padded.index_select(axis, reflection(image.shape[axis], side).to(image.device))
    pixels = padded[0].permute(1, 2, 0).cpu().double().numpy()
    if pixels.shape[2] == 3:
        clean = package.bm3d_rgb(pixels, level)
    else:
        planes = [package.bm3d(np.ascontiguousarray(pixels[..., c]), sigma_psd=level) for c in range(pixels.shape[2])]
        # The package drops or keeps an axis of one channel, by its version.
        clean = np.stack([plane.reshape(pixels.shape[:2]) for plane in planes], 2)
    return torch.from_numpy(np.ascontiguousarray(clean)).permute(2, 0, 1)[None, :, :height, :width].to(image)
