"""Conditioning of a network of latent diffusion: a text, or none.

Guidance would need a second evaluation and a scale; a restoration needs neither. So the network gets a single
conditioning: a prompt, or its training's value for "no text". For Stable Diffusion that is the embedding of the empty
text; for SDXL, by its `model_index.json`, zeros.

The text encoders are models of the transformers library. They are read, used once and released.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import PellucidError
from . import limits, texts


@dataclass(frozen=True)
class Conditioning:
    """Conditioning of a network.

    Attributes:
        text: an embedding of each token, (1, L, D).
        pooled: an embedding of the whole text, (1, P), for SDXL; None for Stable Diffusion.
        note: note for people; "" without one.
    """

    text: Tensor
    pooled: Tensor | None
    note: str = ""


def zeros(config: Mapping[str, Any], note: str = "") -> Conditioning:
    """No text as zeros.

    Args:
        config: configuration of the network, a `UNet2DConditionModel`.
        note: see `Conditioning`.
    """
    # Attention to equal values gives those values, however many there are; CLIP's length is what networks expect.
    text = torch.zeros(1, texts.TOKENS, int(config["cross_attention_dim"]))
    if config.get("addition_embed_type") != "text_time":
        return Conditioning(text, None, note)
    numbers = 6 * int(config["addition_time_embed_dim"])
    return Conditioning(text, torch.zeros(1, int(config["projection_class_embeddings_input_dim"]) - numbers), note)


def of_folder(folder: Path, config: Mapping[str, Any], prompt: str | None, force_zeros: bool) -> Conditioning:
    """Encodes a text with a folder's text encoders.

    Args:
        folder: folder with text_encoder/ and, for a prompt, tokenizer/; for SDXL also text_encoder_2/ and tokenizer_2/.
        config: of the network.
        prompt: description of the picture; None or "" for no text.
        force_zeros: whether the network was trained with zeros for no text.

    Raises:
        PellucidError: there is a prompt without a text encoder or without transformers; or an encoder is damaged or
            belongs to another network.
    """
    if not prompt and force_zeros:
        return zeros(config)
    parts = [("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")]
    if config.get("addition_embed_type") != "text_time":
        parts = parts[:1]
    places = [(folder / encoder, folder / tokenizer) for encoder, tokenizer in parts]
    missing = [place for pair in places for place in (pair if prompt else pair[:1]) if not place.is_dir()]
    if missing:
        return _without(config, prompt, f"{folder}: has no {missing[0].name}/")

    def read() -> list[_Text]:
        return [_text(texts.in_folder(encoder), tokenizer, prompt or "") for encoder, tokenizer in places]

    return _heard(read, config, prompt, f"{folder}: ")


def of_file(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Conditioning:
    """Encodes an empty text with the text encoder in a single file.

    Args:
        weights: of the file, by name.
        config: of the network, of Stable Diffusion.

    Raises:
        PellucidError: the encoder is damaged, or belongs to another network.
    """
    encoders = texts.in_file(weights)
    if not encoders:
        return zeros(config, "its text encoder is unknown; zeros replace the empty text: prefer the model's folder")
    return _heard(lambda: [_Text(one, one.no_text(), False) for one in encoders], config, None, "")


class _Text(NamedTuple):
    """A text for an encoder.

    Attributes:
        encoder: the encoder.
        tokens: of the text, (1, 77).
        cut: whether the text was too long.
    """

    encoder: texts.Encoder
    tokens: Tensor
    cut: bool


def _text(encoder: texts.Encoder, tokenizer: Path, text: str) -> _Text:
    if not tokenizer.is_dir():
        return _Text(encoder, encoder.no_text(), False)
    for path in tokenizer.iterdir():
        limits.regular(path, limits.TEXT)
    from transformers import CLIPTokenizer

    tokens = CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)
    arguments: dict[str, Any] = {"padding": "max_length", "max_length": texts.TOKENS, "return_tensors": "pt"}
    ids = tokens(text, truncation=True, **arguments).input_ids
    return _Text(encoder, ids, len(tokens(text).input_ids) > texts.TOKENS)


def _without(config: Mapping[str, Any], prompt: str | None, why: str) -> Conditioning:
    if prompt:
        raise PellucidError(f"{why}; without it there can be no prompt")
    return zeros(config, f"{why}; zeros replace the empty text, unlike in its training")


def _heard(read: Callable[[], list[_Text]], config: Mapping[str, Any], prompt: str | None, place: str) -> Conditioning:
    """Conditioning that encoders make of texts, if its shapes suit the network.

    Args:
        read: reads the encoders and the texts.
        config: of the network.
        prompt: the original text.
        place: source of the encoders, for messages.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        return _without(config, prompt, f'{place}its text encoder needs transformers: pip install "pellucid[latent]"')
    try:
        with torch.no_grad():
            given = read()
            said = [one.encoder.model()(one.tokens, output_hidden_states=True) for one in given]
    # Whatever breaks a reader of other people's files, it is the files that are at fault.
    except Exception as error:
        raise PellucidError(f"{place}its text encoder cannot be read ({str(error).splitlines()[0][:120]})") from None
    expected = zeros(config)
    if expected.pooled is None:
        text, pooled = said[0].last_hidden_state, None
    else:
        # SDXL reads the layer before the last of both encoders (Podell et al. 2023, section 2.1).
        text, pooled = torch.cat([one.hidden_states[-2] for one in said], -1), said[1].text_embeds
    if text.shape != expected.text.shape or (
        pooled is not None and expected.pooled is not None and pooled.shape != expected.pooled.shape
    ):
        raise PellucidError(
            f"{place}its text encoders make {text.shape[-1]} numbers of a token, its network takes "
            f"{expected.text.shape[-1]}: they do not belong together"
        )
    note = f"the prompt is longer than the {texts.TOKENS} tokens that are read: its end is left out"
    return Conditioning(text.clone(), None if pooled is None else pooled.clone(), note if given[0].cut else "")
