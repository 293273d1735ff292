"""Description of a prior, without computing with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..maths.noise import cosine_ladder, linear_ladder, scaled_linear_ladder
from .adapters import VPNetwork
from .families import family_of, latent_family_of
from .folder import root_of, weight_files
from .forms import Formed
from .latent import Latent, latent_of
from .load import is_object, load_prior, locate
from .prior import Prior, module_of


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
    network = module_of(inner)
    assert network is not None
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
    """Facts that differ from family to family."""
    family = family_of(network)
    plain = {"family": family.name, "size": None, "learned_sigma": False, "classes": 0, "heads": ""}
    return {**plain, **family.describe(network)}


def _latent_facts(latent: Latent) -> dict[str, Any]:
    """The same of latent diffusion."""
    name: str = latent.network.family
    return {"family": name, "size": latent.size, "learned_sigma": False, "classes": 0, "heads": ""}


def _weights(place: Path) -> list[Path]:
    """The weights files of a folder that has been loaded."""
    latent = latent_family_of(place)
    if latent is not None:
        return [path for part in latent.parts for path in weight_files(place / part)]
    return weight_files(root_of(place))


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
