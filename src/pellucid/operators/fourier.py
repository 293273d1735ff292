r"""A part of an image's Fourier coefficients, as in magnetic resonance imaging.

In a real image the coefficients at k and -k are conjugate, so a mask measures their information twice, once or not at
all. With the orthonormal transform F, A^T A = Re F^H m F is a convolution whose transfer function
(m(k) + m(-k)) / 2 is symmetric: the Hartley transform diagonalises it, and its square root is the singular value.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from .blur import hartley
from .operator import Operator, Shape, Svd


class Fourier(Operator):
    """Keeps the Fourier coefficients of a mask, (B, C, H, W) -> (B, 2 C, H, W), and sets the rest to 0.

    Channel c's real parts are channel c of the measurement and its imaginary parts channel C + c; `complex` and `real`
    convert between both forms. The transform is orthonormal, so each part has noise of level sigma_y.

    Args:
        known: 1 or True for measured coefficients, (H, W), with frequency 0 first, as in `torch.fft.fft2`.

    Raises:
        UsageError: the mask has another number of axes, or values other than 0 and 1.

    Example:
        >>> operators.Fourier.lines(32, 32).A(torch.ones(1, 1, 32, 32)).shape
        torch.Size([1, 2, 32, 32])
    """

    keeps_grey = False

    def __init__(self, known: Tensor) -> None:
        if known.ndim != 2 or (known.dtype != torch.bool and not ((known == 0) | (known == 1)).all()):
            raise UsageError(f"a mask of frequencies is (H, W) of 0 and 1, not {tuple(known.shape)}")
        self.known = known.to(torch.float64)
        turned = self.known.flip(0, 1).roll((1, 1), (0, 1))
        self._s = ((self.known + turned) / 2).sqrt()[None, None]

    @classmethod
    def lines(cls, height: int, width: int, share: float = 0.25, centre: float = 0.08, seed: int = 0) -> Fourier:
        """Selects random whole columns, including those of the lowest frequencies, as in fast imaging.

        Args:
            height: of the image.
            width: of the image.
            share: share of measured columns, rounded to whole ones.
            centre: share of columns around frequency 0 that are always measured, rounded likewise.
            seed: seed of the selection.
        """
        if not 0 <= centre <= share <= 1:
            raise UsageError(f"shares of lines are 0 <= centre <= share <= 1, not {centre} and {share}")
        distance = (torch.fft.fftfreq(width) * width).abs()
        chance = torch.rand(width, generator=torch.Generator().manual_seed(seed))
        order = torch.where(distance.argsort(stable=True).argsort() < round(centre * width), -1.0, chance).argsort()
        known = torch.zeros(height, width)
        known[:, order[: round(share * width)]] = 1
        return cls(known)

    @staticmethod
    def real(y: Tensor) -> Tensor:
        """Converts complex measurements (B, C, H, W) to real ones (B, 2 C, H, W)."""
        return torch.cat([y.real, y.imag], 1)

    @staticmethod
    def complex(y: Tensor) -> Tensor:
        """Converts real measurements (B, 2 C, H, W) to complex ones (B, C, H, W)."""
        return torch.complex(*y.chunk(2, 1))

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))
        return self.real(torch.fft.fft2(x, norm="ortho") * self.known.to(x))

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(self.image_shape(tuple(y.shape)))
        x: Tensor = torch.fft.ifft2(self.complex(y) * self.known.to(y), norm="ortho").real
        return x

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        if measured[1] % 2:
            raise UsageError(f"a measurement of frequencies has two channels for each of the image, not {measured[1]}")
        return (measured[0], measured[1] // 2, *measured[2:])

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`."""
        self._check(shape)
        inverted = torch.where(self._s > 0, 1 / self._s.clamp_min(0.5), 0)
        return Svd(
            self._s,
            hartley,
            hartley,
            lambda z: self.A(hartley(inverted.to(z) * z)),
            lambda y: inverted.to(y) * hartley(self.At(y)),
        )

    def _check(self, shape: Shape) -> None:
        if tuple(shape[2:]) != tuple(self.known.shape):
            raise UsageError(f"a mask of {tuple(self.known.shape)} frequencies does not fit images of {shape[2:]}")
