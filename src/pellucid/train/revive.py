"""Hidden channels that never fire, drawn anew.

A ReLU that is zero for every input has no gradient: its channel does nothing, and never learns again. Large steps of
gains and shifts leave many such channels behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from ..priors.network import DenoisingUNet
from .reshape import LOOKS, blocks_of

_RARE = 1e-3
"""Share of the places of every batch below which a channel counts as silent."""


@torch.no_grad()
def revive(network: DenoisingUNet, fresh: DenoisingUNet, batches: Iterator[tuple[Tensor, Tensor]]) -> int:
    """Gives silent channels fresh weights, which have no effect at first; the first gradients change that.

    Args:
        network: trained network; changed in place.
        fresh: network of the same shape as training begins with.
        batches: noisy images of (B, C, H, W) and their noise levels of (B,), of which 24 are looked at.

    Returns:
        Number of these channels.
    """
    count = 0
    silent = {name: often < _RARE for name, often in _activity(network, islice(batches, LOOKS)).items()}
    for (name, _, block), (*_, other) in zip(blocks_of(network), blocks_of(fresh), strict=True):
        own = silent[name]
        count += int(own.sum())
        block.first.weight[own] = other.first.weight[own]
        block.second.weight[:, own] = 0
        # Gains, then shifts: two layers in one.
        both = torch.cat([own, own])
        block.film.weight[both] = 0
        block.film.bias[both] = 0
    return count


def _activity(network: DenoisingUNet, batches: Iterator[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Largest share of the places of a batch where each hidden channel fires, by block."""
    most: dict[str, Tensor] = {}

    def see(name: str, inside: Tensor) -> None:
        often = (inside > 0).float().mean((0, 2, 3))
        most[name] = torch.maximum(most.get(name, often), often)

    def watch(name: str, second: nn.Module) -> Any:
        return second.register_forward_pre_hook(lambda _, inputs: see(name, inputs[0]))

    watches = [watch(name, block.second) for name, _, block in blocks_of(network)]
    for noisy, sigma in batches:
        network(noisy, sigma)
    for hook in watches:
        hook.remove()
    return most
