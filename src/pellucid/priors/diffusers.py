"""Folders in the layout of the diffusers library, with an unconditional `UNet2DModel`.

The library itself is imported only when such a folder is loaded: that import costs more than torch's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from ..noise import cosine_ladder, linear_ladder, scaled_linear_ladder, sigma_of
from . import folder as files
from .adapters import Prediction, VPNetwork

_PREDICTIONS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}


class _Network(nn.Module):
    """A UNet2DModel with plain tensors in and out, on patches where it was trained on patches."""

    def __init__(self, unet: nn.Module, patch: int) -> None:
        super().__init__()
        self.unet, self.patch = unet, patch

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        x = nn.functional.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.unet(x, t, return_dict=False)[0]
        return nn.functional.pixel_shuffle(out, self.patch).contiguous()


def load(folder: Path, device: str | torch.device = "cpu") -> VPNetwork:
    """Loads an unconditional diffusers model as a prior.

    The folder holds `config.json` and safetensors weights, itself or in `unet/`, and says how it was trained in
    `scheduler_config.json`, itself or in `scheduler/`. Half-precision weights are computed with in float32.

    Args:
        folder: the folder, or one in it that holds the network.
        device: where the network goes.

    Raises:
        PellucidError: the folder lacks a file, holds another kind of network, or its weights do not fit it exactly.
    """
    root = folder / "unet" if (folder / "unet" / "config.json").is_file() else folder
    config = files.read_json(root / "config.json")
    scheduler = _scheduler(folder)
    patch = int(config.pop("patch_size", 1))
    weights = files.read_weights(root)

    from diffusers import UNet2DModel

    unet = cast(nn.Module, UNet2DModel.from_config(config))
    files.fill(unet, weights, root)
    network = files.ready(_Network(unet, patch), device)
    levels = len(config["block_out_channels"])
    return VPNetwork(
        network,
        ladder_of(scheduler, folder),
        prediction_of(scheduler, folder),
        channels=int(config["in_channels"]) // patch**2,
        multiple=patch * 2 ** (levels - 1),
    )


def _scheduler(folder: Path) -> dict[str, Any]:
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
