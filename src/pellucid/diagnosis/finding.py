"""Interface of a finding: one kind of damage, its evidence, and its words."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Finding(Protocol):
    """One kind of damage of a picture; a frozen dataclass of its size and its evidence.

    Without the damage there is no finding: the estimator returns None.
    """

    @property
    def confidence(self) -> float:
        """Share of pictures with this evidence that have the damage, [0, 1]; 0.5 is a coin toss."""
        ...

    @property
    def text(self) -> str:
        """The damage in plain words, a phrase without a full stop: "noise of 9.8, grain of 1.2 pixels"."""
        ...

    @property
    def remedy(self) -> str:
        """Options of `pellucid restore` that repair it: "--task jpeg"; empty without a remedy."""
        ...

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding by name."""
        ...
