"""Identity of a prior by its content, independent of name and place."""

from __future__ import annotations

import hashlib
import inspect

import torch
from torch import nn

from .backends import precision_of
from .latent import latent_of
from .prior import Prior, innermost, network_of


def fingerprint(prior: Prior) -> str:
    """SHA-256 of a prior's weights, levels, label and precision, and of its autoencoder's, inside any wrappers.

    A function counts by its name and, if available, its source.
    """
    latent, precision = latent_of(prior), precision_of(prior)
    prior = innermost(prior)
    digest = hashlib.sha256(type(prior).__name__.encode() + prior.sigmas.cpu().numpy().tobytes())
    if precision != "float32":
        digest.update(precision.encode())
    networks = [network_of(prior)]
    for one in (prior, *networks):
        if getattr(one, "label", None) is not None:
            digest.update(f"label {one.label}".encode())
    if latent is not None:
        networks.append(latent.vae.network)
        digest.update(repr((latent.vae.scaling, latent.vae.shift)).encode())
    for network in networks:
        if not isinstance(network, nn.Module):
            digest.update(_source(network))
            continue
        for name, weight in network.state_dict().items():
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
            digest.update(weight.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _source(function: object) -> bytes:
    """Name and source of a function; empty for other objects."""
    name = getattr(function, "__qualname__", "")
    try:
        return f"{name} {inspect.getsource(function)}".encode()  # type: ignore[arg-type]  # of others it raises
    except (OSError, TypeError):
        return name.encode()
