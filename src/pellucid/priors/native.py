"""Folders of networks that have no class in the diffusers library: those of guided-diffusion and DDPM, as converted.

`config.json` names the network and holds its configuration; the weights keep their published names. How it was trained
is in `scheduler/scheduler_config.json`, as in folders of the diffusers library.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import PellucidError
from . import folder as files
from .adapters import VPNetwork
from .ddpm import DDPMConfig, DDPMUNet
from .diffusers import ladder_of, read_scheduler
from .guided import GuidedConfig, GuidedUNet

NAMES = ("GuidedUNet", "DDPMUNet")
"""What `_class_name` of a `config.json` can be."""


def to_json(network: GuidedUNet | DDPMUNet) -> dict[str, Any]:
    """The content of `config.json`; `build` is its inverse."""
    return {"_class_name": type(network).__name__, **asdict(network.config)}


def build(config: dict[str, Any]) -> GuidedUNet | DDPMUNet:
    """Makes the network that a `config.json` describes, without weights.

    Raises:
        TypeError: an unknown field, or none that is needed.
        PellucidError: a value is out of range.
    """
    # JSON knows no tuples.
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    with torch.device("meta"):
        if given.pop("_class_name") == "GuidedUNet":
            return GuidedUNet(GuidedConfig(**given))
        return DDPMUNet(DDPMConfig(**given))


def load(folder: Path, device: str | torch.device = "cpu", label: int | None = None) -> VPNetwork:
    """Loads a converted network as a prior; see `checkpoint.load`, whose result it computes bit for bit.

    Raises:
        PellucidError: the folder lacks a file, or its weights do not fit its configuration; the network has no such
            class.
    """
    root, ladder = files.root_of(folder), ladder_of(read_scheduler(folder), folder)
    try:
        network = build(files.read_json(root / "config.json"))
        files.choose(network, label)
    except PellucidError as error:
        raise PellucidError(f"{folder}: {error}") from None
    files.fill(network, files.read_weights(root), root)
    # The weights stay as the file has them: another memory layout would be a copy of them.
    ready: nn.Module = network.eval().requires_grad_(False).to(device)
    return VPNetwork(ready, ladder, channels=network.channels, multiple=network.multiple)
