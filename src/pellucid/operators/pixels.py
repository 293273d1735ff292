"""Operators on single pixels: all pixels, some of them, only their brightness, another tone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import PellucidError, UsageError
from .operator import Operator, Shape, Svd, same


class Denoise(Operator):
    """The identity A x = x, for damage by noise alone.

    Example:
        >>> x = torch.rand(1, 3, 8, 8)
        >>> torch.equal(operators.Denoise().A(x), x)
        True
    """

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return x

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`."""
        return Svd(torch.ones(1, 1, 1, 1), same, same, same, same)


class Mask(Operator):
    """Removes pixels, which become 0, mid grey, in the measurement (inpainting).

    Args:
        known: 1 or True for known pixels, 0 for missing ones, (H, W), (C, H, W) or (B, C, H, W), with sizes of 1 for
            axes that share the mask.

    Raises:
        UsageError: the mask has another number of axes, or values other than 0 and 1.

    Example:
        >>> mask = operators.Mask.random(32, 32, 0.5)
        >>> mask.A(torch.ones(1, 3, 32, 32)).mean().item()
        0.5
    """

    pictures = True

    def __init__(self, known: Tensor) -> None:
        if known.ndim not in (2, 3, 4):
            raise UsageError(f"a mask is (H, W), (C, H, W) or (B, C, H, W), not {tuple(known.shape)}")
        if known.dtype != torch.bool and not ((known == 0) | (known == 1)).all():
            raise UsageError("a mask holds 1 for known pixels and 0 for missing ones, nothing between")
        self.known = known.reshape((1,) * (4 - known.ndim) + tuple(known.shape)).to(torch.float32)

    @classmethod
    def random(cls, height: int, width: int, share: float = 0.5, seed: int = 0) -> Mask:
        """Removes random pixels, in all channels alike.

        Args:
            height: of the image.
            width: of the image.
            share: share of missing pixels, rounded to whole ones.
            seed: seed of the selection.
        """
        if not 0 <= share <= 1:
            raise UsageError(f"the share of missing pixels goes from 0 to 1, not {share}")
        # The pixels with the smallest of so many random numbers: several times as fast as a permutation.
        chance = np.random.default_rng(seed).random((height, width))
        missing = round(share * chance.size)
        limit = np.partition(chance, missing, axis=None)[missing] if missing < chance.size else 1.0
        return cls(torch.from_numpy(chance >= limit))

    @classmethod
    def box(cls, height: int, width: int, top: int, left: int, box_height: int, box_width: int) -> Mask:
        """Removes a rectangle."""
        known = torch.ones(height, width)
        known[max(top, 0) : top + box_height, max(left, 0) : left + box_width] = 0
        return cls(known)

    @classmethod
    def read(cls, path: str | Path, *, empty: bool = False) -> Mask:
        """Reads a mask from an image file: white for missing pixels, black for known ones, with a middle threshold.

        Args:
            path: the file.
            empty: whether an empty mask is valid.

        Raises:
            PellucidError: the file cannot be read, or nothing or all of it is white.
        """
        from .. import images

        picture = images.read(Path(path))
        known = (picture.tensor(1)[0, 0] < 0.5).float()
        if known.all() and not empty:
            alpha = "; its transparency is not looked at" if picture.alpha is not None else ""
            raise PellucidError(f"{path}: marks nothing: paint white what is missing{alpha}")
        if not known.any():
            raise PellucidError(f"{path}: marks the whole picture: paint black what is known")
        return cls(known)

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))
        return x * self.known.to(x)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.A(y)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        return self.A(y)

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operator`; known pixels equal those of `y` exactly."""
        self._check(tuple(x.shape))
        return torch.where(self.known.to(x.device) > 0, y, x)

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`."""
        self._check(shape)
        return Svd(self.known, same, same, self.A, self.A)

    def alone(self, index: int) -> Mask:
        """See `Operator`."""
        return self if len(self.known) == 1 else Mask(self.known[index])

    def check_size(self, shape: Shape) -> None:
        """Refuses images of another height or width.

        Args:
            shape: of the images, (B, C, H, W).

        Raises:
            UsageError: the mask does not fit.
        """
        self._check((len(self.known), self.known.shape[1], *shape[-2:]))

    def _check(self, shape: Shape) -> None:
        if any(own not in (1, size) for own, size in zip(self.known.shape, shape, strict=True)):
            (rows, columns), (height, width) = self.known.shape[-2:], shape[-2:]
            raise UsageError(f"a mask of {columns}x{rows} pixels does not fit images of {width}x{height}")


class Grayscale(Operator):
    """Keeps a weighted sum of the channels: A x = sum_c w_c x_c, (B, C, H, W) -> (B, 1, H, W).

    Args:
        weights: of the channels; the default is their mean, as in the papers' colourisation.

    Example:
        >>> operators.Grayscale().A(torch.ones(1, 3, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    pictures = True

    def __init__(self, weights: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> None:
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self._norm = self.weights.norm().item()
        # Householder's reflection that swaps the first channel for the weighted sum; its own inverse.
        mirror = self.weights / self._norm
        mirror[0] -= 1
        self._mirror = mirror * (2**0.5 / mirror.norm()) if mirror.any() else mirror

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check(tuple(x.shape))
        return _weighted(self.weights.tolist(), x)

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        _check_grey(y)
        x: Tensor = y * self.weights.to(y).view(1, -1, 1, 1)
        return x

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        square: float = self._norm**2
        return self.At(y) / square

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (measured[0], len(self.weights), *measured[2:])

    def svd(self, shape: Shape) -> Svd:
        """See `Operator`."""
        self._check(shape)
        channels = shape[1]
        s = torch.zeros(1, channels, 1, 1)
        s[0, 0] = self._norm

        def turn(x: Tensor) -> Tensor:
            along = _weighted(self._mirror.tolist(), x)
            return torch.addcmul(x, self._mirror.to(x).view(1, -1, 1, 1), along, value=-1)

        def place(y: Tensor) -> Tensor:
            _check_grey(y)
            return torch.cat([y, y.new_zeros(len(y), channels - 1, *y.shape[2:])], 1)

        return Svd(s, turn, turn, lambda z: z[:, :1], place)

    def _check(self, shape: Shape) -> None:
        if shape[1] != len(self.weights):
            raise UsageError(f"Grayscale takes images of {len(self.weights)} channels, not {shape[1]}")


def _check_grey(y: Tensor) -> None:
    if y.shape[1] != 1:
        raise UsageError(f"Grayscale's measurements have 1 channel, not {y.shape[1]}")


def _weighted(weights: list[float], x: Tensor) -> Tensor:
    """Weighted sum of channels, (B, C, H, W) -> (B, 1, H, W)."""
    total = x[:, :1] * weights[0]
    for channel, weight in zip(x.split(1, 1)[1:], weights[1:], strict=True):
        total.add_(channel, alpha=weight)
    return total


class ToneCurve(Operator):
    """Changes exposure and gamma: y = gain x^gamma in [0, 1] units, without clipping. Not linear; its inverse is exact.

    Args:
        gain: exposure, above 0.
        gamma: exponent, above 0.

    Example:
        >>> operators.ToneCurve(0.5, 2.0).A(torch.ones(1, 3, 8, 8)).max().item()
        0.0
    """

    linear = False

    def __init__(self, gain: float = 1.0, gamma: float = 1.0) -> None:
        if not (gain > 0 and gamma > 0 and math.isfinite(gain) and math.isfinite(gamma)):
            raise UsageError(f"a tone curve's gain and gamma are above 0, not {gain} and {gamma}")
        self.gain, self.gamma = gain, gamma

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`; values below black count as black."""
        toned: Tensor = 2 * self.gain * ((x + 1) / 2).clamp_min(0) ** self.gamma - 1
        return toned

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """Always rejected, since the operator is not linear."""
        raise UsageError("ToneCurve is not linear: it has no adjoint")

    def pinv(self, y: Tensor) -> Tensor:
        """Image whose tones become those of `y`."""
        linear: Tensor = 2 * ((y + 1) / 2 / self.gain).clamp_min(0) ** (1 / self.gamma) - 1
        return linear
