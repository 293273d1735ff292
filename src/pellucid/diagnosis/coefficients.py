"""The blocks of a decoded JPEG: their cosine coefficients, whether they are clipped, and the standard tables."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import JpegCoding
from ..operators import Jpeg
from ..operators.jpeg import COLOURS, cosines, stored

LEAST = 24
"""Fewest pixels of a side in which a compression is looked for."""

ENOUGH, _MOST = 4, 2048
"""Blocks without clipped pixels that are enough to leave out the others; most blocks that count."""
_CLIPPED = 0.999


def plane_of(y: Tensor, component: int, coding: JpegCoding) -> Tensor:
    """One component of one picture as in the file, (H, W), relative to 128."""
    image = stored(y[0].float(), coding.orientation) * 127.5 - 0.5
    if len(image) == 1:
        return image[0]
    plane: Tensor = torch.tensordot(torch.tensor(COLOURS[component]), image, 1)
    return plane


def cosines_of(plane: Tensor, offset: tuple[int, int], step: int = 1) -> Tensor:
    """Cosine coefficients of every `step`-th of the whole blocks, (N, 64)."""
    return _cut(plane, offset, 8, step) @ _transform()


@lru_cache(maxsize=1)
def _transform() -> Tensor:
    """The two-dimensional cosine transform as one matrix to multiply flat blocks by, (64, 64)."""
    matrix = cosines()
    return torch.kron(matrix, matrix).T.float().contiguous()


def _cut(plane: Tensor, offset: tuple[int, int], side: int, step: int = 1) -> Tensor:
    """Every `step`-th of the whole blocks of a plane, (N, side * side)."""
    plane = plane[offset[0] :, offset[1] :]
    height, width = (size // side * side for size in plane.shape)
    blocks = plane[:height, :width].unflatten(-1, (-1, side)).unflatten(0, (-1, side)).transpose(1, 2)
    if step > 1:
        places = np.arange(0, blocks.shape[0] * blocks.shape[1], step)
        # NumPy gathers in half of the time.
        blocks = torch.from_numpy(blocks.numpy()[places // blocks.shape[1], places % blocks.shape[1]])[None]
    cut: Tensor = blocks.flatten(0, 1).flatten(1)
    return cut


def clear_blocks(y: Tensor, coding: JpegCoding) -> Tensor:
    """Marks the blocks of a component, reduced as the coding says, that have no clipped pixel, (N,)."""
    clipped = (stored(y[0], coding.orientation).abs().amax(0) > _CLIPPED).float()
    rows, columns = (at % by for at, by in zip(coding.offset, coding.shrunk, strict=True))
    clipped = clipped[rows:, columns:]
    reduced = clipped if coding.shrunk == (1, 1) else F.max_pool2d(clipped[None, None], coding.shrunk)[0, 0]
    return _cut(reduced, first_reduced(coding), 8).sum(1) == 0


def clear_share(y: Tensor, coding: JpegCoding) -> float:
    """Share of blocks without clipped pixels in one picture, (1, C, H, W) in [-1, 1]; 1 without blocks."""
    clear = clear_blocks(y, replace(coding, shrunk=(1, 1)))
    return clear.float().mean().item() if len(clear) else 1.0


def first_reduced(coding: JpegCoding) -> tuple[int, int]:
    """First pixel of the blocks of the reduced colours."""
    (row, column), (tall, wide) = coding.offset, coding.shrunk
    return row // tall, column // wide


def some(coefficients: Tensor, clear: Tensor) -> Tensor:
    """Selects at most so many (N, 64) coefficients, preferably of blocks without clipped pixels."""
    if clear.sum() >= ENOUGH:
        coefficients = coefficients[clear]
    return coefficients[:: -(-len(coefficients) // _MOST) or 1]


def quality(coding: JpegCoding) -> int:
    """Quality, 1 to 100, of the standard table of brightness nearest to a coding's."""
    distance = (standard_tables(0).log() - torch.tensor(coding.tables[0]).float().log()).abs().sum(1)
    return int(distance.argmin()) + 1


@lru_cache(maxsize=2)
def standard_tables(component: int) -> Tensor:
    """Standard tables at all qualities, (100, 64)."""
    return torch.tensor([Jpeg(number).coding.tables[component] for number in range(1, 101)]).float()
