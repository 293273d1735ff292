"""Conversion of priors from files to a folder: JSON and safetensors in the layout of diffusers, with a model card."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError, UsageError
from ..release import version
from . import folder, stable_folder
from .adapters import VPNetwork
from .describe import Description, describe, schedule_of
from .diffusers import UNet
from .families import family_of
from .forms import Formed
from .latent import Latent
from .load import is_object, load_prior, locate
from .prior import Prior, module_of
from .stable_folder import INDEX, MARK
from .tensors import write_safetensors

_WRITTEN = re.compile(
    r"README\.md|model_index\.json|scheduler(/scheduler_config\.json)?|tokenizer(_2)?(/[\w.-]+\.(json|txt))?"
    r"|((unet|vae|text_encoder|text_encoder_2)(/|$))?(config\.json|(diffusion_pytorch_)?model\.safetensors)?"
)


def convert(
    source: str | Path,
    output: Path,
    *,
    half: bool = False,
    overwrite: bool = False,
    licence: str | None = None,
    offline: bool = False,
) -> Description:
    """Writes a prior as a folder for `load_prior`, in float32 and with exactly the same results.

    A `UNet2DModel`, Stable Diffusion and SDXL become folders of the diffusers library, with text encoders if the source
    has them. Networks of guided-diffusion, of DDPM and of this package keep the names of their weights, and
    `config.json` identifies them. The folder is written atomically.

    Args:
        source: any argument of `load_prior` except Python objects.
        output: the folder.
        half: whether to write the weights in half precision, which halves the file and rounds them.
        overwrite: whether to replace a folder from an earlier conversion.
        licence: terms of the weights, for the model card; None if unknown.
        offline: see `load_prior`.

    Returns:
        A description of the prior.

    Raises:
        UsageError: unknown prior, or the output exists and may not be replaced.
        PellucidError: the prior cannot be loaded, or does not fit into half precision.
        OSError: the folder cannot be written.
    """
    if is_object(source):
        raise UsageError(f"{source}: is code, of which there is no file to convert")
    output = Path(output)
    place = locate(source, texts=True, offline=offline)
    _check(output, place, overwrite)
    about, _ = describe(place)
    prior = load_prior(place)
    if isinstance(prior, Latent):
        # On "meta" not all of it was known.
        about = replace(about, predicts=getattr(prior.prior, "prediction", about.predicts))
        texts, weights, told = stable_folder.content(prior, place)
    else:
        texts, weights, told = _content(prior)
    texts["README.md"] = _card(about, str(source), half, licence, told)
    _write(output, texts, weights, half)
    return about


def _content(prior: Prior) -> stable_folder.FolderContent:
    """Content of a folder of a prior of pixels."""
    network = module_of(prior)
    assert network is not None
    texts = {"config.json": _json(family_of(network).to_json(network))}
    if isinstance(prior, VPNetwork | Formed):
        texts["scheduler/scheduler_config.json"] = _json(_scheduler(prior))
    weights = network.unet.state_dict() if isinstance(network, UNet) else network.state_dict()
    return stable_folder.FolderContent(texts, {folder.WEIGHTS: weights}, "")


def _check(output: Path, place: Path, overwrite: bool) -> None:
    """Rejects an output that would destroy somebody's file."""
    if not output.exists():
        return
    if not overwrite:
        raise UsageError(f"{output}: exists; name another folder, or say --overwrite")
    if place.resolve().is_relative_to(output.resolve()):
        raise UsageError(f"{output}: is what is converted; name another folder")
    inside = [path.relative_to(output).as_posix() for path in output.rglob("*")]
    foreign = sorted(name for name in inside if not _WRITTEN.fullmatch(name)) if output.is_dir() else [output.name]
    index = output / INDEX
    if not foreign and index.is_file() and MARK not in folder.read_json(index):
        foreign = [INDEX]
    if foreign:
        raise UsageError(f"{output}: has {foreign[0]}, which no conversion wrote; name another folder")


def _scheduler(prior: VPNetwork | Formed) -> dict[str, Any]:
    """Training of the network in the terms of the diffusers library."""
    if isinstance(prior.network, UNet):
        return prior.network.scheduler
    schedule = schedule_of(prior.sigmas)
    network = module_of(prior)
    learned = network is not None and family_of(network).describe(network).get("learned_sigma", False)
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": len(prior.sigmas),
        "beta_schedule": {"linear": "linear", "cosine": "squaredcos_cap_v2"}[schedule],
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "prediction_type": "epsilon",
        "variance_type": "learned_range" if learned else "fixed_small",
    }


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    halves = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    for name, value in halves.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise PellucidError(f"{name} holds numbers beyond half precision: leave --half out")
    return halves


def _write(output: Path, texts: dict[str, str], weights: dict[str, Mapping[str, Tensor]], half: bool) -> None:
    """Writes the folder under a temporary name and renames it when it is complete."""
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", suffix=".part", dir=output.parent))
    made, old = beside / "new", beside / "old"
    try:
        made.mkdir()
        for name in (*texts, *weights):
            (made / name).parent.mkdir(exist_ok=True)
        for name, text in texts.items():
            (made / name).write_text(text, encoding="utf-8")
        for name, own in weights.items():
            # One after the other: halves are copies.
            write_safetensors(made / name, _halved(own) if half else own)
        if output.exists():
            output.rename(old)
        made.rename(output)
    except BaseException:
        # What was moved away comes back, before what is beside is removed.
        if old.exists() and not output.exists():
            old.rename(output)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def _card(about: Description, source: str, half: bool, licence: str | None, told: str) -> str:
    least, most = about.sigma_range
    rows = [
        ("converted from", f"`{Path(source).name if Path(source).exists() else source}`"),
        ("its SHA-256", f"`{about.sha256}`"),
        ("family", about.family),
        ("resolution", f"{about.size} x {about.size}" if about.size else "not known"),
        ("parameters", f"{about.parameters:,}, in {'half' if half else 'single'} precision"),
        ("schedule", f"{about.schedule}, {about.steps} steps, sigma {least:.3g} to {most:.4g}"),
        ("predicts", about.predicts + (" and a variance" if about.learned_sigma else "")),
        ("classes", f"{about.classes}" if about.classes else "none"),
        *([("told where there is no prompt", told)] if told else []),
        ("licence", licence or "not known: ask whoever published the source"),
        ("software", f"pellucid {version('pellucid')}"),
    ]
    return "\n".join(
        [
            "---",
            f"license: {json.dumps(licence or 'unknown')}",
            "tags: [diffusion, image-restoration]",
            "---",
            "",
            f"# {Path(source).stem or source}",
            "",
            "A diffusion prior for image restoration: `pellucid restore damaged.png -o restored.png --prior FOLDER`.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
        ]
    )
