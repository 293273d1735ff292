"""One safetensors file with everything that a run needs to continue as if it had never stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError

_FORMAT = "pellucid-training-1"


def save(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Writes a checkpoint atomically: a temporary file takes its place.

    Args:
        path: the file.
        tensors: by name, on any device.
        about: any JSON value.
    """
    from safetensors.torch import save as encode

    temporary = path.with_name(path.name + ".part")
    # safetensors refuses tensors that share memory or are not contiguous (channels_last kernels are not).
    own = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    with temporary.open("wb") as file:
        file.write(encode(own, metadata={"format": _FORMAT, "about": json.dumps(about)}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # noqa: PTH105 - the one call that is documented to be atomic


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads the result of `save`.

    Raises:
        PellucidError: the file is missing, damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise PellucidError(f"{path}: is no checkpoint of a training run")
            about = json.loads(metadata["about"])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise PellucidError(f"{path}: cannot be read as a checkpoint ({error})") from None


def pack(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Packs an optimiser's state as tensors by name, including its numbers.

    Returns:
        Tensors named `<parameter's index>.<entry>`, and the same for plain numbers.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, entries in optimiser.state_dict()["state"].items():
        for entry, value in entries.items():
            (tensors if isinstance(value, Tensor) else numbers)[f"{index}.{entry}"] = value
    return tensors, numbers


def unpack(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Unpacks the result of `pack` into an optimiser of the same parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **numbers}.items():
        key, entry = name.split(".", 1)
        index = int(key)
        if isinstance(value, Tensor) and value.shape == parameters[index].shape:
            # Back into the parameter's own memory layout: sums must run in the same order to give the same bits.
            value = torch.empty_like(parameters[index]).copy_(value)
        state.setdefault(index, {})[entry] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, without the prefix."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
