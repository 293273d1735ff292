"""All kinds of networks, a line each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from torch import nn

from . import ddpm, diffusers, guided, mmdit, network, stable
from .family import LatentFamily, NetworkFamily

__all__ = ["FAMILIES", "LATENT_FAMILIES", "family_of", "latent_family_of", "named", "of_tensors"]

FAMILIES: tuple[NetworkFamily, ...] = (network.FAMILY, diffusers.FAMILY, guided.FAMILY, ddpm.FAMILY)
"""Of pixels; files are asked for in this order."""

LATENT_FAMILIES: tuple[LatentFamily, ...] = (stable.FAMILY, mmdit.FAMILY)
"""Of latents; folders are asked for in this order."""


def family_of(network: nn.Module) -> NetworkFamily:
    """The kind of a network of pixels.

    Raises:
        LookupError: it is of none.
    """
    found = next((family for family in FAMILIES if isinstance(network, family.network)), None)
    if found is None:
        raise LookupError(f"a {type(network).__name__} is of no known family")
    return found


def of_tensors(names: Collection[str]) -> NetworkFamily | None:
    """The kind of network whose tensors have these names; None if there is none."""
    return next((one for one in FAMILIES if one.matches is not None and one.matches(list(names))), None)


def named(class_name: object) -> NetworkFamily | None:
    """The kind of network whose `config.json` has this `_class_name`; None if there is none."""
    return next((family for family in FAMILIES if family.class_name == class_name), None)


def latent_family_of(place: Path) -> LatentFamily | None:
    """The kind of a folder of latent diffusion; None if it is none."""
    return next((family for family in LATENT_FAMILIES if family.matches(place)), None)
