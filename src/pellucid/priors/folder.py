"""Reading a prior's folder: JSON and safetensors, nothing that could run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        PellucidError: there is no such file, or it is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PellucidError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise PellucidError(f"{path}: is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise PellucidError(f"{path}: holds no JSON object")
    return content


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Reads the safetensors files that `weight_files` finds.

    Raises:
        PellucidError: there is none, it is not clear which, or one is damaged.
    """
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            weights |= read_tensors(path)
        except PellucidError as error:
            raise PellucidError(f"{path}: {error}") from None
    return weights


def weight_files(folder: Path) -> list[Path]:
    """The one safetensors file of a folder, the one of them in full precision, or the parts of one.

    Raises:
        PellucidError: there is none, a part is missing, or it is not clear which one it is.
    """
    found = sorted(folder.glob("*.safetensors"))
    # Published folders may hold the same weights several times, with "fp16" or "non_ema" in the name.
    plain = [path for path in found if path.name.count(".") == 1 and "non_ema" not in path.name]
    chosen = found if len(found) == 1 else plain
    parts = [match for path in chosen if (match := re.search(r"-(\d{5})-of-(\d{5})$", path.stem))]
    if chosen and len(parts) == len(chosen) and {part[2] for part in parts} == {f"{len(parts):05}"}:
        return chosen
    if parts or len(chosen) != 1:
        what = "no weights" if not found else f"{len(found)} weight files"
        raise PellucidError(f"{folder}: {what}; a prior's folder holds one .safetensors file, or all parts of one")
    return chosen


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file.

    Raises:
        PellucidError: it is damaged; the message does not name it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise PellucidError(f"is no whole safetensors file ({error})") from None


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file that has been read says of itself; nothing of a file of another kind."""
    from safetensors import safe_open

    if path.suffix.lower() != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def fill(network: nn.Module, weights: dict[str, Tensor], source: Path, plan: str = "its config.json") -> None:
    """Puts weights into a network in float32, each in its place and none left over.

    Args:
        network: where they go.
        weights: by name.
        source: where they come from, for messages.
        plan: what the network was made from, likewise.

    Raises:
        PellucidError: a tensor is missing, unexpected or of another shape.
    """
    own = network.state_dict()
    for problem, names in (
        ("lacks", own.keys() - weights.keys()),
        ("has the unknown", weights.keys() - own.keys()),
        ("has the wrong shape for", {k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape}),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise PellucidError(f"{source}: does not fit {plan}: it {problem} {min(names)}{more}")
    network.load_state_dict(
        {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in weights.items()}, assign=True
    )


def ready(network: nn.Module, device: str | torch.device) -> nn.Module:
    """Makes a loaded network a frozen function on its device, in the memory layout that convolutions run fastest in."""
    frozen = network.eval().requires_grad_(False).to(device)
    # Module.to takes memory_format, only the annotations of some releases do not say so.
    return frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
