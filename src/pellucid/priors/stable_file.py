"""Stable Diffusion 1.x, 2.x and SDXL in one file, in the layout of their original code.

Shapes determine the networks' widths, levels and attention. Other properties come from the published models: the heads
(8, or of 64 channels for linear projections in the attention), the schedule, the autoencoder's scaling. The converters
of diffusers rename the tensors, without downloads.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError
from ..maths.noise import scaled_linear_ladder
from . import conditioning, stable, tensors
from .adapters import Prediction
from .latent import Latent
from .schedulers import Training

_LOG = logging.getLogger("pellucid")

_UNET, _VAE = "model.diffusion_model.", "first_stage_model."
Shapes = Mapping[str, tuple[int, ...]]


def state_of(content: Any) -> tuple[str, dict[str, Tensor]] | None:
    """Complete model of latent diffusion in this layout in the content of a file.

    Args:
        content: see `tensors.read`.

    Returns:
        Its place in the content, and the tensors by name; None if there is none.
    """
    wanted = {f"{_UNET}input_blocks.0.0.weight", f"{_VAE}decoder.conv_in.weight"}
    return next(((place, state) for place, state in tensors.states(content) if wanted <= state.keys()), None)


def load(
    weights: dict[str, Tensor],
    source: Path,
    device: str | torch.device,
    prompt: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Latent:
    """Makes a prior of the tensors of a file; see `stable.load`.

    Args:
        weights: by name.
        source: the file, for messages.
        device: device of the networks.
        prompt: must be None: a single file has no tokenizer.
        metadata: metadata of the file.

    Raises:
        PellucidError: the model is of another kind, or there is a prompt.
    """
    if prompt:
        raise PellucidError("a single file has no tokenizer to read a prompt with: name the model's folder")
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    config = unet_config(shapes)
    xl = config.get("addition_embed_type") == "text_time"
    vae_config = vae_config_of(shapes) | {"scaling_factor": 0.13025 if xl else 0.18215}
    parts = {
        "unet": convert_ldm_unet_checkpoint(weights, config),
        "vae": convert_ldm_vae_checkpoint({k: v for k, v in weights.items() if k.startswith(_VAE)}, vae_config),
    }
    meta = torch.device(device).type == "meta"
    # SDXL was trained with zeros for no text.
    told = conditioning.zeros(config) if meta or xl else conditioning.of_file(weights, config)
    if told.note:
        _LOG.warning("%s: %s", source, told.note)
    prediction = _said(weights, metadata or {})
    prior = stable.assemble(
        source, config, vae_config, told, Training(scaled_linear_ladder(), prediction or "epsilon"), parts, device
    )
    # Stable Diffusion 2 was published with both, and nothing but what it says tells which.
    if prediction is None and config["cross_attention_dim"] == _SD2_TEXT:
        if meta:
            prior.certain = False
        else:
            prior.prior.prediction = _seen(prior)  # type: ignore[attr-defined]
    return prior


# --- what the shapes say ---------------------------------------------------------------------------------------------

_SD2_TEXT = 1024
_REFINER_TEXT = 1280


def unet_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of the `UNet2DConditionModel` with these shapes of tensors.

    Raises:
        PellucidError: the model is SDXL's refiner, or has no attention to a text.
    """
    shapes = {name[len(_UNET) :]: shape for name, shape in shapes.items() if name.startswith(_UNET)}
    levels = _levels(shapes)
    texts = {shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")}
    if len(texts) != 1:
        raise PellucidError("holds a network that reads no text: no Stable Diffusion that is known here")
    linear = any(len(shape) == 2 for name, shape in shapes.items() if name.endswith(".proj_in.weight"))
    attends = [max(depths) > 0 for _, depths in levels]
    config: dict[str, Any] = {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": [width for width, _ in levels],
        "layers_per_block": len(levels[0][1]),
        "down_block_types": ["CrossAttnDownBlock2D" if has else "DownBlock2D" for has in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(attends)],
        "transformer_layers_per_block": [max(1, *depths) for _, depths in levels],
        "cross_attention_dim": texts.pop(),
        "use_linear_projection": linear,
        "attention_head_dim": [max(1, width // 64) for width, _ in levels] if linear else 8,
        "sample_size": 64,
    }
    depth = _depth(shapes, "middle_block.1.")
    if depth != config["transformer_layers_per_block"][-1]:
        config["transformer_layers_per_block"][-1] = depth
    if "label_emb.0.0.weight" in shapes:
        if config["cross_attention_dim"] == _REFINER_TEXT:
            raise PellucidError("holds SDXL's refiner, which knows low noise alone: take SDXL's base model")
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1],
            "sample_size": 128,
        }
    return config


def _levels(shapes: Shapes) -> list[tuple[int, list[int]]]:
    """Width of each level, and for each of its blocks the number of attention layers."""
    levels: list[tuple[int, list[int]]] = []
    depths: list[int] = []
    width = 0
    for i in range(
        1, 1 + sum(bool(re.fullmatch(r"input_blocks\.\d+\.0\.(in_layers\.0|op)\.weight", n)) for n in shapes)
    ):
        if f"input_blocks.{i}.0.op.weight" in shapes:
            levels.append((width, depths))
            depths = []
        else:
            width = shapes[f"input_blocks.{i}.0.in_layers.2.weight"][0]
            depths.append(_depth(shapes, f"input_blocks.{i}.1."))
    return [*levels, (width, depths)]


def _depth(shapes: Shapes, block: str) -> int:
    found = {
        match[1] for name in shapes if (match := re.match(re.escape(block) + r"transformer_blocks\.(\d+)\.", name))
    }
    return len(found)


def vae_config_of(shapes: Shapes) -> dict[str, Any]:
    """Configuration of the `AutoencoderKL` with these shapes of tensors."""
    shapes = {name[len(_VAE) :]: shape for name, shape in shapes.items() if name.startswith(_VAE)}
    found = [re.match(r"encoder\.down\.(\d+)\.block\.(\d+)\.conv1\.weight", name) for name in shapes]
    blocks = [(int(match[1]), int(match[2])) for match in found if match]
    levels = 1 + max(level for level, _ in blocks)
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": [shapes[f"encoder.down.{level}.block.0.conv1.weight"][0] for level in range(levels)],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": 1 + max(block for _, block in blocks),
    }


# --- what they do not say --------------------------------------------------------------------------------------------


def _said(weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Prediction | None:
    """Predicted quantity of the network, if the file states it."""
    if "v_pred" in weights or metadata.get("modelspec.prediction_type") == "v":
        return "v"
    return "epsilon" if metadata.get("modelspec.prediction_type") == "epsilon" else None


def _seen(latent: Latent) -> Prediction:
    """Predicted quantity of the network, by its output for noise: either the noise, or the remaining image."""
    x = torch.randn(1, latent.channels, 32, 32, generator=torch.Generator().manual_seed(0))
    network = latent.network
    home = network.text.device
    with torch.no_grad():
        answer = network(x.to(home), torch.tensor([999.0], device=home)).cpu()
    return "epsilon" if (answer * x).mean() > 0.5 * x.square().mean() else "v"
