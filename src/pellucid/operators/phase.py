"""Phase retrieval from the magnitudes of the Fourier transform."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .operator import Operator, Shape


class PhaseRetrieval(Operator):
    """Measures the magnitudes of the orthonormal Fourier transform of the zero-padded image. Not linear.

    Args:
        oversampling: size of the padded image over the image's, 1 or more; at 2 the magnitudes nearly always determine
            the image up to a turn by 180 degrees, a shift and its sign. DPS pads 256 to 384, which is 1.5.

    Raises:
        UsageError: oversampling is below 1.

    Example:
        >>> operators.PhaseRetrieval(2).A(torch.ones(1, 1, 8, 8)).shape
        torch.Size([1, 1, 16, 16])
    """

    linear = False

    def __init__(self, oversampling: float = 2.0) -> None:
        if not oversampling >= 1:
            raise UsageError(f"oversampling is 1 or more, not {oversampling}")
        self.oversampling = oversampling

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        f: Tensor = torch.fft.fft2(self.pad(x), norm="ortho")
        return f.abs()

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """Always rejected, since the operator is not linear."""
        raise UsageError("PhaseRetrieval is not linear: it has no adjoint")

    def pinv(self, y: Tensor) -> Tensor:
        """Always rejected, since there is no closed form for the nearest image."""
        raise UsageError("PhaseRetrieval has no pseudo-inverse: its phases are unknown")

    def project(self, x: Tensor, y: Tensor) -> Tensor:
        """Gives an image the measured magnitudes, keeps its phases and crops the padding."""
        return self.crop(self.impose(self.pad(x), y))

    def impose(self, padded: Tensor, y: Tensor) -> Tensor:
        """Gives a padded image the measured magnitudes and keeps its phases, (B, C, padded H, padded W)."""
        # A real image has equal magnitudes at opposite frequencies; where noise made them differ, their mean is best.
        opposite = y.roll((-1, -1), (-2, -1)).flip(-2, -1)
        half = ((y + opposite) / 2)[..., : y.shape[-1] // 2 + 1]
        f = torch.fft.rfft2(padded, norm="ortho")
        # Not abs and polar: these round differently by the place in a batch.
        size = (f.real.square() + f.imag.square()).sqrt()
        f = torch.where(size > 0, f * (half / size), half)
        imposed: Tensor = torch.fft.irfft2(f, s=padded.shape[-2:], norm="ortho")
        return imposed

    def pad(self, x: Tensor) -> Tensor:
        """Pads an image with zeros."""
        top, left = self._margin(x.shape[-2]), self._margin(x.shape[-1])
        return F.pad(x, (left, left, top, top))

    def crop(self, padded: Tensor) -> Tensor:
        """Removes the padding."""
        height, width = (self._unpadded(size) for size in padded.shape[-2:])
        top, left = self._margin(height), self._margin(width)
        return padded[..., top : top + height, left : left + width]

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`.

        Raises:
            UsageError: no image is padded to this size.
        """
        return (*measured[:2], *(self._unpadded(size) for size in measured[2:]))

    def _unpadded(self, padded: int) -> int:
        # Padded sizes grow with the image's, so at most one fits.
        for size in range(1, padded + 1):
            if size + 2 * self._margin(size) == padded:
                return size
        raise UsageError(f"PhaseRetrieval({self.oversampling:g}) has no measurements of size {padded}")

    def _margin(self, size: int) -> int:
        return round((self.oversampling - 1) * size / 2)
