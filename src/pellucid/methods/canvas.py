"""A whole image from a generator's images of fixed size: overlapping patches, or a single resized image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..priors.tiled import spans


class Canvas:
    """Places of a generator's images in the whole one; `overlap` is None for a single resized image."""

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
        """Number of generator images in the whole."""
        return 1 if self._resized else len(self._places)

    def blend(self, patches: Tensor, channels: int) -> Tensor:
        """Blends the generator's images, (len(self), C, h, w), to the whole, (1, channels, H, W)."""
        if self._resized:
            return coloured(_resize(patches, (self._height, self._width)), channels)
        whole = patches.new_zeros(1, patches.shape[1], *self._whole)
        for patch, (row, column) in zip(patches, self._places, strict=True):
            weight = row.weight.to(patch)[:, None] * column.weight.to(patch)
            whole[0, :, row.pixels, column.pixels] += patch * weight
        return coloured(whole[..., : self._height, : self._width], channels)

    def paste(self, patch: Tensor, place: int, channels: int) -> Tensor:
        """Puts one generator image, (1, C, h, w), in its place, with grey around it."""
        if self._resized:
            return self.blend(patch, channels)
        row, column = self._places[place]
        whole = patch.new_zeros(1, patch.shape[1], *self._whole)
        whole[..., row.pixels, column.pixels] = patch
        return coloured(whole[..., : self._height, : self._width], channels)

    def cut(self, whole: Tensor, place: int | None = None) -> Tensor:
        """Cuts the places of the generator's images from an image, (1, C, H, W): all, (len(self), C, h, w), or one."""
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
        """Resizes a measurement, (1, C, H', W'), to the size of the whole image."""
        size = (self._height, self._width)
        return measured if tuple(measured.shape[-2:]) == size else F.interpolate(measured, size, mode="bilinear")


def _indices(pixels: slice, last: int) -> Tensor:
    return torch.arange(pixels.start, pixels.stop).clamp(max=last)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def coloured(x: Tensor, channels: int) -> Tensor:
    """Converts images to the problem's channels: grey by the mean of colours, colours by repeating grey."""
    if x.shape[1] == channels:
        return x
    if channels == 1:
        return x.mean(1, keepdim=True)
    if x.shape[1] == 1:
        return x.expand(-1, channels, -1, -1)
    raise UsageError(f"DGP: the generator makes images of {x.shape[1]} channels, the problem's have {channels}")
