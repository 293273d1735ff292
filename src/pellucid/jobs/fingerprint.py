"""Hashes that tell whether an image has been done already, and in the same way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..hashing import file_hash
from ..priors import Prior
from ..priors.fingerprint import fingerprint
from ..release import version
from ..restoration.facts import text_content


def of_files(paths: Sequence[Path]) -> str:
    """SHA-256 of the bytes of a file; of several, that of their hashes.

    Raises:
        PellucidError: one cannot be read, or is no file: a pipe would be waited for.
    """
    hashes = [file_hash(path) for path in paths]
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
    return text_content(str(value)) if isinstance(value, str | Path) else value
