"""Folders of networks without a class in the diffusers library: converted guided-diffusion and DDPM.

`config.json` names the network and holds its configuration; the weights keep their published names.
`scheduler/scheduler_config.json` describes the training, as in folders of the diffusers library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import PellucidError
from . import folder as files
from . import limits, schedulers
from .adapters import VPNetwork
from .diffusers import read_scheduler
from .family import NetworkFamily


def build(family: NetworkFamily, config: dict[str, Any], tensors: int) -> nn.Module:
    """Makes the network that a `config.json` describes, without weights.

    Args:
        family: its kind, which can be built.
        config: the file's content.
        tensors: number of tensors in its weights.

    Raises:
        TypeError: an unknown or a missing field.
        PellucidError: a value is out of range.
    """
    assert family.build is not None
    # JSON knows no tuples.
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    del given["_class_name"]
    with limits.described_by(tensors):
        return family.build(given)


def load(
    family: NetworkFamily, folder: Path, device: str | torch.device = "cpu", label: int | None = None
) -> VPNetwork:
    """Loads a converted network as a prior; see `checkpoint.load`, whose result it computes bit for bit.

    Args:
        family: its kind.
        folder: where it is.
        device: where the network goes.
        label: the class of the images, from 0, for a class-conditional network.

    Raises:
        PellucidError: the folder lacks a file, its weights do not fit its configuration, or the network has no such
            class.
    """
    root, training = files.root_of(folder), schedulers.read(read_scheduler(folder), folder)
    config, weights = files.read_json(root / "config.json"), files.read_weights(root)
    try:
        network: Any = build(family, config, len(weights))
        limits.check_images(network.channels, network.channels, network.multiple)
        files.choose(network, label)
        if training.prediction != "epsilon":
            raise PellucidError("a network of this kind predicts epsilon at discrete steps, and its scheduler differs")
    except PellucidError as error:
        raise PellucidError(f"{folder}: {error}") from None
    files.fill(network, weights, root)
    # The weights stay as the file has them: another memory layout would be a copy of them.
    ready: nn.Module = network.eval().requires_grad_(False).to(device)
    return VPNetwork(ready, training.sigmas, channels=network.channels, multiple=network.multiple)
