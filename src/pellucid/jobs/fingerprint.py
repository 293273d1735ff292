"""Hashes that identify an image and its treatment, to recognise finished work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..apart.hashing import file_hash
from ..priors import Prior
from ..priors.fingerprint import fingerprint
from ..release import version
from ..restoration.facts import text_content


def of_files(paths: Sequence[Path]) -> str:
    """SHA-256 of the bytes of a file; for several, the hash of their hashes.

    Raises:
        PellucidError: a file cannot be read, or is a pipe or the like, which could block for ever.
    """
    hashes = [file_hash(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def of_configuration(prior: Prior | str, about: Mapping[str, Any]) -> str:
    """SHA-256 of everything beside the image that determines the output.

    Args:
        prior: counts by its weights and levels, not by its place or its name in `about`. Or the result of
            `priors.fingerprint`, for many hashes of one large prior.
        about: all other options by name. A file counts by its content.

    Returns:
        A hash that also depends on the version of pellucid.
    """
    told = {name: _content(value) for name, value in about.items()}
    told |= {"version": version("pellucid"), "prior": prior if isinstance(prior, str) else fingerprint(prior)}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=repr).encode()).hexdigest()


def _content(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _content(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_content(part) for part in value]
    return text_content(str(value)) if isinstance(value, str | Path) else value
