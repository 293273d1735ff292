"""Numbers with their nouns, for lines that people read."""

from __future__ import annotations

from collections.abc import Sequence


def number_of(count: int, noun: str) -> str:
    """A number and its noun, which gets an s unless the number is 1.

    Example:
        >>> number_of(1, "tile"), number_of(3, "tile")
        ('1 tile', '3 tiles')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def one_of(words: Sequence[str]) -> str:
    """Alternatives in a sentence; "" without any.

    Example:
        >>> one_of([".png", ".webp", ".tif"])
        '.png, .webp or .tif'
    """
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
