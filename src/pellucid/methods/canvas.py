"""A whole image out of a generator's, which have one size: overlapping patches, or a single image resized."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..priors.tiled import spans


class Canvas:
    """Places of a generator's images in the whole one; `overlap` None for a single one, resized."""

    def __init__(self, shape: tuple[int, ...], size: tuple[int, int], overlap: int | None) -> None:
        self._height, self._width = shape[-2:]
        self._size = size
        self._resized = overlap is None
        # An image smaller than the generator's is a corner of it.
        rows, columns = (
            spans(max(side, own), own, min(overlap or 0, own // 2)) for side, own in zip(shape[-2:], size, strict=True)
        )
        self._places = [(row, column) for row in rows for column in columns]
        self._whole = (max(self._height, size[0]), max(self._width, size[1]))

    def __len__(self) -> int:
        """Number of the generator's images that make up the whole."""
        return 1 if self._resized else len(self._places)

    def blend(self, patches: Tensor, channels: int) -> Tensor:
        """The whole image, (1, channels, H, W), of the generator's, (len(self), C, h, w)."""
        if self._resized:
            return coloured(_resize(patches, (self._height, self._width)), channels)
        whole = patches.new_zeros(1, patches.shape[1], *self._whole)
        for patch, (row, column) in zip(patches, self._places, strict=True):
            weight = row.weight.to(patch)[:, None] * column.weight.to(patch)
            whole[0, :, row.pixels, column.pixels] += patch * weight
        return coloured(whole[..., : self._height, : self._width], channels)

    def paste(self, patch: Tensor, place: int, channels: int) -> Tensor:
        """The whole image with one of the generator's, (1, C, h, w), in its place and grey around it."""
        if self._resized:
            return self.blend(patch, channels)
        row, column = self._places[place]
        whole = patch.new_zeros(1, patch.shape[1], *self._whole)
        whole[..., row.pixels, column.pixels] = patch
        return coloured(whole[..., : self._height, : self._width], channels)

    def cut(self, whole: Tensor, place: int | None = None) -> Tensor:
        """Cuts from an image, (1, C, H, W), the places of the generator's, (len(self), C, h, w), or one of them."""
        if self._resized:
            return _resize(whole, self._size)
        height, width = self._height - 1, self._width - 1
        # Beyond the border of a small image its last pixels are repeated.
        return torch.cat(
            [
                whole[..., _indices(row.pixels, height), :][..., _indices(column.pixels, width)]
                for row, column in (self._places if place is None else self._places[place : place + 1])
            ]
        )

    def fitted(self, measured: Tensor) -> Tensor:
        """A measurement, (1, C, H', W'), at the whole image's size."""
        size = (self._height, self._width)
        return measured if tuple(measured.shape[-2:]) == size else F.interpolate(measured, size, mode="bilinear")


def _indices(pixels: slice, last: int) -> Tensor:
    return torch.arange(pixels.start, pixels.stop).clamp(max=last)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def coloured(x: Tensor, channels: int) -> Tensor:
    """Images with as many channels as the problem's: grey ones are the mean of colours, or all colours alike."""
    if x.shape[1] == channels:
        return x
    if channels == 1:
        return x.mean(1, keepdim=True)
    if x.shape[1] == 1:
        return x.expand(-1, channels, -1, -1)
    raise UsageError(f"DGP: the generator makes images of {x.shape[1]} channels, the problem's have {channels}")
