"""Reading a prior's folder: JSON and tensors, no code."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from . import limits, tensors

_LOG = logging.getLogger("pellucid")

WEIGHTS = "diffusion_pytorch_model.safetensors"
"""Names of a network's weights in the diffusers library."""


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        PellucidError: the file is missing, or is no JSON object.
    """
    try:
        content = json.loads(limits.text(path), parse_constant=_no_number)
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None
    except RecursionError:
        raise PellucidError(f"{path}: is no JSON (nested too deeply)") from None
    except ValueError as error:
        raise PellucidError(f"{path}: is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise PellucidError(f"{path}: holds no JSON object")
    return content


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Reads the weights of a folder; see `weight_files`.

    Raises:
        PellucidError: there are no weights, the choice is ambiguous, a file is damaged, or it holds more than tensors.
    """
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            read = tensors.read(path)
            if not isinstance(read, dict) or not all(isinstance(weight, Tensor) for weight in read.values()):
                raise PellucidError("holds more than tensors by name")
            limits.check_tensors(weights | read)
        except PellucidError as error:
            raise PellucidError(f"{path}: {error}") from None
        weights |= read
    return weights


_USUAL = ("diffusion_pytorch_model", "model")
_HOLDS = "a prior's folder holds one .safetensors file, or all parts of one"


def weight_files(folder: Path) -> list[Path]:
    """File of a folder's weights, or all of its parts: safetensors, else .bin.

    The one in full precision, or with the usual name, is preferred: published folders may hold the weights several
    times, with "fp16" or "non_ema" in the name.

    Raises:
        PellucidError: there is no file, a part is missing, or the choice is ambiguous.
    """
    for suffix in (".safetensors", ".bin"):
        found = sorted(folder.glob(f"*{suffix}"))
        plain = [path for path in found if path.name.count(".") == 1 and "non_ema" not in path.name]
        chosen = found if len(found) == 1 else plain or found
        parts = [match for path in chosen if (match := re.search(r"-(\d{5})-of-(\d{5})$", path.stem))]
        if chosen and len(parts) == len(chosen) and {part[2] for part in parts} == {f"{len(parts):05}"}:
            return chosen
        usual = [path for path in chosen if path.stem in _USUAL]
        if not parts and len(chosen if len(chosen) == 1 else usual) == 1:
            return chosen if len(chosen) == 1 else usual
        if found:
            raise PellucidError(f"{folder}: {len(found)} weight files; {_HOLDS}")
    raise PellucidError(f"{folder}: no weights; {_HOLDS}")


def root_of(folder: Path) -> Path:
    """Folder of the network: `unet`, as in pipelines of the diffusers library, or the folder itself.

    An average of the weights in `unet_ema` is preferred.
    """
    for name in ("unet_ema", "unet"):
        if (folder / name / "config.json").exists():
            return folder / name
    return folder


def said_average(folder: Path) -> None:
    """Reports which one is used of a network and an average of its weights."""
    if all((folder / name / "config.json").exists() for name in ("unet_ema", "unet")):
        _LOG.warning("%s: the average in unet_ema/ is used, not unet/; name %s for the other", folder, folder / "unet")


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file; empty for a file of another kind."""
    from safetensors import safe_open

    if path.suffix.lower() != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def fill(network: nn.Module, weights: dict[str, Tensor], source: Path, plan: str = "its config.json") -> None:
    """Copies weights into a network in float32, each exactly once.

    Args:
        network: the network.
        weights: by name.
        source: source of the weights, for messages.
        plan: source of the network's configuration, for messages.

    Raises:
        PellucidError: a tensor is missing, unexpected or of another shape.
    """
    own = network.state_dict()
    both = own.keys() & weights.keys()
    for problem, names in (
        ("lacks", own.keys() - weights.keys()),
        ("has the unknown", weights.keys() - own.keys()),
        ("has the wrong shape for", {name for name in both if own[name].shape != weights[name].shape}),
        ("has numbers of another kind for", {name for name in both if _kind(own[name]) != _kind(weights[name])}),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            name = min(names) if min(names).isprintable() else repr(min(names))
            raise PellucidError(f"{source}: does not fit {plan}: it {problem} {name}{more}")
    network.load_state_dict({name: _ready(weight) for name, weight in weights.items()}, assign=True)


def _kind(weight: Tensor) -> bool:
    """True for types with fractions; integers are quantised weights, whose scales are elsewhere."""
    return weight.is_floating_point()


def _ready(weight: Tensor) -> Tensor:
    weight = weight.to(torch.float32) if weight.is_floating_point() else weight
    # The last bits of a product depend on where its factors lie in memory, and files lay them anywhere.
    return weight.clone() if weight.data_ptr() % tensors.LINE else weight


def choose(network: nn.Module, label: int | None) -> None:
    """Sets the class of a class-conditional network, which has `classes` and `label`.

    Args:
        network: any network.
        label: the class, from 0; None for none.

    Raises:
        PellucidError: the network has no such class.
    """
    classes = getattr(network, "classes", 0)
    if label is None:
        return
    if not 0 <= label < classes:
        known = f"0 to {classes - 1}" if classes else "none"
        raise PellucidError(f"has no class {label}: there are {known}")
    network.label = label  # type: ignore[assignment]


def ready(network: nn.Module, device: str | torch.device) -> nn.Module:
    """Makes a loaded network a frozen function on its device, in the fastest memory layout for convolutions."""
    frozen = network.eval().requires_grad_(False).to(device)
    # Module.to takes memory_format, only the annotations of some releases do not say so.
    return frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
