"""Several restorations of one image, and their agreement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError

T = TypeVar("T")


class Samples(list[T]):
    """Restorations of one image with different noise.

    Args:
        each: the restorations.
        mean: their mean.
        deviation: their standard deviation; None for a single one.

    Attributes:
        mean_map: their mean, of the same kind; for posterior samples, the estimate of least squared error.
    """

    def __init__(self, each: Iterable[T], mean: T, deviation: Any) -> None:
        super().__init__(each)
        self.mean_map = mean
        self._deviation = deviation

    @classmethod
    def of_tensors(cls, each: Sequence[T]) -> Samples[T]:
        """Makes samples of tensors (B, C, H, W)."""
        tensors = torch.stack([one.float() for one in each if isinstance(one, Tensor)])
        first: Any = each[0]
        mean: Any = tensors.mean(0).to(first)
        return cls(each, mean, tensors.std(0).to(mean) if len(each) > 1 else None)

    @property
    def std_map(self) -> Any:
        """Standard deviation of each value in [0, 1] units, with n - 1; high where the prior invents content.

        A tensor (B, C, H, W) for tensors, else an array (H, W) or (H, W, C) of float32.

        Raises:
            UsageError: there is only one sample.
        """
        if self._deviation is None:
            raise UsageError("the deviation needs two samples or more")
        return self._deviation


class Spread:
    """Mean and deviation of arrays of one shape with only one in memory at a time (Welford's sums).

    Attributes:
        number: number of arrays so far.
        mean: their mean, float64.
    """

    def __init__(self) -> None:
        self.number, self.mean = 0, np.zeros(())
        self._squares = np.zeros(())

    def add(self, values: np.ndarray[Any, Any]) -> None:
        """Takes in one more array.

        Raises:
            UsageError: the array has another shape than the earlier ones.
        """
        if self.number and values.shape != self.mean.shape:
            raise UsageError(f"samples of one image have one size, not {self.mean.shape} and {values.shape}")
        self.number += 1
        apart = values - self.mean
        self.mean = self.mean + apart / self.number
        self._squares = self._squares + apart * (values - self.mean)

    @property
    def deviation(self) -> np.ndarray[Any, Any]:
        """Standard deviation, with n - 1; 0 for a single array."""
        deviation: np.ndarray[Any, Any] = np.sqrt(self._squares / max(self.number - 1, 1))
        return deviation
