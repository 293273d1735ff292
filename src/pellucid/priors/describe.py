"""Description of a prior, without computing with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..noise import cosine_ladder, linear_ladder, scaled_linear_ladder
from . import mmdit, stable
from .adapters import VPNetwork
from .ddpm import DDPMUNet
from .diffusers import UNet
from .folder import root_of, weight_files
from .forms import Formed
from .guided import GuidedUNet
from .latent import Latent, latent_of
from .load import is_object, load_prior, locate
from .network import DenoisingUNet
from .prior import Prior


@dataclass(frozen=True)
class Description:
    """A prior as its files describe it.

    Attributes:
        source: name of the prior.
        family: family of the network.
        size: side of the images it was trained on, in pixels; None if unknown.
        channels: image channels.
        multiple: divisor of height and width, without padding.
        parameters: number of weights.
        schedule: kind of its training ladder.
        steps: number of levels.
        sigma_range: lowest and highest level.
        predicts: x0, epsilon, v, or a quantity of `forms`; "epsilon or v" if only the network's output would show it.
        learned_sigma: whether it also predicts a variance, as a share of its range; see `VPNetwork.learned`.
        classes: number of classes of its training; 0 for an unconditional network.
        heads: of its attention, as in "4" or "of 64 channels", and the order of its rows; "" if unambiguous.
        bytes: size of its weights' file, or files.
        sha256: hash of that file, or of all in sequence, in hexadecimal.
    """

    source: str
    family: str
    size: int | None
    channels: int
    multiple: int
    parameters: int
    schedule: str
    steps: int
    sigma_range: tuple[float, float]
    predicts: str
    learned_sigma: bool
    classes: int
    heads: str
    bytes: int
    sha256: str


def describe(source: str | Path, *, offline: bool = False) -> tuple[Description, Prior]:
    """Describes a prior by its files; checks the weights against the network without computing.

    Args:
        source: any argument of `load_prior` except Python objects.
        offline: see `load_prior`.

    Returns:
        The description, and the prior on the device "meta", with shapes but without numbers.

    Raises:
        UsageError: unknown prior, or a prior that is code.
        PellucidError: the folder or file holds no whole prior.
    """
    if is_object(source):
        raise UsageError(f"{source}: is code, which no file describes")
    place = locate(source, offline=offline)
    prior = load_prior(place, "meta")
    weights = [place] if place.is_file() else _weights(place)
    latent = latent_of(prior)
    inner = prior if latent is None else latent.prior
    network = getattr(inner, "network", None)
    assert isinstance(network, nn.Module)
    facts = _facts(network) if latent is None else _latent_facts(latent)
    networks = [network] if latent is None else [network, latent.vae.network]
    return Description(
        source=str(source),
        channels=prior.channels if latent is None else latent.vae.channels,
        multiple=prior.multiple if latent is None else latent.unit,
        parameters=sum(weight.numel() for one in networks for weight in one.parameters()),
        schedule=inner.form.schedule if isinstance(inner, Formed) else schedule_of(prior.sigmas),
        steps=len(prior.sigmas),
        sigma_range=(prior.sigmas[0].item(), prior.sigmas[-1].item()),
        predicts=_predicts(inner) if latent is None or latent.certain else "epsilon or v",
        bytes=sum(path.stat().st_size for path in weights),
        sha256=_sha256(weights),
        **facts,
    ), prior


def _predicts(prior: Prior) -> str:
    if isinstance(prior, Formed):
        return prior.form.predicts
    return prior.prediction if isinstance(prior, VPNetwork) else "x0"


def schedule_of(sigmas: Tensor) -> str:
    """Kind of an ascending training ladder: "linear", "scaled-linear", "cosine", or "other"."""
    known = {"linear": linear_ladder, "scaled-linear": scaled_linear_ladder, "cosine": cosine_ladder}
    for name, ladder in known.items():
        if torch.allclose(sigmas, ladder(len(sigmas)), rtol=1e-3, atol=0):
            return name
    return "other"


def _facts(network: nn.Module) -> dict[str, Any]:
    """Facts that differ between families."""
    plain = {"size": None, "learned_sigma": False, "classes": 0, "heads": ""}
    if isinstance(network, GuidedUNet):
        config, published = network.config, network.config.published
        heads = str(config.heads) if config.heads else f"of {config.head_channels} channels"
        return {
            "family": "guided-diffusion",
            "size": published.size if published else None,
            "learned_sigma": config.learned_sigma,
            "classes": config.classes,
            "heads": f"{heads}, {config.order} order" + ("" if published else " (assumed)"),
        }
    if isinstance(network, DDPMUNet):
        return plain | {"family": "DDPM", "size": network.config.size}
    if isinstance(network, DenoisingUNet):
        return plain | {"family": "pellucid"}
    assert isinstance(network, UNet)
    unet: Any = network.unet
    size, head = unet.config.get("sample_size"), unet.config.get("attention_head_dim")
    attends = any("Attn" in block for block in unet.config["down_block_types"])
    return plain | {
        "family": "diffusers UNet2DModel",
        "size": size * network.patch if isinstance(size, int) else None,
        "learned_sigma": unet.config["out_channels"] == 2 * unet.config["in_channels"]
        and network.scheduler.get("variance_type") != "learned",
        "classes": network.classes,
        "heads": (f"of {head} channels" if head else "1") if attends else "",
    }


def _latent_facts(latent: Latent) -> dict[str, Any]:
    """Facts of latent diffusion."""
    usual = "SDXL" if latent.network.pooled is not None else "Stable Diffusion"
    family = getattr(latent.network, "family", usual)
    return {"family": family, "size": latent.size, "learned_sigma": False, "classes": 0, "heads": ""}


def _weights(place: Path) -> list[Path]:
    """Weights files of a loaded folder."""
    if mmdit.matches(place):
        return [path for part in ("transformer", "vae") for path in weight_files(place / part)]
    if stable.matches(place):
        return [path for part in ("unet", "vae") for path in weight_files(place / part)]
    return weight_files(root_of(place))


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
