"""The package's version, known where it is not installed, too."""

from __future__ import annotations

from importlib import metadata

__all__ = ["VERSION", "version"]

VERSION = "0.1.0"


def version(package: str = "pellucid") -> str:
    """The version of a package.

    Args:
        package: this one, or one that is installed.

    Raises:
        importlib.metadata.PackageNotFoundError: it is another one, and not installed.
    """
    return VERSION if package == "pellucid" else metadata.version(package)
