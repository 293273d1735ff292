"""Weights that several processes read, and none has a copy of."""

from __future__ import annotations

import torch
from torch import Tensor

from ...priors import Prior
from ...priors.prior import module_of, round_up

_ALIGNED = 64
"""Bytes that a tensor begins at a multiple of, as those of torch's own allocator do."""


def share(prior: Prior) -> None:
    """Moves the weights of a prior's network into one piece of shared memory, where they keep their values.

    One piece, for each takes a file descriptor, of which there are fewer than some networks have tensors. Weights on
    other devices than the CPU are shared by torch itself.

    Args:
        prior: whose network. One without a network has nothing to share.
    """
    network = module_of(prior)
    if network is None:
        return
    weights = [weight for weight in (*network.parameters(), *network.buffers()) if weight.device.type == "cpu"]
    if not weights or all(weight.is_shared() for weight in weights):
        return
    sizes = [round_up(_extent(weight) * weight.element_size(), _ALIGNED) for weight in weights]
    block = torch.empty(sum(sizes), dtype=torch.uint8).share_memory_()
    for weight, place in zip(weights, block.split(sizes), strict=True):
        same = place.view(weight.dtype)
        same = same.as_strided(weight.shape, weight.stride(), same.storage_offset())
        weight.data = same.copy_(weight.detach())


def _extent(x: Tensor) -> int:
    """From a tensor's first number to its last in memory, both included."""
    return 1 + sum((n - 1) * stride for n, stride in zip(x.shape, x.stride(), strict=True)) if x.numel() else 0
