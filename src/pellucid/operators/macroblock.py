"""The transform of a JPEG's macroblock, as a matrix, and its exact decomposition, once for a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from .jpeg import COLOURS, cosines

_RANK = 1e-6
"""Least singular value, relative to the largest: 16-bit steps go down to 1e-5, and rounding of squares up to 1e-7."""

Tables = tuple[tuple[int, ...], ...]
Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Part:
    """Decomposition of a group of blocks, without what is not measured: half of it where colours are reduced.

    Attributes:
        there: places of the D pixels that are in the picture, of those of a macroblock.
        pixels: number of pixels of a macroblock, in all channels.
        known: K singular values above 0.
        left: their columns of u, (numbers, K).
        steps: of the numbers, (numbers,).
        folded: makes the matrix that is decomposed, (numbers, D).
    """

    there: Tensor
    pixels: int
    known: Tensor
    left: Tensor
    steps: Tensor
    folded: Callable[[], Tensor]

    @property
    def s(self) -> Tensor:
        """All singular values, (pixels,), 0 for absent pixels."""
        return self.known.new_zeros(self.pixels).index_copy(0, self.there[: len(self.known)], self.known)

    @cached_property
    def u(self) -> Tensor:
        """Singular vectors of the numbers, (numbers, pixels)."""
        places = self.there[: len(self.known)]
        return self.left.new_zeros(len(self.left), self.pixels).index_copy(1, places, self.left)

    @cached_property
    def v(self) -> Tensor:
        """Singular vectors of the pixels, (pixels, pixels): the measured ones, completed to a basis of those there."""
        known = self.folded().T @ self.left / self.known
        basis: Tensor = torch.linalg.qr(known, mode="complete").Q.clone()
        basis[:, : len(self.known)] = known
        v: Tensor = basis.new_zeros(self.pixels, self.pixels)
        v[self.there[:, None], self.there] = basis
        return v

    def weighed(self, by: Tensor, weight: float) -> Tensor:
        """Maps changes of the numbers, (blocks, numbers), to factors of the rows of `transforms`.

        With A = D P, and the steps 1 / D, the damped pseudo-inverse is P^T D (A A^T + w)^-1: this is all but P^T.

        Args:
            by: the changes.
            weight: the damping w.
        """
        # For a few blocks, to multiply the factors first takes longer than the blocks.
        if len(by) >= len(self.left):
            return by @ _product(self, weight, by.dtype, by.device)
        left, right = _factors(self, by.dtype, by.device)
        return by @ left / (self.known.square() + weight).to(by) @ right


@lru_cache(maxsize=16)
def _factors(part: Part, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factors of the inverse of A A^T over the steps, between which are the inverses of its eigenvalues."""
    return part.left.to(device, dtype), (part.left.T / part.steps).to(device, dtype)


@lru_cache(maxsize=16)
def _product(part: Part, weight: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Product of a part's factors: files of one camera or program have the tables, and so the weights, in common."""
    left, right = _factors(part, dtype, device)
    return left / (part.known.square() + weight).to(left) @ right


def _matrix(tables: Tables, shrunk: tuple[int, int], channels: int) -> Tensor:
    """Transform of a macroblock, (numbers, C * 8r * 8c): brightness block by block, then the colours."""
    colours = mixing(len(tables), channels).split(1)
    matrices = divided(tables, shrunk, torch.float64, torch.device("cpu"))
    return torch.cat([torch.kron(colour, matrix.T) for colour, matrix in zip(colours, matrices, strict=True)])


def mixing(components: int, channels: int) -> Tensor:
    """Planes of the components as sums of channels, (components, C)."""
    if components == 1:
        return torch.full((1, channels), 1 / channels, dtype=torch.float64)
    return torch.tensor(COLOURS, dtype=torch.float64)


def _steps(tables: Tables, shrunk: tuple[int, int]) -> list[Tensor]:
    """Steps of the numbers of each component."""
    brightness, *colours = torch.tensor(tables, dtype=torch.float64)
    return [brightness.repeat(shrunk[0] * shrunk[1]), *colours]


@lru_cache(maxsize=16)
def divided(tables: Tables, shrunk: tuple[int, int], dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Cosine transform of each component's plane in steps, (8r * 8c, its numbers)."""
    matrices = transforms(len(tables), shrunk, torch.float64, torch.device("cpu"))
    each = zip(matrices, _steps(tables, shrunk), strict=True)
    return [(matrix / steps[:, None]).T.to(device, dtype) for matrix, steps in each]


@lru_cache(maxsize=16)
def transforms(components: int, shrunk: tuple[int, int], dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Cosine transform of each component's plane, (its numbers, 8r * 8c), before the steps."""
    tall, wide = shrunk
    blocks = [torch.kron(_picked(tall, row), _picked(wide, column)) for row in range(tall) for column in range(wide)]
    colour = torch.kron(_averaged(tall), _averaged(wide))
    return [127.5 * matrix.to(device, dtype) for matrix in (torch.cat(blocks), *[colour] * (components - 1))]


def _picked(blocks: int, number: int) -> Tensor:
    """Cosine transform of one of several blocks in a row, (8, 8 blocks)."""
    picked = torch.zeros(8, 8 * blocks, dtype=torch.float64)
    picked[:, 8 * number : 8 * number + 8] = cosines()
    return picked


def _averaged(by: int) -> Tensor:
    """Cosine transform of means of so many pixels, (8, 8 by)."""
    return cosines().repeat_interleave(by, 1) / by


@lru_cache(maxsize=1)
def plane_changes() -> Tensor:
    """Changes of RGB, as columns of length 1, that change the brightness or one of the colours alone."""
    columns = torch.linalg.inv(torch.tensor(COLOURS, dtype=torch.float64))
    planes: Tensor = columns / columns.norm(dim=0)
    return planes


@lru_cache(maxsize=48)
def decomposed(tables: Tables, shrunk: tuple[int, int], channels: int, rows: Span, columns: Span, apart: bool) -> Part:
    """Decomposes the matrix of a block with these rows and columns; apart, that of the planes' changes."""
    places = _places(shrunk, channels, rows, columns)
    there = places.unique()

    def folded() -> Tensor:
        matrix = _matrix(tables, shrunk, channels)
        return torch.zeros_like(matrix).index_add_(1, places, matrix)[:, there]

    matrix, steps = folded(), _steps(tables, shrunk)
    if apart:
        # The numbers of a component depend on the changes of its own plane alone.
        own = zip(plane_changes().T, matrix.split([len(some) for some in steps]), strict=True)
        planes = [torch.einsum("ncp,c->np", one.unflatten(1, (channels, -1)), plane) for plane, one in own]
        parts = [_left(one) for plane in planes for one in _unconnected(plane)]
        known, left = torch.cat([s for s, _ in parts]), torch.block_diag(*(u for _, u in parts))
    else:
        known, left = _left(matrix)
    return Part(there, len(places), known, left, torch.cat(steps), folded)


def _places(shrunk: tuple[int, int], channels: int, rows: Span, columns: Span) -> Tensor:
    """For each place of a macroblock, in all channels, that of the pixel whose value it has."""
    sides = (8 * shrunk[0], 8 * shrunk[1])
    at = torch.arange(channels * sides[0] * sides[1]).view(channels, *sides)
    down, along = torch.arange(sides[0]).clamp(rows[0], rows[1] - 1), torch.arange(sides[1])
    return at[:, down][:, :, along.clamp(columns[0], columns[1] - 1)].flatten()


def _unconnected(plane: Tensor) -> list[Tensor]:
    """Rows of a plane's matrix that share no pixel with others: its blocks, unless two of them repeat the same edge."""
    blocks = [block[:, (block != 0).any(0)] for block in plane.split(64)]
    return blocks if sum(block.shape[1] for block in blocks) == plane.shape[1] else [plane]


def _left(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values above 0, (K,), and their columns of u, (rows, K)."""
    # The eigenvectors of the smaller product take a third of the time of a singular value decomposition.
    wide = matrix.shape[0] < matrix.shape[1]
    squares, vectors = torch.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    squares, vectors = squares.flip(0), vectors.flip(1)
    number = int((squares > _RANK**2 * squares[0]).sum())
    s, vectors = squares[:number].sqrt(), vectors[:, :number]
    return s, vectors if wide else matrix @ vectors / s
