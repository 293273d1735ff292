"""Folders in the layout of the diffusers library, with a `UNet2DModel`.

The library itself is imported only when such a folder is loaded: that import costs more than torch's own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from ..noise import cosine_ladder, linear_ladder, scaled_linear_ladder, sigma_of
from . import folder as files
from .adapters import Prediction, VPNetwork

_PREDICTIONS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}


# Attention's layers as the library named them before its release 0.16, in whose days many models were published.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class UNet(nn.Module):
    """A UNet2DModel with plain tensors in and out, on patches where it was trained on patches.

    Args:
        unet: the model.
        patch: side of the squares of pixels that are channels at its entry.
        scheduler: how it was trained, as its `scheduler_config.json` says.

    Attributes:
        classes: how many it was trained with; 0 for an unconditional network.
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
        """Predicts what the scheduler says, (B, C, H, W), or (B, 2 C, H, W) with a learned variance behind it."""
        labels = torch.full_like(t, self.label or 0, dtype=torch.long) if self.classes else None
        x = nn.functional.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.unet(x, t, labels, return_dict=False)[0]
        return nn.functional.pixel_shuffle(out, self.patch).contiguous()


def load(folder: Path, device: str | torch.device = "cpu", label: int | None = None) -> VPNetwork:
    """Loads a diffusers model of pixels as a prior.

    The folder holds `config.json` and its weights, itself or in `unet/`, and says how it was trained in
    `scheduler_config.json`, itself or in `scheduler/`. Half-precision weights are computed with in float32.

    Args:
        folder: the folder, or one in it that holds the network.
        device: where the network goes.
        label: the class of the images, from 0, for a class-conditional network; see `UNet`.

    Raises:
        PellucidError: the folder lacks a file, holds another kind of network, or its weights do not fit it exactly; the
            network has no such class.
    """
    root = files.root_of(folder)
    config = files.read_json(root / "config.json")
    scheduler = read_scheduler(folder)
    patch = int(config.pop("patch_size", 1))
    if config.get("class_embed_type") is not None:
        raise PellucidError(f"{folder}: its classes are no numbers (class_embed_type {config['class_embed_type']!r})")
    weights = {_renamed(name): weight for name, weight in files.read_weights(root).items()}

    from diffusers import UNet2DModel

    unet = cast(nn.Module, UNet2DModel.from_config(config))
    files.fill(unet, weights, root)
    network = UNet(unet, patch, scheduler)
    try:
        files.choose(network, label)
    except PellucidError as error:
        raise PellucidError(f"{folder}: {error}") from None
    levels = len(config["block_out_channels"])
    return VPNetwork(
        files.ready(network, device),
        ladder_of(scheduler, folder),
        prediction_of(scheduler, folder),
        channels=int(config["in_channels"]) // patch**2,
        multiple=patch * 2 ** (levels - 1),
        # Where nothing is said, a network of twice the channels is taken for one of the published kind.
        ranged=scheduler.get("variance_type") != "learned",
    )


def _renamed(name: str) -> str:
    return re.sub(
        rf"(attentions\.\d+\.)({'|'.join(_OLD_NAMES)})\.", lambda found: f"{found[1]}{_OLD_NAMES[found[2]]}.", name
    )


def read_scheduler(folder: Path) -> dict[str, Any]:
    """Reads how a folder's network was trained.

    Raises:
        PellucidError: nothing in the folder says it.
    """
    for place in (folder, folder / "scheduler", folder.parent / "scheduler"):
        if (place / "scheduler_config.json").is_file():
            return files.read_json(place / "scheduler_config.json")
    raise PellucidError(f"{folder}: no scheduler_config.json, which says at which noise levels it was trained")


def prediction_of(scheduler: dict[str, Any], source: Path) -> Prediction:
    """What a network predicts that was trained with a diffusers scheduler of this configuration.

    Raises:
        PellucidError: something that is not known here.
    """
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        raise PellucidError(f"{source}: its network predicts {prediction!r}; epsilon, v_prediction or sample is needed")
    return _PREDICTIONS[prediction]


def ladder_of(scheduler: dict[str, Any], source: Path) -> Tensor:
    """The training ladder that a diffusers scheduler configuration describes, ascending sigmas.

    Raises:
        PellucidError: its schedule is none that is known here.
    """
    steps = int(scheduler.get("num_train_timesteps", 1000))
    if scheduler.get("trained_betas") is not None:
        betas = torch.tensor(scheduler["trained_betas"], dtype=torch.float64)
        return sigma_of((1 - betas).cumprod(0))
    kind = scheduler.get("beta_schedule", "linear")
    ends = (float(scheduler.get("beta_start", 1e-4)), float(scheduler.get("beta_end", 0.02)))
    if kind == "linear":
        return linear_ladder(steps, *ends)
    if kind == "scaled_linear":
        return scaled_linear_ladder(steps, *ends)
    if kind == "squaredcos_cap_v2":
        return cosine_ladder(steps)
    raise PellucidError(
        f"{source}: unknown beta_schedule {kind!r}; linear, scaled_linear or squaredcos_cap_v2 is needed"
    )
