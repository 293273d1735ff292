"""The autoencoder of latent diffusion: images to latents and back, in tiles above a size limit.

Its networks normalise over their whole input, so tiles differ slightly from the whole image. They overlap and are
blended like the prior's tiles (`tiled.spans`), without visible edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .prior import round_up
from .tiled import Span, spans

OVERLAP = 128
"""Least overlap of neighbouring tiles in pixels; a quarter of a smaller tile."""


class Autoencoder:
    r"""A variational autoencoder as two deterministic maps, in the latents of a diffusion model.

    .. math:: z = (\mu(y) - shift) \cdot scaling, \qquad y = D(z / scaling + shift)

    Images of a batch go through it one by one, so that each result is independent of the batch.

    Args:
        network: an `AutoencoderKL` of diffusers, or an object with its `encode` and `decode`.
        factor: pixels for each latent, in either direction.
        channels: of the images.
        latent_channels: of the latents.
        scaling: factor of the latents that makes their variance about 1.
        shift: offset that is subtracted before the scaling.
    """

    def __init__(
        self,
        network: Any,
        factor: int,
        *,
        channels: int = 3,
        latent_channels: int = 4,
        scaling: float = 1.0,
        shift: float = 0.0,
    ) -> None:
        self.network = network
        self.factor = factor
        self.channels, self.latent_channels = channels, latent_channels
        self.scaling, self.shift = scaling, shift

    def encode(self, image: Tensor, tile: int) -> Tensor:
        """Encodes images to the mean of their latents.

        Args:
            image: (B, C, H, W) in [-1, 1]; H and W divide by `factor`.
            tile: side in pixels above which an image is cut.

        Returns:
            (B, c, H / factor, W / factor).
        """
        side, overlap = self._tile(tile)
        height, width = (size // self.factor for size in image.shape[-2:])
        target = image.new_zeros(len(image), self.latent_channels, height, width)
        rows, columns = (spans(size, side, overlap) for size in (height, width))
        return self._blend(self._encode, image, target, rows, columns, self.factor, 1)

    def decode(self, z: Tensor, tile: int) -> Tensor:
        """Decodes latents to images, differentiable; a tile's activations are computed again for a gradient.

        Args:
            z: (B, c, h, w).
            tile: side in pixels above which an image is cut.

        Returns:
            (B, C, h factor, w factor) in [-1, 1] units, not clamped.
        """
        side, overlap = self._tile(tile)
        height, width = (size * self.factor for size in z.shape[-2:])
        target = z.new_zeros(len(z), self.channels, height, width)
        rows, columns = (
            spans(size, side * self.factor, overlap * self.factor, self.factor) for size in (height, width)
        )
        return self._blend(self._decode, z, target, rows, columns, 1, self.factor)

    def _tile(self, tile: int) -> tuple[int, int]:
        """Side and overlap of a tile, in latents."""
        side = round_up(tile, self.factor) // self.factor
        return side, min(OVERLAP // self.factor, side // 4)

    def _encode(self, image: Tensor) -> Tensor:
        mean: Tensor = self.network.encode(image).latent_dist.mode()
        return (mean - self.shift) * self.scaling

    def _decode(self, z: Tensor) -> Tensor:
        image: Tensor = self.network.decode(z / self.scaling + self.shift, return_dict=False)[0]
        return image

    def _blend(
        self,
        network: Callable[[Tensor], Tensor],
        source: Tensor,
        target: Tensor,
        rows: list[Span],
        columns: list[Span],
        enlarge: int,
        reduce: int,
    ) -> Tensor:
        """Fills `target` from `source`, whose places are those of `target` times `enlarge` over `reduce`."""

        def place(span: Span) -> slice:
            return slice(span.pixels.start * enlarge // reduce, span.pixels.stop * enlarge // reduce)

        alone = len(rows) == len(columns) == 1
        parts = []
        for image in source:
            blended = target[:1].clone()
            for row in rows:
                for column in columns:
                    crop = image[None, :, place(row), place(column)]
                    made = self._kept(network, crop)
                    weight = row.weight.to(made)[:, None] * column.weight.to(made)
                    if alone:
                        blended = made
                    else:
                        blended[..., row.pixels, column.pixels] += made * weight
            parts.append(blended)
        return torch.cat(parts)

    def _kept(self, network: Callable[[Tensor], Tensor], crop: Tensor) -> Tensor:
        if torch.is_grad_enabled() and crop.requires_grad:
            kept: Tensor = checkpoint(network, crop, use_reentrant=False)
            return kept
        return network(crop)
