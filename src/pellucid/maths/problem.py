"""Facts about one damaged image, or a batch; the only place where units change.

Inside the library images are in [-1, 1]; people and papers' tables use [0, 1]. A noise level of 0.05 in a table is
therefore 0.1 here. No other module multiplies or divides by this factor of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import UsageError

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from ..operators import Operator


Noise = float | Sequence[float] | Tensor
"""One noise level for all images, or one for each."""


def to_model(image: Tensor) -> Tensor:
    """Converts images from [0, 1], the units of people, to [-1, 1], the units of the library."""
    # In place from the second step on: a large picture has no room for copies that nobody needs.
    return (image * 2).sub_(1)


def to_zero_one(image: Tensor) -> Tensor:
    """Converts images from [-1, 1] to [0, 1] for losses that papers define there; not clamped."""
    return (image + 1).div_(2)


def to_unit(image: Tensor) -> Tensor:
    """Converts images from [-1, 1] to [0, 1], clamped: the only clamp of a restoration, on its output."""
    return to_zero_one(image).clamp_(0, 1)


def check_finite(pixels: Tensor) -> None:
    """Rejects pixels that are no numbers.

    Raises:
        UsageError: there is NaN or infinity among them.
    """
    # A sum is finite only if all its terms are; it may overflow, too, where they are.
    if not torch.isfinite(pixels.sum()) and not torch.isfinite(pixels).all():
        raise UsageError("the image holds values that are not finite (NaN or infinity)")


@dataclass(frozen=True)
class Problem:
    """A damaged image `y = A(x) + sigma_y n` with the known facts about its damage.

    Attributes:
        y: the measurement, float, in [-1, 1] units; without an operator an image batch of shape (B, C, H, W).
        operator: the degradation A, or None if unknown (blind restoration).
        sigma_y: standard deviation of the noise on y **in [-1, 1] units**, or None if unknown. `Problem.of` takes it in
            [0, 1] units, as in papers.
        levels: a level for each image, if they differ; then sigma_y is None. See `side_by_side`.
        known: known findings for each image, for methods that diagnose; empty to diagnose everything.

    Raises:
        UsageError: y is no floating-point batch, holds NaN or infinity, a level is negative, or the number of levels
            differs from the number of images.

    Example:
        >>> problem = pellucid.Problem.of(torch.full((1, 3, 8, 8), 0.5), noise=0.05)
        >>> problem.y.max().item(), problem.sigma_y
        (0.0, 0.1)
    """

    y: Tensor
    operator: Operator | None = None
    sigma_y: float | None = None
    known: tuple[Diagnosis, ...] = ()
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "y", as_measured(self.y, self.operator))
        if self.sigma_y is not None and not isinstance(self.sigma_y, int | float):
            raise UsageError("sigma_y is a number; give a noise level for each image as levels, or Problem.of's noise")
        if not self.y.is_floating_point():
            raise UsageError(f"Problem needs a floating-point image in [-1, 1], not {self.y.dtype}")
        if self.operator is None and (self.y.ndim != 4 or self.y.numel() == 0):
            raise UsageError(f"Problem needs images of shape (B, C, H, W), not {tuple(self.y.shape)}")
        check_finite(self.y)
        if self.known and len(self.known) != len(self.y):
            raise UsageError(f"{len(self.known)} diagnoses are known, of {len(self.y)} images")
        if self.sigma_y is not None and not (math.isfinite(self.sigma_y) and self.sigma_y >= 0):
            raise UsageError(f"the noise level must be a number from 0 up, not {self.sigma_y}")
        if self.levels and (self.sigma_y is not None or len(self.levels) != len(self.y)):
            raise UsageError(f"{len(self.levels)} noise levels for {len(self.y)} images: one for all, or one for each")
        for level in self.levels:
            if not (math.isfinite(level) and level >= 0):
                raise UsageError(f"the noise level must be a number from 0 up, not {level}")

    def split(self) -> list[Problem]:
        """Splits the problem into one for each image, with its noise level."""
        return [
            Problem(
                self.y[i : i + 1],
                self.operator and self.operator.alone(i),
                self.levels[i] if self.levels else self.sigma_y,
                self.known[i : i + 1],
            )
            for i in range(len(self.y))
        ]

    @property
    def noise(self) -> float | None:
        """`sigma_y` in [0, 1] units, for code by people and papers."""
        return None if self.sigma_y is None else self.sigma_y / 2

    @classmethod
    def of(cls, image: Tensor, operator: Operator | None = None, noise: Noise | None = None) -> Problem:
        """Makes a problem from an image and a noise level in [0, 1] units.

        Args:
            image: the damaged image, (B, C, H, W) in [0, 1]; with an operator, its measurement of images in [0, 1].
            operator: the degradation, if known.
            noise: standard deviation of its noise in [0, 1] units (0.1 is about 25/255), if known; or one for each
                image, as a tensor (B,) or numbers.

        Raises:
            UsageError: see `Problem`.
        """
        y = as_measured(image, operator)
        if operator is not None and operator.linear and not operator.keeps_grey:
            # x = 2 x01 - 1, and so A x = 2 A x01 - A 1.
            y = 2 * y - operator.A(torch.ones(operator.image_shape(tuple(y.shape)), dtype=y.dtype, device=y.device))
        else:
            y = to_model(y)
        levels = () if noise is None else tuple(2 * level for level in levels_of(noise, len(y)))
        if len(set(levels)) <= 1:
            return cls(y, operator, levels[0] if levels else None)
        return cls(y, operator, levels=levels)


def levels_of(noise: Noise, number: int) -> tuple[float, ...]:
    """Noise level of each of several images.

    Args:
        noise: one level for all, or one for each, as numbers or a tensor.
        number: of images.

    Raises:
        UsageError: the number of levels differs, or one is no number.
    """
    given = noise.flatten().tolist() if isinstance(noise, Tensor) else noise
    try:
        levels = tuple(map(float, given if isinstance(given, Iterable) else [given]))
    except (TypeError, ValueError):
        raise UsageError(f"the noise level is a number, or one for each image, not {noise!r}") from None
    if len(levels) not in (1, number):
        raise UsageError(f"{len(levels)} noise levels for {number} images: give one for all, or one for each")
    return levels * number if len(levels) == 1 else levels


def as_measured(y: Tensor, operator: Operator | None) -> Tensor:
    """Converts a measurement to the types of methods: float32, or float64 unchanged.

    The operator converts complex measurements to real ones; 16-bit floats become float32.

    Raises:
        UsageError: the operator has no complex measurements.
    """
    if y.is_complex():
        if operator is None:
            raise UsageError("an image is of real numbers; complex ones need the operator that measured them")
        y = operator.real(y)
    return y.float() if y.is_floating_point() and y.element_size() < 4 else y
