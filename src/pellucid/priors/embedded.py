"""The priors that come with the package, as folders in its data."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_NAMES = ("natural",)


def names() -> tuple[str, ...]:
    """Names of the priors that come with the package."""
    return _NAMES


def folder_of(name: str) -> Path:
    """Where an embedded prior's folder lies."""
    return Path(str(files("pellucid.priors") / name))
