"""Hashes that tell whether an image has been done already, and in the same way."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import PellucidError
from ..priors import Prior
from ..priors.fingerprint import fingerprint


def of_files(paths: Sequence[Path]) -> str:
    """SHA-256 of the bytes of a file; of several, that of their hashes.

    Raises:
        PellucidError: one cannot be read, or is no file: a pipe would be waited for.
    """
    hashes = []
    for path in paths:
        digest = hashlib.sha256()
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise PellucidError(f"{path}: is a pipe, a device or a folder, not a file")
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except FileNotFoundError:
            raise PellucidError(f"{path}: there is no such file") from None
        except (OSError, ValueError) as error:
            raise PellucidError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
        hashes.append(digest.hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def of_configuration(prior: Prior | str, about: Mapping[str, Any]) -> str:
    """SHA-256 of everything beside the image that decides what is written.

    Args:
        prior: counts with its weights and levels, wherever it was loaded from and whatever `about` calls it; or what
            `priors.fingerprint` says of it, for many hashes of one large prior.
        about: whatever else there is, by name. What names a file counts with what the file holds.

    Returns:
        A hash that the version of pellucid goes into, too.
    """
    told = {name: _content(value) for name, value in about.items()}
    told |= {"version": version("pellucid"), "prior": prior if isinstance(prior, str) else fingerprint(prior)}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=repr).encode()).hexdigest()


def _content(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _content(part) for name, part in value.items()}
    if isinstance(value, str | Path):
        # FILE.py:OBJECT names a file, too. Unlike Path.is_file, isfile takes texts that no file could be called.
        place, _, attribute = str(value).rpartition(":")
        for path, own in ((value, ""), (place, attribute)):
            if os.path.isfile(path):  # noqa: PTH113
                return f"{own}{of_files([Path(path)])}"
        return str(value)
    return value
