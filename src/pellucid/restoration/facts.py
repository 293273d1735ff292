"""Content of a recipe's fingerprint."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..apart.hashing import file_hash
from ..priors.backends import meant
from ..release import version
from ..support.devices import find_device

if TYPE_CHECKING:
    from .recipe import Recipe


def digest(recipe: Recipe, prior: str) -> str:
    """SHA-256 of every field of a recipe; see `Recipe.fingerprint`.

    Args:
        recipe: of what.
        prior: hash of its prior.
    """
    facts: dict[str, object] = {one.name: getattr(recipe, one.name) for one in fields(recipe)}
    choice = recipe.choice
    # What was left open, or said in one of several ways, counts as what it comes to.
    facts |= {"method": choice.restores, "settings": {}, "preset": None}
    facts |= {"operator": choice.operator, "noise": choice.noise, "prior": prior}
    device = find_device(recipe.device)
    facts |= {"device": device.type, "version": version("pellucid")}
    facts["backend"], facts["precision"] = meant(device, recipe.backend, recipe.precision)
    return hashlib.sha256(json.dumps(content(facts), sort_keys=True).encode(errors="surrogateescape")).hexdigest()


def content(value: object, within: tuple[int, ...] = ()) -> object:
    """Converts a value to JSON: a file's or a tensor's hash, or an object's attributes.

    Args:
        value: any value.
        within: the enclosing objects, by their ids.

    Raises:
        PellucidError: a file cannot be read.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Path) and value.is_dir():
        files = sorted(one for one in value.rglob("*") if one.is_file())
        return {one.relative_to(value).as_posix(): file_hash(one) for one in files}
    if isinstance(value, str | Path):
        return text_content(str(value))
    if id(value) in within:
        return "itself"
    within = (*within, id(value))
    if isinstance(value, Tensor | np.ndarray):
        return _numbers(torch.as_tensor(value))
    if isinstance(value, nn.Module):
        return [_name(value), {name: _numbers(one) for name, one in value.state_dict().items()}]
    if isinstance(value, Mapping):
        return {str(name): content(part, within) for name, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(content(part, within), sort_keys=True) for part in value)
    if isinstance(value, Collection):
        return [content(part, within) for part in value]
    if inspect.isroutine(value) or isinstance(value, type):
        return _source(value, within)
    if is_dataclass(value):
        return [_name(value), {one.name: content(getattr(value, one.name), within) for one in fields(value)}]
    return [_name(value), content(getattr(value, "__dict__", {}), within)]


def text_content(text: str) -> str:
    """A text, or the bytes of the file that it names, also by FILE.py:OBJECT."""
    place, _, attribute = text.rpartition(":")
    for path, own in ((text, ""), (place, attribute)):
        # Unlike Path.is_file, isfile takes texts that no file could be called.
        if os.path.isfile(path):  # noqa: PTH113
            return f"{own}{file_hash(Path(path))}"
    return text


def _numbers(x: Tensor) -> list[object]:
    data = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return [str(x.dtype), list(x.shape), hashlib.sha256(data).hexdigest()]


def _source(function: object, within: tuple[int, ...]) -> list[object]:
    """Name of a function or a class, its source if available, and its captured variables."""
    try:
        source = inspect.getsource(function)  # type: ignore[arg-type]  # of others it raises
    except (OSError, TypeError):
        source = ""
    owner = getattr(function, "__self__", None)
    closed = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    of = owner if isinstance(owner, type) or inspect.ismodule(owner) else None
    bound = [] if owner is None else [_name(owner) if of is None else getattr(of, "__name__", "")]
    if owner is not None and of is None:
        bound.append(str(content(owner, within)))
    return [getattr(function, "__qualname__", ""), source, *bound, [content(one, within) for one in closed]]


def _name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
