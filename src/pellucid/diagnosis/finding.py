"""The shape of a finding: one kind of damage, its evidence, and the words for it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Finding(Protocol):
    """One kind of damage that was found in a picture; a frozen dataclass of its size and its evidence.

    A finding exists only where the damage is there: an estimator returns None otherwise.
    """

    @property
    def confidence(self) -> float:
        """The share of pictures with this evidence that have the damage, [0, 1]; 0.5 is a toss of a coin."""
        ...

    @property
    def text(self) -> str:
        """The damage in plain words, a phrase without a full stop: "noise of 9.8, grain of 1.2 pixels"."""
        ...

    @property
    def remedy(self) -> str:
        """The options of `pellucid restore` that mend it alone: "--task jpeg"; empty if nothing does."""
        ...

    @property
    def evidence(self) -> dict[str, float]:
        """The numbers that the finding rests on, by name."""
        ...
