"""Stable Diffusion 1.x, 2.x and SDXL as priors: folders in the layout of the diffusers library.

The library is imported only to load such a folder.

References:
    Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022.
        https://arxiv.org/abs/2112.10752
    Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis", 2023, section 2.2: the
        sizes as conditioning. https://arxiv.org/abs/2307.01952
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from . import conditioning, folder, limits, schedulers
from .autoencoder import Autoencoder
from .conditioning import Conditioning
from .family import LatentFamily
from .latent import Latent
from .schedulers import Training

_LARGEST = 16384

_LOG = logging.getLogger("pellucid")


class ConditionedUNet(nn.Module):
    """A `UNet2DConditionModel` with plain tensors as input and output, and a fixed conditioning.

    SDXL also gets sizes: the original's and the target's are those of its input image or tile, and nothing is cropped.

    Args:
        unet: the network.
        told: the conditioning.
        factor: pixels for each latent.
    """

    def __init__(self, unet: nn.Module, told: Conditioning, factor: int) -> None:
        super().__init__()
        self.unet, self.factor = unet, factor
        self.text: Tensor
        self.pooled: Tensor | None
        self.register_buffer("text", told.text)
        self.register_buffer("pooled", told.pooled)

    @property
    def family(self) -> str:
        """Name for people."""
        return "Stable Diffusion" if self.pooled is None else "SDXL"

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """See `VPNetwork`."""
        count = len(x)
        added = None
        if self.pooled is not None:
            height, width = (self.factor * size for size in x.shape[-2:])
            sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=x.dtype, device=x.device)
            added = {"text_embeds": self.pooled.expand(count, -1), "time_ids": sizes.expand(count, -1)}
        text = self.text.expand(count, -1, -1)
        out: Tensor = self.unet(x, t, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False)[0]
        return out


def matches(place: Path) -> bool:
    """True if a folder has a model of latent diffusion."""
    return (place / "vae" / "config.json").is_file() and (place / "unet" / "config.json").is_file()


def forces_zeros(place: Path) -> bool:
    """True if a folder's network takes zeros for no text, so that no text encoder is needed."""
    config = folder.read_json(place / "unet" / "config.json")
    index = folder.read_json(place / "model_index.json") if (place / "model_index.json").is_file() else {}
    return bool(index.get("force_zeros_for_empty_prompt", config.get("addition_embed_type") == "text_time"))


def load(
    place: Path, device: str | torch.device = "cpu", label: int | None = None, prompt: str | None = None
) -> Latent:
    """Loads a folder with unet/, vae/ and scheduler/, and for texts text_encoder/ and tokenizer/.

    Weights in single precision are mapped and read on first use; others are converted to float32.

    Args:
        place: the folder.
        device: where the networks go.
        label: rejected: the network has no classes.
        prompt: description of the picture; None for the model's value for no text.

    Raises:
        PellucidError: the folder lacks a part or holds another kind of model, or there is a prompt that cannot be read.
    """
    if (place / "unet_ema").exists():
        _LOG.warning("%s: unet/ is used, not unet_ema/", place)
    config = folder.read_json(place / "unet" / "config.json")
    vae_config = folder.read_json(place / "vae" / "config.json")
    scheduler = folder.read_json(place / "scheduler" / "scheduler_config.json")
    for part, found, wanted in (("unet", config, "UNet2DConditionModel"), ("vae", vae_config, "AutoencoderKL")):
        if found.get("_class_name") != wanted:
            raise PellucidError(f"{place / part}: holds a {found.get('_class_name')}; a {wanted} is needed")
    told = conditioning.zeros(config)
    if torch.device(device).type != "meta":
        told = conditioning.of_folder(place, config, prompt, forces_zeros(place))
    if told.note:
        _LOG.warning("%s", told.note)
    latent = assemble(
        place,
        config,
        vae_config,
        told,
        schedulers.read(scheduler, place),
        {part: folder.read_weights(place / part) for part in ("unet", "vae")},
        device,
    )
    folder.choose(latent.network, label)
    return latent


def assemble(
    source: Path,
    config: Mapping[str, Any],
    vae_config: Mapping[str, Any],
    told: Conditioning,
    training: Training,
    weights: Mapping[str, dict[str, Tensor]],
    device: str | torch.device,
) -> Latent:
    """Makes the prior from its parts.

    Args:
        source: where they come from, for messages.
        config: of the `UNet2DConditionModel`.
        vae_config: of the `AutoencoderKL`.
        told: the conditioning.
        training: the network's training.
        weights: of "unet" and "vae", by the names of diffusers.
        device: where the networks go.

    Raises:
        PellucidError: parts do not belong together, or weights do not fit.
    """
    from diffusers import UNet2DConditionModel

    latents = int(vae_config.get("latent_channels", 4))
    if int(config["in_channels"]) != latents or int(config["out_channels"]) != latents:
        raise PellucidError(
            f"{source}: its network takes {config['in_channels']} channels and its autoencoder makes {latents}: it is "
            "made for inpainting or editing; a prior is made for images alone"
        )
    multiple = 2 ** (min(len(config["block_out_channels"]), 64) - 1)
    factor = 2 ** (min(len(vae_config["block_out_channels"]), 64) - 1)
    try:
        limits.check_images(latents, latents, multiple * factor)
        with limits.described_by(len(weights["unet"])):
            unet: nn.Module = UNet2DConditionModel.from_config(dict(config))
    except PellucidError as error:
        raise PellucidError(f"{source}: {error}") from None
    folder.fill(unet, weights["unet"], source / "unet" if source.is_dir() else source)
    # In the layout that the files have: another one would be a copy of gigabytes.
    network = ConditionedUNet(unet, told, factor).eval().requires_grad_(False).to(device)
    return Latent(
        training.prior(network, channels=latents, multiple=multiple),
        autoencoder_of(source, vae_config, weights["vae"], device),
        _size(config, factor),
    )


def autoencoder_of(
    source: Path, config: Mapping[str, Any], weights: dict[str, Tensor], device: str | torch.device
) -> Autoencoder:
    """Makes an autoencoder from its parts.

    Args:
        source: where they come from, for messages.
        config: of the `AutoencoderKL`.
        weights: by the names of diffusers, old or new.
        device: where it goes.

    Raises:
        PellucidError: the autoencoder is of another kind, or weights do not fit.
    """
    from diffusers import AutoencoderKL

    if config.get("latents_mean") is not None:
        raise PellucidError(f"{source}: its autoencoder has latents_mean; a scaling and a shift factor alone are known")
    factor = 2 ** (min(len(config["block_out_channels"]), 64) - 1)
    try:
        with limits.described_by(len(weights)):
            vae: nn.Module = AutoencoderKL.from_config(dict(config))
    except PellucidError as error:
        raise PellucidError(f"{source}: {error}") from None
    # Old names of the autoencoder's attention.
    renamed = {_modern(name): weight for name, weight in weights.items()}
    folder.fill(vae, renamed, source / "vae" if source.is_dir() else source)
    # What diffusers and the published models take for a model that says nothing.
    scaling, shift = config.get("scaling_factor") or 0.18215, config.get("shift_factor") or 0.0
    return Autoencoder(
        vae.eval().requires_grad_(False).to(device),
        factor,
        channels=int(config.get("in_channels", 3)),
        latent_channels=int(config.get("latent_channels", 4)),
        scaling=float(scaling),
        shift=float(shift),
    )


def _size(config: Mapping[str, Any], factor: int) -> int:
    """Side in pixels of the images of a network's training."""
    size = config.get("sample_size")
    return size * factor if isinstance(size, int) and 0 < size * factor <= _LARGEST else 512


def _modern(name: str) -> str:
    """Name of a tensor in the releases of diffusers since 0.18."""
    if ".attentions." not in name:
        return name
    for old, new in ((".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")):
        name = name.replace(old, new)
    return name


FAMILY = LatentFamily(matches, load, ("unet", "vae"))
