"""Priors from single files of published tensors, recognised by the tensors' names and shapes.

No code in a file is run (`tensors`). Weights in single precision are read on first use.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import PellucidError
from . import families, folder, limits, stable_file, tensors
from .adapters import VPNetwork
from .family import Built
from .latent import Latent

_LOG = logging.getLogger("pellucid")

# What else people have, in the order in which it is asked for.
_OTHERS = (
    (r"lora|hada_w", "a LoRA, which changes another network and is none itself"),
    (
        r"diffusion_model\.|first_stage_model\.|transformer_blocks\.|conditioner\.",
        "a part of a latent diffusion model, or one of another kind",
    ),
    (r"(down|up)_blocks\.", "a network of the diffusers library: give the folder that also holds its config.json"),
    (
        r"text_model\.|token_embedding|word_embeddings|embed_tokens|position_embedding|\bwte\b|self_attn|encoder\.layer",
        "a model of text",
    ),
    (r"(encoder|decoder)\.(down|up|mid)\.|quant_conv", "an autoencoder, which makes no images out of noise"),
    (r"input_blocks\..*in_layers", "a classifier of guided-diffusion, which names classes"),
)


def load(
    path: str | Path,
    device: str | torch.device = "cpu",
    *,
    label: int | None = None,
    heads: int | None = None,
    head_channels: int | None = None,
    order: Literal["legacy", "new"] | None = None,
    prompt: str | None = None,
) -> VPNetwork | Latent:
    """Loads a published checkpoint as a prior with frozen weights; half precision is converted to float32.

    The networks of `families`, of guided-diffusion and DDPM, are recognised, also where a list or dictionaries hold
    their tensors beside a training's other states. An average of the weights (EMA) goes before the weights themselves.
    What was found is said to the logger "pellucid"; what the tensors do not say and no table knows, as a warning.
    Stable Diffusion and SDXL (`stable_file`) become a `Latent`.

    Args:
        path: a .pt, .pth, .ckpt, .bin or .safetensors file.
        device: device of the network.
        label: the class of the images, from 0, for a class-conditional network; see `GuidedUNet`.
        heads: number of heads of a custom guided-diffusion network, which its tensors do not show; see `GuidedConfig`.
        head_channels: likewise.
        order: likewise.
        prompt: see `load_prior`.

    Raises:
        PellucidError: the file is damaged, holds more than tensors, or another kind of network; or the heads or the
            class do not suit the network.
    """
    path = Path(path)
    told = {"heads": heads, "head_channels": head_channels, "order": order}
    known: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
    if head_channels is not None:
        known.setdefault("heads", None)
    try:
        content = tensors.read(path)
        latent = _latent(content, path, device, prompt)
        if latent is not None:
            folder.choose(latent.network, label)
            return latent
        weights, part = _network(content)
        network, ladder, found, assumed = _build(weights, known)
        limits.check_images(network.channels, network.channels, network.multiple)
        folder.choose(network, label)
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None
    folder.fill(network, weights, path, "what its other tensors describe")
    # The weights stay as the file has them: another memory layout would be a copy of them.
    network = network.eval().requires_grad_(False).to(device)
    _LOG.info("%s: %s", path, found + part)
    if assumed:
        _LOG.warning("%s: %s", path, assumed)
    return VPNetwork(network, ladder, channels=network.channels, multiple=network.multiple)


def _latent(content: Any, path: Path, device: str | torch.device, prompt: str | None) -> Latent | None:
    """Model of latent diffusion in a file; None if there is none."""
    found = stable_file.state_of(content)
    if found is None:
        return None
    place, state = found
    _LOG.info("%s: a model of latent diffusion%s", path, f" (its part {place})" if place else "")
    return stable_file.load(state, path, device, prompt, folder.read_metadata(path))


def _build(weights: dict[str, Tensor], known: dict[str, Any]) -> Built:
    """The network without its weights, its training ladder, what it is, and what of that is assumed."""
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    family = families.of_tensors(weights)
    if family is not None and family.infer is not None:
        return family.infer(shapes, known)
    raise PellucidError(_other(list(weights)))


def _other(names: list[str]) -> str:
    """Name of the kind of a checkpoint that is no prior."""
    for pattern, what in _OTHERS:
        if any(re.search(pattern, name) for name in names):
            return f"holds {what}; a prior is a diffusion model of pixels"
    some = ", ".join(name if name.isprintable() else repr(name) for name in names[:3])
    some += " ..." if len(names) > 3 else ""
    return f"holds no network that is known here (its tensors: {some})"


# --- which tensors ---------------------------------------------------------------------------------------------------


def _network(content: Any) -> tuple[dict[str, Tensor], str]:
    """Selects the tensors of one network in a file, with their place in it."""
    states = [found for place, state in tensors.states(content) for found in _bare(place, state)]
    if not states:
        raise PellucidError("holds no named tensors, so no network")
    fitting = [s for s in states if families.of_tensors(s[1]) is not None]
    if not fitting:
        return max(states, key=lambda s: len(s[1]))[1], ""
    averages = [s for s in fitting if "ema" in s[0].lower()]
    # Lists are [weights, optimiser, epoch, step, average], as the code of DDIM writes them.
    place, weights = averages[0] if averages else fitting[-1 if isinstance(content, list | tuple) else 0]
    # DDPM's loss may leave a variance beside the network.
    weights.pop("logvar", None)
    return weights, f" (its part {place})" if place else ""


# A tensor that each network of a family has, and no other part of a model.
_ANCHORS = ("time_embed.0.weight", "temb.dense.0.weight")
_WRAPPED = re.compile(r"^(module\.|_orig_mod\.)+")


def _bare(place: str, state: dict[str, Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    """Networks among named tensors, without the prefixes that training codes add.

    Wrapper modules leave "module.", "model.", "ema_model.module." or "denoise_fn." in the names; there may be several
    networks. Those of latent diffusion keep their prefix: without it they would look like networks of pixels.
    """
    state = {name: tensor.detach() for name, tensor in state.items()}
    prefixes = {
        name.removesuffix(anchor)
        for name in state
        for anchor in _ANCHORS
        if name.endswith(anchor) and not re.search(r"(^|\.)(diffusion_model|control_model)\.", name)
    }
    within = [prefix for prefix in sorted(prefixes) if prefix.endswith(".")]
    if not within or "" in prefixes:
        return [(place, {_WRAPPED.sub("", name): tensor for name, tensor in state.items()})]
    return [
        (
            f"{place}.{_WRAPPED.sub('', prefix)}".strip("."),
            {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)},
        )
        for prefix in within
    ]
