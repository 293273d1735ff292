"""Stable Diffusion 3 and FLUX as priors of latents: folders in the layout of the diffusers library.

Their transformers predict the velocity of flow matching; see `forms.Flow`. They get zeros in place of a text. Stable
Diffusion 3 was trained so for no text; FLUX was not, which gives a warning. The library is imported only to load such a
folder.

References:
    Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024.
        https://arxiv.org/abs/2403.03206
    FLUX.1, Black Forest Labs, 2024. https://github.com/black-forest-labs/flux
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from . import folder, limits, schedulers, stable
from .family import LatentFamily
from .forms import Flow
from .latent import Latent

_LOG = logging.getLogger("pellucid")


class _Told(nn.Module):
    """A transformer with plain tensors as input and output, and zeros for the text.

    Args:
        unet: the transformer.
        config: its configuration.
        steps: the scheduler's time for pure noise.
    """

    family: str
    tokens: int

    def __init__(self, unet: nn.Module, config: Mapping[str, Any], steps: float) -> None:
        super().__init__()
        self.unet, self.steps = unet, steps
        self.text: Tensor
        self.pooled: Tensor
        self.register_buffer("text", torch.zeros(1, self.tokens, int(config["joint_attention_dim"])))
        self.register_buffer("pooled", torch.zeros(1, int(config["pooled_projection_dim"])))


class StableDiffusion3(_Told):
    """Transformer of Stable Diffusion 3; texts are 77 tokens of CLIP and 256 of T5."""

    family, tokens = "Stable Diffusion 3", 333

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicts the velocity of x, (B, c, h, w), at times, (B,)."""
        out: Tensor = self.unet(
            hidden_states=x,
            encoder_hidden_states=self.text.expand(len(x), -1, -1),
            pooled_projections=self.pooled.expand(len(x), -1),
            timestep=t,
            return_dict=False,
        )[0]
        return out


class Flux(_Told):
    """Transformer of FLUX: its tokens are squares of 2 x 2 latents, with positions of two numbers and a zero."""

    family, tokens = "FLUX", 512

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicts the velocity of x, (B, c, h, w), at times, (B,)."""
        height, width = (side // 2 for side in x.shape[-2:])
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = torch.stack([torch.zeros_like(rows), rows, columns], -1).view(-1, 3).to(x)
        # Guidance that was distilled into the network: 1 is none.
        guidance = x.new_ones(len(x)) if self.unet.config["guidance_embeds"] else None  # type: ignore[index]
        out: Tensor = self.unet(
            hidden_states=nn.functional.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2),
            encoder_hidden_states=self.text.expand(len(x), -1, -1),
            pooled_projections=self.pooled.expand(len(x), -1),
            timestep=t / self.steps,
            img_ids=places,
            txt_ids=x.new_zeros(self.tokens, 3),
            guidance=guidance,
            return_dict=False,
        )[0]
        return nn.functional.pixel_shuffle(out.transpose(1, 2).unflatten(2, (height, width)), 2)


_KINDS: dict[str, type[StableDiffusion3 | Flux]] = {
    "SD3Transformer2DModel": StableDiffusion3,
    "FluxTransformer2DModel": Flux,
}


def matches(place: Path) -> bool:
    """True if a folder holds a transformer of latents."""
    return (place / "transformer" / "config.json").exists()


def load(
    place: Path, device: str | torch.device = "cpu", label: int | None = None, prompt: str | None = None
) -> Latent:
    """Loads a folder with transformer/, vae/ and scheduler/.

    Args:
        place: the folder.
        device: device of the networks.
        label: rejected: the network has no classes.
        prompt: rejected: texts for these models are not supported.

    Raises:
        PellucidError: the folder lacks a part or holds another kind of model, or there is a prompt.
    """
    config = folder.read_json(place / "transformer" / "config.json")
    name = str(config.get("_class_name"))
    if name not in _KINDS:
        raise PellucidError(f"{place / 'transformer'}: holds a {name}; known are {' and '.join(_KINDS)}")
    if prompt:
        raise PellucidError(f"{place}: prompts are read by Stable Diffusion 1, 2 and XL: leave it out")
    vae_config = folder.read_json(place / "vae" / "config.json")
    if vae_config.get("_class_name") != "AutoencoderKL":
        raise PellucidError(f"{place / 'vae'}: holds a {vae_config.get('_class_name')}; an AutoencoderKL is needed")
    training = schedulers.read(folder.read_json(place / "scheduler" / "scheduler_config.json"), place)
    if not isinstance(training.form, Flow):
        raise PellucidError(f"{place}: its scheduler is none of flow matching, and its network is a {name}")
    import diffusers

    weights = folder.read_weights(place / "transformer")
    vae = stable.autoencoder_of(place, vae_config, folder.read_weights(place / "vae"), device)
    kind, packed = _KINDS[name], 4 if name.startswith("Flux") else 1
    if int(config["in_channels"]) != packed * vae.latent_channels:
        raise PellucidError(
            f"{place}: its network takes {config['in_channels']} channels and its autoencoder makes "
            f"{vae.latent_channels}: it is made for editing; a prior is made for images alone"
        )
    multiple = 2 if packed > 1 else int(config.get("patch_size", 2))
    try:
        limits.check_images(vae.latent_channels, vae.latent_channels, multiple * vae.factor)
        with limits.described_by(len(weights)):
            transformer: nn.Module = getattr(diffusers, name).from_config(config)
    except PellucidError as error:
        raise PellucidError(f"{place}: {error}") from None
    folder.fill(transformer, weights, place / "transformer")
    network = kind(transformer, config, training.form.steps).eval().requires_grad_(False).to(device)
    folder.choose(network, label)
    if kind is Flux and torch.device(device).type != "meta":
        _LOG.warning("%s: zeros replace the empty text, unlike in its training", place)
    return Latent(training.prior(network, channels=vae.latent_channels, multiple=multiple), vae, 1024)


FAMILY = LatentFamily(matches, load, ("transformer", "vae"))
