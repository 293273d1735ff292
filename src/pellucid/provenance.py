"""How an image was restored, in one line that goes into its file, so that nobody takes it for an original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path

from .images import MARK

_LONGEST = 60


def line(method: object, told: Sequence[str], prior: str, seed: int, notes: Sequence[str]) -> str:
    """Says how an image was restored.

    The same restoration gives the same line: it holds no date, no machine and no folder.

    Args:
        method: its hyper-parameters are named where they differ from the defaults of this version.
        told: what the method was told of the degradation.
        prior: the beginning of its hash; "" for none.
        seed: the image's.
        notes: what was chosen or converted on the way.
    """
    facts = [_named(method), *told, *([f"prior {prior}"] if prior else []), f"seed {seed}"]
    text = f"{MARK}{version('pellucid')}: {', '.join(facts)}"
    return " ".join("; ".join([text, *notes]).split())


def _named(method: object) -> str:
    chosen = []
    for field in fields(method) if is_dataclass(method) else ():
        default = field.default if field.default_factory is MISSING else field.default_factory()
        value = getattr(method, field.name)
        if field.repr and value is not default and str(value) != str(default):
            chosen.append(f"{field.name}={_short(value)}")
    return f"{type(method).__name__}({', '.join(chosen)})"


def _short(value: object) -> str:
    """A hyper-parameter as a text; of a file its name, and not where it lay."""
    if isinstance(value, str | Path):
        return Path(value).name
    text = getattr(value, "__name__", None) or str(value)
    return text if len(text) <= _LONGEST else type(value).__name__
