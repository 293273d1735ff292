"""What a network of latent diffusion is told beside its latents: a text, or that there is none.

Guidance would need a second evaluation and a scale; a restoration needs neither. So the network is told one thing:
what it was trained with for "no text", unless somebody says what the picture shows. For Stable Diffusion that is the
embedding of the empty text; for SDXL, whose `model_index.json` says so, zeros.

The text encoders are models of the transformers library. They are read once, used once, and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError

_TOKENS = 77
"""Length of the texts that CLIP reads."""


@dataclass(frozen=True)
class Conditioning:
    """What a network is told.

    Attributes:
        text: an embedding of each token, (1, L, D).
        pooled: one of the whole text, (1, P), for SDXL; None for Stable Diffusion.
        note: what people should know about it; "" where all is as it should be.
    """

    text: Tensor
    pooled: Tensor | None
    note: str = ""


def zeros(config: Mapping[str, Any], note: str = "") -> Conditioning:
    """No text as nothing but zeros.

    Args:
        config: of the network, a `UNet2DConditionModel`.
        note: see `Conditioning`.
    """
    # Attention to equal values gives those values, however many there are; CLIP's length is what networks expect.
    text = torch.zeros(1, _TOKENS, int(config["cross_attention_dim"]))
    if config.get("addition_embed_type") != "text_time":
        return Conditioning(text, None, note)
    numbers = 6 * int(config["addition_time_embed_dim"])
    return Conditioning(text, torch.zeros(1, int(config["projection_class_embeddings_input_dim"]) - numbers), note)


def of_folder(folder: Path, config: Mapping[str, Any], prompt: str | None, force_zeros: bool) -> Conditioning:
    """What a folder's text encoders make of a text.

    Args:
        folder: holds text_encoder/ and tokenizer/, for SDXL text_encoder_2/ and tokenizer_2/, too.
        config: of the network.
        prompt: what the picture shows; None or "" for no text.
        force_zeros: whether the network was trained with zeros for no text.

    Raises:
        PellucidError: there is a prompt, and no text encoder or no transformers to read it; or an encoder is damaged
            or not this network's.
    """
    if not prompt and force_zeros:
        return zeros(config)
    parts = [("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")]
    if config.get("addition_embed_type") != "text_time":
        parts = parts[:1]
    places = [(folder / encoder, folder / tokenizer) for encoder, tokenizer in parts]
    missing = [place for pair in places for place in pair if not place.is_dir()]
    if missing:
        return _without(config, prompt, f"{folder}: has no {missing[0].name}/")
    try:
        import transformers  # noqa: F401
    except ImportError:
        needs = f'{folder}: its text encoder needs transformers: pip install "pellucid[latent]"'
        return _without(config, prompt, needs)
    try:
        with torch.no_grad():
            read = [_read(*pair, prompt or "") for pair in places]
    # Whatever breaks a reader of other people's files, it is the files that are at fault.
    except Exception as error:
        raise PellucidError(f"{folder}: its text encoder cannot be read ({str(error).splitlines()[0][:120]})") from None
    return _fitting(read, config, folder)


def of_file(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Conditioning:
    """What the text encoder among a single file's tensors makes of no text; that of Stable Diffusion 1 alone is known.

    Args:
        weights: of the file, by name.
        config: of the network.

    Raises:
        PellucidError: the encoder is damaged, or not this network's.
    """
    prefix = "cond_stage_model.transformer."
    names = [name for name in weights if name.startswith(prefix) and not name.endswith("position_ids")]
    if not names:
        return zeros(config, "no text encoder that is known; zeros stand for the empty text: prefer the model's folder")
    try:
        from transformers import CLIPTextConfig, CLIPTextModel
    except ImportError:
        return _without(config, None, 'its text encoder needs transformers: pip install "pellucid[latent]"')
    # Releases of transformers differ in whether "text_model." is part of the names.
    own = {name[len(prefix) :].removeprefix("text_model."): weights[name].float() for name in names}
    vocabulary, width = own["embeddings.token_embedding.weight"].shape
    kind: Any = CLIPTextModel
    with torch.device("meta"):
        model = kind(
            CLIPTextConfig(
                vocab_size=vocabulary,
                hidden_size=width,
                intermediate_size=len(own["encoder.layers.0.mlp.fc1.weight"]),
                num_hidden_layers=len([name for name in own if name.endswith("mlp.fc1.bias")]),
                num_attention_heads=max(1, width // 64),
                bos_token_id=vocabulary - 2,
                eos_token_id=vocabulary - 1,
            )
        )
    inner = getattr(model, "text_model", model)
    try:
        inner.load_state_dict(own, strict=False, assign=True)
        # CLIP's last two tokens are the beginning and the end, with which it also fills a text up.
        inner.embeddings.position_ids = torch.arange(_TOKENS)[None]
        with torch.no_grad():
            said = model.eval()(torch.tensor([[vocabulary - 2] + [vocabulary - 1] * (_TOKENS - 1)]))
    except (RuntimeError, NotImplementedError) as error:
        raise PellucidError(f"its text encoder cannot be read ({str(error).splitlines()[0][:120]})") from None
    return _fitting([(said, False)], config, Path("its file"))


def _without(config: Mapping[str, Any], prompt: str | None, why: str) -> Conditioning:
    if prompt:
        raise PellucidError(f"{why}; without it there can be no prompt")
    return zeros(config, f"{why}; zeros stand for the empty text, which is not what it was trained with")


def _read(encoder: Path, tokenizer: Path, text: str) -> tuple[Any, bool]:
    """What an encoder says of a text, and whether the text was too long for it."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    tokens = CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)
    arguments: dict[str, Any] = {"padding": "max_length", "max_length": _TOKENS, "return_tensors": "pt"}
    ids = tokens(text, truncation=True, **arguments).input_ids
    kind: Any = CLIPTextModelWithProjection if encoder.name == "text_encoder_2" else CLIPTextModel
    model, loading = kind.from_pretrained(
        encoder, local_files_only=True, use_safetensors=True, output_loading_info=True, torch_dtype=torch.float32
    )
    if loading["missing_keys"]:
        raise PellucidError(f"it lacks {min(loading['missing_keys'])}")
    return model.eval()(ids, output_hidden_states=True), len(tokens(text).input_ids) > _TOKENS


def _fitting(read: list[tuple[Any, bool]], config: Mapping[str, Any], folder: Path) -> Conditioning:
    """The conditioning, if it has the shapes that the network needs."""
    expected = zeros(config)
    if expected.pooled is None:
        text, pooled = read[0][0].last_hidden_state, None
    else:
        # SDXL reads the layer before the last of both encoders (Podell et al. 2023, section 2.1).
        text, pooled = torch.cat([said.hidden_states[-2] for said, _ in read], -1), read[1][0].text_embeds
    if text.shape != expected.text.shape or (
        pooled is not None and expected.pooled is not None and pooled.shape != expected.pooled.shape
    ):
        raise PellucidError(
            f"{folder}: its text encoders make {text.shape[-1]} numbers of a token, its network takes "
            f"{expected.text.shape[-1]}: they do not belong together"
        )
    note = f"the prompt is longer than the {_TOKENS} tokens that are read: its end is left out"
    return Conditioning(text.clone(), None if pooled is None else pooled.clone(), note if read[0][1] else "")
