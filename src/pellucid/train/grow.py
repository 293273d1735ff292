"""A larger network initialised from a smaller one: wider, deeper, and initially the same function.

The larger network need not learn again what the smaller one has learnt. New channels are computed at once but have no
effect: every old channel has zero weights for them, and new blocks add zero to the old channels. The first gradients
change these zeros. ([Net2Net] copies channels instead, which must then become different.)

References:
    [Net2Net] Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", 2016.
        https://arxiv.org/abs/1511.05641
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import PellucidError
from ..priors.network import DenoisingUNet, UNetConfig

# The sides of kernels that are pixels and cannot grow.
_PIXELS = (("head.weight", 1), ("tail.weight", 0))


def grows(new: UNetConfig, old: UNetConfig) -> bool:
    """True if `grow` can give a network of one shape the weights of another."""
    if replace(new, widths=old.widths, blocks=old.blocks) != old or len(new.widths) != len(old.widths):
        return False
    return all(a >= b for a, b in zip(new.widths + new.blocks, old.widths + old.blocks, strict=True))


@torch.no_grad()
def grow(network: DenoisingUNet, weights: Mapping[str, Tensor]) -> None:
    """Gives a network the function of a smaller or equal one.

    Args:
        network: network with fresh weights, which its new channels keep; changed in place.
        weights: the state of a `DenoisingUNet` with as many levels, the same image channels, patch and embedding, and
            at most as many channels and blocks at every level.

    Raises:
        PellucidError: the weights do not suit; then nothing has changed.
    """
    state = network.state_dict()
    same_pixels = all(state[name].shape[side] == weights[name].shape[side] for name, side in _PIXELS if name in weights)
    if not same_pixels or any(name not in state or not _fits(old, state[name]) for name, old in weights.items()):
        raise PellucidError("these are not the weights of this network or of a smaller one")
    # How many channels a new block must leave as they are, by level.
    widths = {_level(name): len(old) for name, old in weights.items() if name.endswith("second.weight")}
    if any(name not in weights and _level(name) not in widths for name in state):
        raise PellucidError("these are not the weights of a network with as many levels")
    for name, new in state.items():
        if name not in weights:
            if name.endswith("second.weight"):
                new[: widths[_level(name)]] = 0
            continue
        old = weights[name]
        if ".film." in name:
            # Gains, then shifts: two layers in one.
            for half, own in zip(new.chunk(2), old.chunk(2), strict=True):
                half[: len(own)] = own
        elif name.startswith("grow."):
            # Transposed convolutions have their inputs first.
            new[len(old) :, : old.shape[1]] = 0
            new[: len(old), : old.shape[1]] = old
        elif new.ndim == 4:
            new[: len(old), old.shape[1] :] = 0
            new[: len(old), : old.shape[1]] = old
        else:
            new.copy_(old)


def _fits(old: Tensor, new: Tensor) -> bool:
    """True if a tensor has room for another: no side is shorter, and kernels are equal."""
    longer = all(a <= b for a, b in zip(old.shape, new.shape, strict=False))
    return old.ndim == new.ndim and longer and old.shape[2:] == new.shape[2:]


def _level(name: str) -> str:
    """Common prefix of a parameter's name within its level."""
    return name.split(".blocks.")[0]
