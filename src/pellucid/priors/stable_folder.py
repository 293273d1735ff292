"""Stable Diffusion and SDXL as a folder for the diffusers library and for `stable`.

The conditioning without a prompt stays the same. Text encoders are included if the source has them, also in a single
file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..errors import PellucidError
from ..release import version
from . import folder, limits, stable, stable_file, tensors, texts
from .adapters import VPNetwork
from .latent import Latent
from .prior import Prior

INDEX = "model_index.json"
MARK = "_pellucid_version"
"""Mark in the index of a folder from this module."""

_READERS = (("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2"))


class FolderContent(NamedTuple):
    """Content of a folder.

    Attributes:
        texts: by path.
        weights: of each file of weights, by path.
        told: conditioning without a prompt, for people.
    """

    texts: dict[str, str]
    weights: dict[str, Mapping[str, Tensor]]
    told: str


def content(latent: Latent, place: Path) -> FolderContent:
    """Content of a model's folder.

    Args:
        latent: the model, as loaded.
        place: its folder or file.

    Raises:
        PellucidError: a text encoder is damaged.
    """
    if not isinstance(latent.network, stable.ConditionedUNet):
        raise PellucidError(f"{place}: a transformer of latents is not converted: its folder is a prior as it is")
    prior = latent.prior
    unet: Any = latent.network.unet
    vae, xl = latent.vae.network, latent.network.pooled is not None
    readers = _READERS[: 1 + xl]
    encoders = _encoders(place, [encoder for encoder, _ in readers])
    tokenizers = _tokenizers(place, [tokenizer for _, tokenizer in readers])
    whole = place.is_dir()
    zeros = stable.forces_zeros(place) if whole else xl
    scheduler = folder.read_json(place / "scheduler" / "scheduler_config.json") if whole else _scheduler(prior)
    parts = {**encoders, **{path.parent.name: path for path in tokenizers}}
    return FolderContent(
        {
            INDEX: _json(_index(xl, zeros, parts, scheduler)),
            "unet/config.json": unet.to_json_string(),
            "vae/config.json": vae.to_json_string(),
            "scheduler/scheduler_config.json": _json(scheduler),
            **{f"{name}/config.json": _json(encoder.config) for name, encoder in encoders.items()},
            **{f"{path.parent.name}/{path.name}": _text(path) for path in tokenizers},
        },
        {
            f"unet/{folder.WEIGHTS}": unet.state_dict(),
            f"vae/{folder.WEIGHTS}": vae.state_dict(),
            **{f"{name}/model.safetensors": _single(encoder.weights) for name, encoder in encoders.items()},
        },
        _told(zeros, encoders),
    )


def _encoders(place: Path, names: Sequence[str]) -> dict[str, texts.Encoder]:
    """Text encoders by the names of their folders."""
    if place.is_dir():
        return {name: texts.in_folder(place / name) for name in names if (place / name).is_dir()}
    found = stable_file.state_of(tensors.read(place))
    assert found is not None
    try:
        return dict(zip(names, texts.in_file(found[1]), strict=False))
    except PellucidError as error:
        raise PellucidError(f"{place}: {error}") from None


def _single(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the type of the computation."""
    return {name: weight.float() for name, weight in weights.items()}


def _tokenizers(place: Path, names: Sequence[str]) -> list[Path]:
    """The files of a folder's tokenizers; a single file has none."""
    found = [path for name in names for path in sorted((place / name).glob("*"))]
    return [path for path in found if path.suffix in (".json", ".txt")]


def _text(path: Path) -> str:
    try:
        return limits.text(path)
    except PellucidError as error:
        raise PellucidError(f"{path}: {error}") from None


def _index(xl: bool, zeros: bool, parts: Collection[str], scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `model_index.json`."""
    classes = {
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
    }
    needed = list(classes) if xl else ["text_encoder", "tokenizer"]
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline",
        "_diffusers_version": version("diffusers"),
        MARK: version("pellucid"),
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", scheduler.get("_class_name", "DDIMScheduler")],
        **{name: ["transformers", classes[name]] if name in parts else [None, None] for name in needed},
        "feature_extractor": [None, None],
    }
    if xl:
        return index | {"image_encoder": [None, None], "force_zeros_for_empty_prompt": zeros}
    # An index that says so of Stable Diffusion was there before.
    return index | {"safety_checker": [None, None], **({"force_zeros_for_empty_prompt": True} if zeros else {})}


def _scheduler(prior: Prior) -> dict[str, Any]:
    """Training of the published models in single files."""
    assert isinstance(prior, VPNetwork)
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": len(prior.sigmas),
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "prediction_type": {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}[prior.prediction],
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }


def _told(zeros: bool, encoders: Mapping[str, texts.Encoder]) -> str:
    if zeros:
        return "zeros, as it was trained"
    if encoders:
        return "what text_encoder/ makes of the empty text"
    return "zeros, for lack of a text encoder; it was not trained with them"


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"
