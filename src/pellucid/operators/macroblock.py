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
        groups: sizes of the groups of numbers, in order, that share no column of u with others.
        folded: makes the matrix that is decomposed, (numbers, D).
    """

    there: Tensor
    pixels: int
    known: Tensor
    left: Tensor
    steps: Tensor
    groups: tuple[int, ...]
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
            products = _products(self, weight, by.dtype, by.device)
            return _each(by, products)
        left, right = _factors(self, by.dtype, by.device)
        return by @ left / (self.known.square() + weight).to(by) @ right


@lru_cache(maxsize=16)
def _factors(part: Part, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factors of the inverse of A A^T over the steps, between which are the inverses of its eigenvalues."""
    return part.left.to(device, dtype), (part.left.T / part.steps).to(device, dtype)


@lru_cache(maxsize=16)
def _products(part: Part, weight: float, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Product of a part's factors for each group of numbers, outside of which it is 0.

    Files of one camera or program have the tables, and so the weights, in common.
    """
    left, right = _factors(part, dtype, device)
    rows = (left / (part.known.square() + weight).to(left) @ right).split(part.groups)
    return [own.split(part.groups, 1)[number].contiguous() for number, own in enumerate(rows)]


def _each(by: Tensor, products: list[Tensor]) -> Tensor:
    """Multiplies the columns of each group, in order, by its matrix."""
    if len(products) == 1:
        return by @ products[0]
    parts = zip(by.split([len(own) for own in products], 1), products, strict=True)
    return torch.cat([own @ product for own, product in parts], 1)


@lru_cache(maxsize=2)
def _matrix(tables: Tables, shrunk: tuple[int, int], channels: int) -> Tensor:
    """Transform of a macroblock, (C * 8r * 8c, numbers): brightness block by block, then the colours."""
    colours = mixing(len(tables), channels).split(1)
    bright, *others = (matrix.T for matrix in divided(tables, shrunk, torch.float64, torch.device("cpu")))
    matrices = [_of_macroblock(bright, shrunk), *others]
    every = torch.cat([torch.kron(colour, matrix) for colour, matrix in zip(colours, matrices, strict=True)])
    return every.T.contiguous()


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
    """As `transforms`, in steps, and transposed."""
    matrices = transforms(len(tables), shrunk, torch.float64, torch.device("cpu"))
    each = zip(matrices, torch.tensor(tables, dtype=torch.float64), strict=True)
    return [(matrix / steps[:, None]).T.to(device, dtype) for matrix, steps in each]


@lru_cache(maxsize=16)
def transforms(components: int, shrunk: tuple[int, int], dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Cosine transforms before the steps: of a block of brightness, (64, 64), and of each colour, (64, 8r * 8c)."""
    block, colour = torch.kron(cosines(), cosines()), torch.kron(_averaged(shrunk[0]), _averaged(shrunk[1]))
    return [127.5 * matrix.to(device, dtype) for matrix in (block, *[colour] * (components - 1))]


def _of_macroblock(block: Tensor, shrunk: tuple[int, int]) -> Tensor:
    """Transform of a macroblock's brightness, block by block, from that of one block, (64 r * c, 8r * 8c)."""
    tall, wide = shrunk
    whole = block.new_zeros(tall, wide, 64, tall, 8, wide, 8)
    for row in range(tall):
        for column in range(wide):
            whole[row, column, :, row, :, column] = block.view(64, 8, 8)
    return whole.flatten(3).flatten(0, 2)


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
        return _folded(tables, shrunk, channels, rows, columns)

    matrix, steps = folded(), _steps(tables, shrunk)
    groups: tuple[int, ...] = (len(matrix),)
    if apart:
        # The numbers of a component depend on the changes of its own plane alone.
        own = zip(plane_changes().T, matrix.split([len(some) for some in steps]), strict=True)
        planes = [torch.einsum("ncp,c->np", one.unflatten(1, (channels, -1)), plane) for plane, one in own]
        blocks = [one for plane in planes for one in _unconnected(plane)]
        parts, groups = [_left(one) for one in blocks], tuple(len(one) for one in blocks)
        known, left = torch.cat([s for s, _ in parts]), torch.block_diag(*(u for _, u in parts))
    else:
        known, left = _left(matrix)
    return Part(there, len(places), known, left, torch.cat(steps), groups, folded)


@lru_cache(maxsize=4)
def _folded(tables: Tables, shrunk: tuple[int, int], channels: int, rows: Span, columns: Span) -> Tensor:
    """Transform of a block with these rows and columns, of the pixels that are there; a picture needs it twice."""
    there, places = _places(shrunk, channels, rows, columns).unique(return_inverse=True)
    matrix = _matrix(tables, shrunk, channels)
    # Sums of whole rows take half of the time of sums within them.
    return matrix.new_zeros(len(there), matrix.shape[1]).index_add_(0, places, matrix).T.contiguous()


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
