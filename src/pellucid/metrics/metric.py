"""What a metric is: a number for each image, or for a whole set of images, and what to read out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from torch import Tensor

from ..errors import UsageError

Better = Literal["higher", "lower"]
Against = Literal["truth", "input", "nothing"]


class _Named:
    """What people are told of a metric."""

    name: str
    """As in tables."""

    better: ClassVar[Better]
    """Which values are of better images."""

    unit: ClassVar[str] = ""
    """Of the values; empty where they have none."""

    needs: ClassVar[dict[str, str]] = {}
    """What it cannot do without, by option: a file of weights, for example."""

    def _require(self, holds: bool, field: str, demand: str) -> None:
        """Refuses an option out of range."""
        if not holds:
            raise UsageError(f"{self.name}: {field} must be {demand}, not {getattr(self, field)!r}")


class Metric(_Named, ABC):
    """Measures each image by itself; a pure function of what it is made with and called with."""

    against: ClassVar[Against] = "truth"
    """What images are compared with: the clean ones, the damaged ones they were made of, or nothing at all."""

    @abstractmethod
    def __call__(self, image: Tensor, truth: Tensor) -> Tensor:
        """Measures a batch.

        Args:
            image: (B, C, H, W) in [0, 1].
            truth: what `against` says, in [0, 1]; not looked at where that is "nothing".

        Returns:
            (B,).

        Raises:
            PellucidError: the images are too small.
        """


class SetMetric(_Named, ABC):
    """Compares two sets of images as sets: first each image's features, then the sets by these."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """What the sets are compared by.

        Args:
            images: (B, 1 or 3, H, W) in [0, 1]; each set's are to be concatenated.

        Returns:
            (B, D), float64.
        """

    @abstractmethod
    def distance(self, features_a: Tensor, features_b: Tensor) -> float:
        """How far two sets are apart; 0 for equal ones.

        Args:
            features_a: of one set, (N, D).
            features_b: of the other, (M, D).

        Raises:
            UsageError: there are too few images.
        """


def options_of(kind: type[Any]) -> tuple[str, ...]:
    """The names of what a metric can be told."""
    from inspect import signature

    return tuple(signature(kind).parameters)
