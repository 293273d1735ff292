"""Kernels of blurs, and of what resembles a blur, by family and size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from ..operators.blur import disk, gaussian, motion

_ACROSS = 0.35
"""Standard deviation of a streak across its direction, in pixels."""

Family = Literal["none", "gaussian", "disk", "motion", "streak", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Shape:
    """A blur's kernel as numbers.

    Attributes:
        family: "none", "gaussian", "disk" (a lens out of focus), "motion" (straight). No blurs but much alike are
            "streak", a texture such as the grain of wood, and "bilinear" and "bicubic", enlargements.
        size: standard deviation, radius, length in pixels, or factor of an enlargement.
        degrees: direction of a motion or of streaks, anticlockwise from right, [0, 180).
    """

    family: Family
    size: float = 0.0
    degrees: float = 0.0

    @property
    def spread(self) -> float:
        """Standard deviation in pixels, for a motion along its direction."""
        return self.size / {"disk": 2.0, "motion": math.sqrt(12)}.get(self.family, 1.0)

    def kernel(self) -> Tensor:
        """The kernel, (h, w), odd sides, its sum 1."""
        if self.family == "gaussian":
            return gaussian(self.size)
        if self.family == "disk":
            return disk(self.size, 2 * math.ceil(self.size + 0.5) + 1)
        if self.family == "streak":
            return streak(self.size, self.degrees)
        if self.family == "bilinear" or self.family == "bicubic":
            return interpolation(self.family, self.size)
        return motion(self.size, self.degrees) if self.family == "motion" else torch.ones(1, 1, dtype=torch.float64)


NONE = Shape("none")


def sizes_between(first: float, last: float, number: int) -> list[float]:
    """Sizes from the first to the last, whose logarithms are equally spaced."""
    levels: list[float] = torch.linspace(math.log(first), math.log(last), number, dtype=torch.float64).exp().tolist()
    return levels


@lru_cache(maxsize=1)
def grid() -> tuple[Shape, ...]:
    """Kernels of the first search, "none" first."""
    return (
        NONE,
        *(Shape("gaussian", size) for size in sizes_between(0.5, 5, 18)),
        *(Shape("disk", size) for size in sizes_between(0.9, 9, 22)),
        *(Shape("motion", size, 15.0 * turn) for size in sizes_between(2.5, 24, 14) for turn in range(12)),
    )


def around(shape: Shape) -> tuple[Shape, ...]:
    """Finer steps around a kernel of the grid."""
    if shape.family == "motion":
        sizes = sizes_between(shape.size * 0.88, shape.size * 1.14, 5)
        turns = (-9, -4.5, 0, 4.5, 9)
        return tuple(Shape("motion", size, (shape.degrees + turn) % 180) for size in sizes for turn in turns)
    return tuple(Shape(shape.family, size) for size in sizes_between(shape.size * 0.88, shape.size * 1.14, 9))


def interpolation(family: Literal["bilinear", "bicubic"], factor: float) -> Tensor:
    """Kernel that enlarges: its spectrum is that of an enlarged picture, but for its images, (n, n).

    Args:
        family: the filter.
        factor: of both sides.
    """
    reach = math.ceil((1 if family == "bilinear" else 2) * factor)
    at = torch.arange(-reach, reach + 1, dtype=torch.float64).abs() / factor
    if family == "bilinear":
        row = (1 - at).clamp_min(0)
    else:
        outside = torch.where(at < 2, ((2.5 - at / 2) * at - 4) * at + 2, 0)
        row = torch.where(at < 1, (1.5 * at - 2.5) * at.square() + 1, outside)
    return row[:, None] * row / row.sum() ** 2


def streak(spread: float, degrees: float) -> Tensor:
    """Kernel that smooths along a direction without zeros, as the grain of wood looks, (h, w).

    Args:
        spread: standard deviation in pixels.
        degrees: direction, anticlockwise from right.
    """
    reach = max(1, math.ceil(3.5 * spread))
    at = torch.arange(-reach, reach + 1, dtype=torch.float64)
    down, right = at[:, None], at[None]
    turn = math.radians(degrees)
    along, beside = right * math.cos(turn) - down * math.sin(turn), right * math.sin(turn) + down * math.cos(turn)
    kernel = (-(along / spread).square() / 2 - (beside / _ACROSS).square() / 2).exp()
    return kernel / kernel.sum()
