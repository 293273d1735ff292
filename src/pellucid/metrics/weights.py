"""Weights for metrics, from files that people name: safetensors, or files of torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..errors import PellucidError
from ..priors import tensors


def read(path: str | Path, names: Iterable[str], what: str) -> dict[str, Tensor]:
    """Reads some of the tensors of a file, which may hold others.

    Args:
        path: a .safetensors, .pth, .pt, .ckpt or .bin file.
        names: names of the tensors.
        what: owner of the weights, for messages.

    Raises:
        PellucidError: the file cannot be read or lacks a tensor.
    """
    if not Path(path).is_file():
        raise PellucidError(f"{path}: there is no such file of weights")
    try:
        content = tensors.read(Path(path))
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None
    weights = content if isinstance(content, dict) else {}
    names = list(names)
    lacking = [name for name in names if not isinstance(weights.get(name), Tensor)]
    if lacking:
        raise PellucidError(f"{path}: has no {lacking[0]!r}; {what} is needed")
    return {name: weights[name] for name in names}
