"""Several restorations of one image, and where they agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .errors import UsageError

T = TypeVar("T")


class Samples(list[T]):
    """Restorations of one image, each with noise of its own.

    Args:
        each: them.
        mean: their mean.
        deviation: their standard deviation; None of one alone.

    Attributes:
        mean_map: their mean, of the same kind; of posterior samples it is the estimate of least squared error.
    """

    def __init__(self, each: Iterable[T], mean: T, deviation: Any) -> None:
        super().__init__(each)
        self.mean_map = mean
        self._deviation = deviation

    @classmethod
    def of_tensors(cls, each: Sequence[T]) -> Samples[T]:
        """Samples that are tensors (B, C, H, W)."""
        tensors = torch.stack([one.float() for one in each if isinstance(one, Tensor)])
        first: Any = each[0]
        mean: Any = tensors.mean(0).to(first)
        return cls(each, mean, tensors.std(0).to(mean) if len(each) > 1 else None)

    @property
    def std_map(self) -> Any:
        """The standard deviation of each value in [0, 1] units, with n - 1; high where the prior made the picture up.

        A tensor (B, C, H, W) where the samples are, else an array (H, W) or (H, W, C) of float32.

        Raises:
            UsageError: there is but one sample.
        """
        if self._deviation is None:
            raise UsageError("the deviation needs two samples or more")
        return self._deviation


class Spread:
    """The mean and the deviation of arrays of one shape, of which only one is held at a time (Welford's sums).

    Attributes:
        number: how many there were.
        mean: of them, float64.
    """

    def __init__(self) -> None:
        self.number, self.mean = 0, np.zeros(())
        self._squares = np.zeros(())

    def add(self, values: np.ndarray[Any, Any]) -> None:
        """Takes in one more.

        Raises:
            UsageError: it has another shape than those before.
        """
        if self.number and values.shape != self.mean.shape:
            raise UsageError(f"samples of one image have one size, not {self.mean.shape} and {values.shape}")
        self.number += 1
        apart = values - self.mean
        self.mean = self.mean + apart / self.number
        self._squares = self._squares + apart * (values - self.mean)

    @property
    def deviation(self) -> np.ndarray[Any, Any]:
        """The standard deviation, with n - 1; 0 of one."""
        deviation: np.ndarray[Any, Any] = np.sqrt(self._squares / max(self.number - 1, 1))
        return deviation
