"""Models of the diffusers library with a `UNet2DModel`, as folders and as objects.

The library is imported only to load such a folder, since its import takes longer than torch's.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError
from . import folder as files
from . import limits, schedulers
from .adapters import VPNetwork
from .denoisers import frozen
from .family import NetworkFamily
from .forms import Consistency, Formed
from .schedulers import Training

_LOG = logging.getLogger("pellucid")

# Attention's layers as the library named them before its release 0.16, in whose days many models were published.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class UNet(nn.Module):
    """A UNet2DModel with plain tensors as input and output, on patches if it was trained on patches.

    Args:
        unet: the model.
        patch: side of the squares of pixels that become channels at its input.
        scheduler: its training by `scheduler_config.json`.

    Attributes:
        classes: number of classes of its training; 0 for an unconditional network.
        label: the class of the images, from 0, for a class-conditional network. None takes the mean of the classes'
            embeddings, as `GuidedUNet` does.
    """

    def __init__(self, unet: nn.Module, patch: int, scheduler: dict[str, Any]) -> None:
        super().__init__()
        self.unet, self.patch, self.scheduler = unet, patch, scheduler
        embedding = getattr(unet, "class_embedding", None)
        self.classes = embedding.num_embeddings if isinstance(embedding, nn.Embedding) else 0
        self.label: int | None = None
        if isinstance(embedding, nn.Embedding):
            embedding.register_forward_hook(self._without_label)

    def _without_label(self, embedding: nn.Module, _: Any, chosen: Tensor) -> Tensor:
        assert isinstance(embedding, nn.Embedding)
        return chosen if self.label is not None else embedding.weight.mean(0).expand_as(chosen)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicts the scheduler's quantity, (B, C, H, W), or (B, 2 C, H, W) with a learned variance after it."""
        labels = torch.full_like(t, self.label or 0, dtype=torch.long) if self.classes else None
        x = nn.functional.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.unet(x, t, labels, return_dict=False)[0]
        return nn.functional.pixel_shuffle(out, self.patch).contiguous()


def load(folder: Path, device: str | torch.device = "cpu", label: int | None = None) -> VPNetwork | Formed:
    """Loads a diffusers model of pixels as a prior.

    `config.json` and the weights are in the folder or in `unet/`. `scheduler_config.json`, in the folder or in
    `scheduler/`, describes the training; see `schedulers`. Half-precision weights are converted to float32.

    Args:
        folder: the folder, or its subfolder of the network.
        device: device of the network.
        label: the class of the images, from 0, for a class-conditional network; see `UNet`.

    Raises:
        PellucidError: the folder lacks a file, holds another kind of network or one with an unknown training, or its
            weights do not fit exactly; or the network has no such class.
    """
    root = files.root_of(folder)
    config = files.read_json(root / "config.json")
    scheduler = read_scheduler(folder)
    training = schedulers.read(scheduler, folder)
    patch = config.pop("patch_size", 1)
    weights = {_renamed(name): weight for name, weight in files.read_weights(root).items()}
    try:
        shape = shape_of(config, patch)
        with limits.described_by(len(weights)):
            unet = _unet(config)
    except PellucidError as error:
        raise PellucidError(f"{folder}: {error}") from None
    files.fill(unet, weights, root)
    network = UNet(unet, patch, scheduler)
    try:
        files.choose(network, label)
    except PellucidError as error:
        raise PellucidError(f"{folder}: {error}") from None
    said(training, folder)
    return training.prior(files.ready(network, device), channels=shape.channels, multiple=shape.multiple)


def of_objects(unet: nn.Module, scheduler: Any, label: int | None = None) -> VPNetwork | Formed:
    """Makes a prior of a `UNet2DModel` and a scheduler of the diffusers library.

    The network's weights are used without a copy, frozen and in inference mode; the model itself does not change.

    Args:
        unet: the model.
        scheduler: scheduler of its training; None for DDPM's, with a warning.
        label: see `load`.

    Raises:
        UsageError: the model is of another kind.
        PellucidError: its training is unknown, or it has no such class.
    """
    name = type(unet).__name__
    if name != "UNet2DModel":
        raise UsageError(f"a pipeline's network must be a UNet2DModel, not a {name}: name the whole model's folder")
    if scheduler is None:
        told: dict[str, Any] = {"_class_name": "DDPMScheduler"}
        _LOG.warning("a %s does not say how it was trained: DDPM's is assumed; else give (unet, scheduler)", name)
    else:
        told = {**scheduler.config, "_class_name": type(scheduler).__name__}
    config: dict[str, Any] = dict(cast(Any, unet).config)
    training, shape = schedulers.read(told, name), shape_of(config, 1)
    network = UNet(cast(nn.Module, frozen(unet)), 1, told)
    files.choose(network, label)
    said(training, name)
    return training.prior(network.eval(), channels=shape.channels, multiple=shape.multiple)


class UNetShape(NamedTuple):
    """Shape of the images that a network takes.

    Attributes:
        channels: image channels.
        multiple: divisor of height and width.
    """

    channels: int
    multiple: int


def shape_of(config: Mapping[str, Any], patch: Any) -> UNetShape:
    """Shape of the images that a `UNet2DModel` takes.

    Raises:
        PellucidError: its numbers describe no network of images.
    """
    if config.get("class_embed_type") is not None:
        raise PellucidError(f"its classes are no numbers (class_embed_type {config['class_embed_type']!r})")
    if isinstance(patch, bool) or not isinstance(patch, int) or not 1 <= patch <= limits.MULTIPLE:
        raise PellucidError(f"its patch_size must be from 1 to {limits.MULTIPLE}, not {patch!r:.40}")
    inside, made = (int(config.get(name, 3)) for name in ("in_channels", "out_channels"))
    if inside % patch**2:
        raise PellucidError(f"its {inside} channels are no squares of {patch} x {patch} pixels")
    multiple = patch * 2 ** (min(len(config["block_out_channels"]), 64) - 1)
    limits.check_images(inside, made, multiple)
    return UNetShape(inside // patch**2, multiple)


def said(training: Training, source: Path | str) -> None:
    """Warns that a distilled network is no posterior mean."""
    if isinstance(training.form, Consistency):
        _LOG.warning("%s: a consistency model gives one sharp image of many, where methods expect their mean", source)


def _unet(config: Mapping[str, Any]) -> nn.Module:
    from diffusers import UNet2DModel

    return cast(nn.Module, UNet2DModel.from_config(dict(config)))


def _renamed(name: str) -> str:
    return re.sub(
        rf"(attentions\.\d+\.)({'|'.join(_OLD_NAMES)})\.", lambda found: f"{found[1]}{_OLD_NAMES[found[2]]}.", name
    )


def read_scheduler(folder: Path) -> dict[str, Any]:
    """Reads the training of a folder's network.

    Raises:
        PellucidError: the folder has no description of it.
    """
    for place in (folder, folder / "scheduler", folder.parent / "scheduler"):
        if (place / "scheduler_config.json").is_file():
            return files.read_json(place / "scheduler_config.json")
    raise PellucidError(f"{folder}: no scheduler_config.json, which says at which noise levels it was trained")


def _to_json(network: UNet) -> dict[str, Any]:
    unet: Any = network.unet
    # What is no square of pixels is left out, so that the file is the library's own.
    own: dict[str, Any] = json.loads(unet.to_json_string())
    return own | ({"patch_size": network.patch} if network.patch > 1 else {})


def _describe(network: UNet) -> dict[str, Any]:
    unet: Any = network.unet
    size, head = unet.config.get("sample_size"), unet.config.get("attention_head_dim")
    attends = any("Attn" in block for block in unet.config["down_block_types"])
    return {
        "size": size * network.patch if isinstance(size, int) else None,
        "learned_sigma": unet.config["out_channels"] == 2 * unet.config["in_channels"]
        and network.scheduler.get("variance_type") != "learned",
        "classes": network.classes,
        "heads": (f"of {head} channels" if head else "1") if attends else "",
    }


FAMILY = NetworkFamily("diffusers UNet2DModel", UNet, "UNet2DModel", to_json=_to_json, load=load, describe=_describe)
