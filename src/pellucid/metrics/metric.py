"""Interface of metrics: a number for each image, or for a set of images, and its interpretation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..errors import PellucidError, UsageError

Better = Literal["higher", "lower"]
Against = Literal["truth", "input", "nothing"]


class _Named:
    """Name and description of a metric."""

    name: str
    """Name in tables."""

    better: ClassVar[Better]
    """Direction of better values."""

    unit: ClassVar[str] = ""
    """Unit of the values; empty without one."""

    needs: ClassVar[dict[str, str]] = {}
    """Required options: a file of weights, for example."""

    def require(self, holds: bool, field: str, demand: str) -> None:
        """Refuses an option out of range."""
        if not holds:
            raise UsageError(f"{self.name}: {field} must be {demand}, not {getattr(self, field)!r}")


class Metric(_Named, ABC):
    """Measures each image by itself; a pure function of its options and arguments.

    Example:
        >>> metric = metrics.get("ssim")
        >>> metric.name, metric.better, metric.against
        ('ssim', 'higher', 'truth')
    """

    against: ClassVar[Against] = "truth"
    """Reference of the comparison: clean images, the damaged inputs, or none."""

    def __call__(self, image: Tensor, truth: Tensor) -> Tensor:
        """Measures a batch image by image: no figure depends on the rest of the batch.

        Args:
            image: (B, C, H, W) in [0, 1].
            truth: the reference by `against`, in [0, 1]; ignored for "nothing".

        Returns:
            (B,).

        Raises:
            PellucidError: the images are too small, or their reference has another shape.
        """
        if self.against == "truth" and image.shape != truth.shape:
            raise PellucidError(
                f"{self.name}: images of {tuple(image.shape)} and {tuple(truth.shape)} are not of a size"
            )
        others = image if self.against == "nothing" else truth
        return torch.cat([self.one(*pair) for pair in zip(image.split(1), others.split(1), strict=True)])

    @abstractmethod
    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """Measures one image, (1, C, H, W); see `__call__`.

        Returns:
            (1,).
        """


class SetMetric(_Named, ABC):
    """Compares two sets of images as sets: first each image's features, then the sets by these.

    Example:
        >>> metrics.sets()
        ('fid',)
    """

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Computes the features for the comparison of sets.

        Args:
            images: (B, 1 or 3, H, W) in [0, 1]; concatenate those of each set.

        Returns:
            (B, D), float64.
        """

    @abstractmethod
    def distance(self, features_a: Tensor, features_b: Tensor) -> float:
        """Distance between two sets; 0 for equal ones.

        Args:
            features_a: of one set, (N, D).
            features_b: of the other, (M, D).

        Raises:
            UsageError: a set has too few images.
        """
