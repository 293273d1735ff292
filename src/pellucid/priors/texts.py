"""Text encoders of Stable Diffusion and SDXL, in folders and single files.

All are CLIP's. OpenAI's (Stable Diffusion 1, the first of SDXL) and OpenCLIP's (Stable Diffusion 2, the second of SDXL)
differ. The differences are the tensors' names in single files, the activation, and the padding token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from . import folder

TOKENS = 77
"""Length of CLIP's texts in tokens."""

_HEAD = 64
"""Channels of each head in all of the encoders."""


@dataclass(frozen=True)
class Encoder:
    """A text encoder.

    Attributes:
        config: of a `CLIPTextModel` of the transformers library, as in its `config.json`.
        weights: by the names of the published folders; with `text_projection.weight` it is a
            `CLIPTextModelWithProjection`.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def kind(self) -> str:
        """Name of its class in the transformers library."""
        return "CLIPTextModelWithProjection" if "text_projection.weight" in self.weights else "CLIPTextModel"

    def no_text(self) -> Tensor:
        """Tokens of the empty text, (1, 77): beginning, end, padding."""
        vocabulary = int(self.config["vocab_size"])
        # OpenAI's CLIP was trained on texts that its end fills up, OpenCLIP on zeros; the activation tells them apart.
        filler = 0 if self.config.get("hidden_act") == "gelu" else vocabulary - 1
        return torch.tensor([[vocabulary - 2, vocabulary - 1] + [filler] * (TOKENS - 2)])

    def model(self) -> nn.Module:
        """Makes the model of the transformers library, in float32.

        Raises:
            PellucidError: its weights do not fit its configuration.
            ImportError: the library is missing.
        """
        import transformers

        with torch.device("meta"):
            model: Any = getattr(transformers, self.kind)(transformers.CLIPTextConfig.from_dict(dict(self.config)))
        # Releases of the library differ in whether this is part of the names.
        own = {_bare(name): name for name in model.state_dict()}
        folder.fill(model, {own.get(_bare(n), n): weight for n, weight in self.weights.items()}, Path("text_encoder"))
        # No weight, and yet it has no numbers on "meta".
        model.get_submodule(
            "text_model" if hasattr(model, "text_model") else ""
        ).embeddings.position_ids = torch.arange(TOKENS)[None]
        return model.eval()  # type: ignore[no-any-return]


def in_folder(place: Path) -> Encoder:
    """Reads an encoder from its folder.

    Raises:
        PellucidError: the folder lacks a file, or one is damaged.
    """
    weights = folder.read_weights(place)
    return Encoder(folder.read_json(place / "config.json"), {_full(k): v for k, v in weights.items() if _is_weight(k)})


def in_file(weights: Mapping[str, Tensor]) -> list[Encoder]:
    """Reads the encoders in a single file: one of Stable Diffusion, two of SDXL; empty if none is known.

    Raises:
        PellucidError: an encoder is damaged.
    """
    one, two = "cond_stage_model.", "conditioner.embedders."
    # Stable Diffusion 2 was trained on what the last layer but one says; diffusers' folders leave the last one out.
    readers = (
        (f"{one}transformer.", _openai),
        (f"{one}model.", lambda own: _openclip(own, last=False)),
        (f"{two}0.transformer.", _openai),
        (f"{two}1.model.", lambda own: _openclip(own, last=True)),
    )
    found = []
    for prefix, read in readers:
        own = {name[len(prefix) :]: weight for name, weight in weights.items() if name.startswith(prefix)}
        if own:
            try:
                found.append(read(own))
            except (KeyError, ValueError) as error:
                raise PellucidError(f"its text encoder cannot be read ({error!r})") from None
    return found


def _openai(own: dict[str, Tensor]) -> Encoder:
    return _described({_full(name): weight for name, weight in own.items() if _is_weight(name)}, "quick_gelu")


# Names of OpenCLIP, and of the transformers library.
_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
_AROUND = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}


def _openclip(own: dict[str, Tensor], last: bool) -> Encoder:
    """Converts an encoder from OpenCLIP's names.

    Args:
        own: its tensors.
        last: whether to use its last layer and its projection.
    """
    named = {_full(_AROUND[name]): weight for name, weight in own.items() if name in _AROUND}
    found = [re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)", name) for name in own]
    layers = 1 + max(int(match[1]) for match in found if match) - (not last)
    for match in found:
        if match is None or int(match[1]) >= layers:
            continue
        weight, stem = own[match[0]], f"text_model.encoder.layers.{match[1]}."
        if match[2] == "attn.in_proj":
            for part, piece in zip("qkv", weight.chunk(3), strict=True):
                named[f"{stem}self_attn.{part}_proj.{match[3]}"] = piece
        else:
            named[f"{stem}{_LAYER[match[2]]}.{match[3]}"] = weight
    if last:
        named["text_projection.weight"] = own["text_projection"].T
    return _described(named, "gelu")


def _described(weights: dict[str, Tensor], activation: str) -> Encoder:
    """Encoder whose tensors have these shapes."""
    vocabulary, width = weights["text_model.embeddings.token_embedding.weight"].shape
    config: dict[str, Any] = {
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": len(weights["text_model.encoder.layers.0.mlp.fc1.weight"]),
        "num_hidden_layers": sum(name.endswith("mlp.fc1.bias") for name in weights),
        "num_attention_heads": max(1, width // _HEAD),
        "hidden_act": activation,
        "projection_dim": len(weights.get("text_projection.weight", weights["text_model.final_layer_norm.bias"])),
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": 0 if activation == "gelu" else vocabulary - 1,
    }
    encoder = Encoder(config, weights)
    return Encoder({"architectures": [encoder.kind], **config}, weights)


def _bare(name: str) -> str:
    return name.removeprefix("text_model.")


def _full(name: str) -> str:
    return name if name == "text_projection.weight" else f"text_model.{_bare(name)}"


def _is_weight(name: str) -> bool:
    # Old files hold the numbers of the places, too.
    return not name.endswith("position_ids")
