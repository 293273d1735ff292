"""JPEG compression as an operator, without the rounding to 8 bits of a file."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PellucidError, UsageError
from ..images import JpegCoding, Picture, turns
from .operator import Operator

# ITU-T T.81, tables K.1 and K.2.
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
_SHRUNK = {"4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1)}
# JFIF 1.02: RGB to Y, Cb, Cr.
COLOURS = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)

LUMA = COLOURS[0]
"""Weights of red, green and blue in brightness (Rec. 601)."""


class Jpeg(Operator):
    """Compresses images as JPEG, (B, 1 or 3, H, W) -> the same. Not linear, but idempotent.

    Colours are averaged over 2 x 2 pixels (4:2:0) and repeated; incomplete blocks at the border repeat the edge. Only
    the coefficients are rounded.

    Args:
        quality: 1 to 100, scaling the standard's tables as libjpeg does.
        subsampling: of the colours, "4:2:0", "4:2:2" or "4:4:4".

    Raises:
        UsageError: quality or subsampling is out of range.

    Example:
        >>> operators.Jpeg(quality=30).A(torch.zeros(1, 3, 16, 16)).shape
        torch.Size([1, 3, 16, 16])
    """

    linear = False

    def __init__(self, quality: int, subsampling: str = "4:2:0") -> None:
        if not 1 <= quality <= 100:
            raise UsageError(f"JPEG quality goes from 1 to 100, not {quality}")
        if subsampling not in _SHRUNK:
            raise UsageError(f"JPEG's subsampling is one of {', '.join(_SHRUNK)} here, not {subsampling!r}")
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        tables = (
            torch.tensor(table).mul(scale).add(50).div(100, rounding_mode="floor").clamp(1, 255)
            for table in (_LUMINANCE, _CHROMINANCE)
        )
        brightness, colours = (tuple(table.flatten().tolist()) for table in tables)
        self.coding = JpegCoding((brightness, colours, colours), _SHRUNK[subsampling])

    @classmethod
    def of(cls, picture: Picture) -> Jpeg:
        """Makes the operator of a picture's file, with its tables.

        Raises:
            PellucidError: the file was no JPEG.
        """
        if picture.jpeg is None:
            raise PellucidError(
                "is no JPEG file, so how it was compressed is unknown: use a blind method, or Jpeg(quality) in Python"
            )
        return cls.coded(picture.jpeg)

    @classmethod
    def coded(cls, coding: JpegCoding) -> Jpeg:
        """Makes the operator with given tables."""
        operator = cls(50)
        operator.coding = coding
        return operator

    def linear_of(self, y: Tensor) -> tuple[Operator, Tensor]:
        """Linear part for methods that need one, and its measurement for decoded pictures y."""
        from .quantised import Quantised

        operator = Quantised(self.coding, tuple(y.shape[1:]))
        return operator, operator.coefficients(y)

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`; compresses and decompresses."""
        if x.shape[1] not in (1, 3):
            raise UsageError(f"JPEG takes grey or RGB images, not {x.shape[1]} channels")
        orientation = self.coding.orientation
        return torch.stack([upright(self._one(stored(image, orientation)), orientation) for image in x])

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """Always rejected, since the operator is not linear."""
        raise UsageError("Jpeg is not linear: it has no adjoint")

    def pinv(self, y: Tensor) -> Tensor:
        """The measurement itself, which is already an image."""
        return y

    def _one(self, image: Tensor) -> Tensor:
        """Compresses one image, (C, H, W)."""
        # The standard counts from -128, where black is -1 here and white 127 is 1.
        planes = image * 127.5 - 0.5
        if len(image) == 1:
            decoded = self._plane(planes, 0)
        else:
            matrix = torch.tensor(COLOURS, dtype=torch.float64)
            own = torch.tensordot(matrix.to(image), planes, 1).split(1)
            # A grey file's picture as three equal channels has no colours to lose.
            coded = len(self.coding.tables)
            decoded = torch.cat([self._plane(plane, i) if i < coded else plane for i, plane in enumerate(own)])
            decoded = torch.tensordot(torch.linalg.inv(matrix).to(image), decoded, 1)
        return (decoded + 0.5) / 127.5

    def _plane(self, planes: Tensor, table: int) -> Tensor:
        """Compresses one component, (1, H, W)."""
        height, width = planes.shape[-2:]
        steps = torch.tensor(self.coding.tables[table]).view(8, 8)
        rows, columns = (1, 1) if table == 0 else self.coding.shrunk
        shrunk = F.avg_pool2d(_extended(planes, rows, columns), (rows, columns))
        coded = _quantised(shrunk, steps)[..., : shrunk.shape[-2], : shrunk.shape[-1]]
        return coded.repeat_interleave(rows, -2).repeat_interleave(columns, -1)[..., :height, :width]


def stored(image: Tensor, orientation: int) -> Tensor:
    """Converts a picture to the orientation of its file: the inverse of `upright`."""
    swapped, rows, columns = turns(orientation)
    # Nothing to turn is a copy, too, if it is asked for.
    image = image.flip([-2] * rows + [-1] * columns) if rows or columns else image
    return image.transpose(-2, -1) if swapped else image


def upright(image: Tensor, orientation: int) -> Tensor:
    """Applies the EXIF orientation to a stored picture, (C, H, W)."""
    swapped, rows, columns = turns(orientation)
    image = image.transpose(-2, -1) if swapped else image
    return image.flip([-2] * rows + [-1] * columns) if rows or columns else image


def _quantised(planes: Tensor, table: Tensor) -> Tensor:
    """Rounds the 8 x 8 cosine coefficients of planes (C, H, W) to multiples of the table; extended to whole blocks."""
    table, matrix = table.to(planes), cosines().to(planes)
    padded = _extended(planes, 8, 8)
    blocks = padded.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
    coefficients = matrix @ blocks @ matrix.T
    rounded = (coefficients / table).round() * table
    decoded: Tensor = matrix.T @ rounded @ matrix
    return decoded.transpose(-3, -2).reshape(padded.shape)


def _extended(planes: Tensor, rows: int, columns: int) -> Tensor:
    """Repeats the last row and column until the sides divide by `rows` and `columns`."""
    height, width = planes.shape[-2:]
    return F.pad(planes[None], (0, -width % columns, 0, -height % rows), mode="replicate")[0]


def cosines() -> Tensor:
    """Orthonormal cosine transform of eight numbers (T.81, A.3.3), (8, 8)."""
    position = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos(math.pi / 8 * (position + 0.5) * position[:, None]) / 2
    matrix[0] /= math.sqrt(2)
    return matrix
