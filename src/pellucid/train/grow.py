"""A larger network initialised from a smaller one: wider, deeper, and initially the same function.

The larger network need not learn again what the smaller one has learnt. New channels are computed at once but have no
effect: every old channel has zero weights for them, and new blocks add zero to the old channels. The first gradients
change these zeros. ([Net2Net] copies channels instead, which must then become different.)

References:
    [Net2Net] Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", 2016.
        https://arxiv.org/abs/1511.05641
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ..errors import PellucidError
from ..priors.network import DenoisingUNet, UNetConfig


def grows(new: UNetConfig, old: UNetConfig) -> bool:
    """True if `grow` can give a network of one shape the weights of another."""
    if replace(new, widths=old.widths, blocks=old.blocks) != old or len(new.widths) != len(old.widths):
        return False
    return all(a >= b for a, b in zip(new.widths + new.blocks, old.widths + old.blocks, strict=True))


@torch.no_grad()
def grow(network: DenoisingUNet, old: DenoisingUNet) -> None:
    """Gives a network the function of a smaller or equal one.

    Args:
        network: network with fresh weights, which its new channels keep; changed in place.
        old: trained network with as many levels, the same image channels, patch and embedding, and at most as many
            channels and blocks at every level.

    Raises:
        PellucidError: the shapes do not suit; then nothing has changed.
    """
    if not grows(network.config, old.config):
        raise PellucidError("these are not the weights of this network or of a smaller one")
    weights = old.state_dict()
    # How many channels a new block must leave as they are, by level.
    widths = {_level(name): len(own) for name, own in weights.items() if name.endswith("second.weight")}
    for name, new in network.state_dict().items():
        if name not in weights:
            if name.endswith("second.weight"):
                new[: widths[_level(name)]] = 0
            continue
        own = weights[name]
        if ".film." in name:
            # Gains, then shifts: two layers in one.
            for half, part in zip(new.chunk(2), own.chunk(2), strict=True):
                half[: len(part)] = part
        elif name.startswith("grow."):
            # Transposed convolutions have their inputs first.
            new[len(own) :, : own.shape[1]] = 0
            new[: len(own), : own.shape[1]] = own
        elif new.ndim == 4:
            new[: len(own), own.shape[1] :] = 0
            new[: len(own), : own.shape[1]] = own
        else:
            new.copy_(own)


def _level(name: str) -> str:
    """Common prefix of a parameter's name within its level."""
    return name.split(".blocks.")[0]
