"""Share of a job for one machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Every `number`-th of a job's images, starting at the `index`-th: together the shards do each exactly once.

    Args:
        index: number of this share, 1 to `number`.
        number: number of shares, from 1 up.

    Raises:
        UsageError: a number is out of range.
    """

    index: int = 1
    number: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.number:
            raise UsageError(f"shards are 1/N to N/N, with N from 1 up, not {self.index}/{self.number}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Reads "I/N".

        Raises:
            UsageError: the text has another form.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None:
            raise UsageError(f"a shard is I/N, such as 1/8, not {text!r}")
        return cls(int(match[1]), int(match[2]))

    def of(self, items: Sequence[T]) -> list[T]:
        """Its share of a list, which must be equal on all machines."""
        return list(items[self.index - 1 :: self.number])
