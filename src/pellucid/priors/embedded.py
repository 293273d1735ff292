"""The priors in the package, as folders in its data."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from .folder import read_json

_NAMES = ("natural", "natural-large")


def names() -> tuple[str, ...]:
    """Names of the priors in the package.

    Example:
        >>> priors.names()
        ('natural', 'natural-large')
    """
    return _NAMES


def folder_of(name: str) -> Path:
    """Folder of an embedded prior."""
    return Path(str(files("pellucid.priors") / name))


def describe(name: str) -> dict[str, Any]:
    """Describes an embedded prior from its files alone."""
    folder = folder_of(name)
    about = read_json(folder / "prior.json")
    return {
        "name": name,
        "about": about["data"]["about"],
        "licence": about["data"]["licence"],
        "sigma_range": about["sigma_range"],
        "psnr": about["validation_psnr"]["photographs"],
        "bytes": sum(path.stat().st_size for path in folder.glob("*.safetensors")),
    }
