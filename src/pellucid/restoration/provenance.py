"""Note of a restoration, one line in the file, so that nobody takes it for an original."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..images import MARK
from ..methods import differing
from ..release import version

_LONGEST = 60


def line(method: object, told: Sequence[str], prior: str, seed: int, notes: Sequence[str]) -> str:
    """Describes a restoration in one line.

    The same restoration gives the same line: it holds no date, no machine and no folder.

    Args:
        method: the method; its hyper-parameters are named if they differ from this version's defaults.
        told: the method's information about the degradation.
        prior: the beginning of its hash; "" for none.
        seed: the image's.
        notes: choices and conversions during the restoration.
    """
    facts = [_named(method), *told, *([f"prior {prior}"] if prior else []), f"seed {seed}"]
    text = f"{MARK}{version('pellucid')}: {', '.join(facts)}"
    return " ".join("; ".join([text, *notes]).split())


def _named(method: object) -> str:
    chosen = (f"{name}={_short(value)}" for name, value in differing(method).items())
    return f"{type(method).__name__}({', '.join(chosen)})"


def _short(value: object) -> str:
    """Formats a hyper-parameter; a file appears by its name without a folder."""
    if isinstance(value, str | Path):
        return Path(value).name
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 300 is 300, however it was said
    text = getattr(value, "__name__", None) or str(value)
    return text if len(text) <= _LONGEST else type(value).__name__
