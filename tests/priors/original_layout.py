"""Tensors of diffusers by the names that the code had which Stable Diffusion and SDXL were published with."""

from __future__ import annotations

import re

import torch
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet(weights: dict[str, Tensor], layers: int, attends: list[bool]) -> dict[str, Tensor]:
    """A `UNet2DConditionModel`'s tensors; `attends` says of each level, the finest first, whether it has attention."""
    named = {}
    for name, weight in weights.items():
        stem, kind = name.rsplit(".", 1)
        named[f"model.diffusion_model.{_unet_name(stem, layers, attends)}.{kind}"] = weight
    return named


def _unet_name(stem: str, layers: int, attends: list[bool]) -> str:
    if stem in _OUTSIDE:
        return _OUTSIDE[stem]
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", stem):
        place = "1" if match[1] == "attentions" else str(2 * int(match[2]))
        return f"middle_block.{place}.{_within(match[1], match[3])}"
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", stem)
    assert match is not None
    side, level, part, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if side == "down":
        if part == "downsamplers":
            return f"input_blocks.{(level + 1) * (layers + 1)}.0.op"
        return f"input_blocks.{1 + level * (layers + 1) + layer}.{int(part == 'attentions')}.{_within(part, rest)}"
    if part == "upsamplers":
        return f"output_blocks.{level * (layers + 1) + layers}.{1 + attends[::-1][level]}.conv"
    return f"output_blocks.{level * (layers + 1) + layer}.{int(part == 'attentions')}.{_within(part, rest)}"


def _within(part: str, rest: str) -> str:
    return _RESNET[rest] if part == "resnets" else rest


def vae(weights: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
    """An `AutoencoderKL`'s tensors."""
    named = {}
    for name, weight in weights.items():
        attention = ".attentions." in name
        for old, new in _ATTENTION.items() if attention else ():
            name = name.replace(f"attentions.0.{old}.", f"attn_1.{new}.")
        name = (
            name.replace("mid_block.", "mid.")
            .replace("conv_norm_out", "norm_out")
            .replace("conv_shortcut", "nin_shortcut")
        )
        name = re.sub(r"mid\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
        # Its attention was made of convolutions.
        named[f"first_stage_model.{name}"] = weight[..., None, None] if attention and weight.ndim == 2 else weight
    return named


_OPENCLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
    "embeddings.token_embedding": "token_embedding",
    "final_layer_norm": "ln_final",
}


def openclip(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP text model's tensors by OpenCLIP's names, in which queries, keys and values are one matrix."""
    named = {}
    for name, weight in weights.items():
        name = name.removeprefix("text_model.")
        if name == "embeddings.position_embedding.weight":
            named["positional_embedding"] = weight
        elif name == "text_projection.weight":
            named["text_projection"] = weight.T.contiguous()
        elif ".q_proj." in name:
            rows = [
                next(w for key, w in weights.items() if key.endswith(name.replace("q_proj", part)))
                for part in ("q_proj", "k_proj", "v_proj")
            ]
            stem, kind = name.split(".self_attn.q_proj.")
            named[f"{stem.replace('encoder.layers', 'transformer.resblocks')}.attn.in_proj_{kind}"] = torch.cat(rows)
        elif "k_proj" not in name and "v_proj" not in name:
            name = name.replace("encoder.layers", "transformer.resblocks")
            for old, new in _OPENCLIP.items():
                name = name.replace(old, new)
            named[name] = weight
    return named
