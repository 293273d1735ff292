"""Weights in shared memory, one copy for several processes."""

from __future__ import annotations

import torch
from torch import Tensor

from ...priors import Prior
from ...priors.prior import module_of, round_up

_ALIGNED = 64
"""Alignment of tensors in bytes, as in torch's allocator."""


def share(prior: Prior) -> None:
    """Moves the weights of a prior's network into one block of shared memory; their values stay.

    One block, since each takes a file descriptor, and some networks have more tensors than a process may have
    descriptors. torch itself shares weights on other devices than the CPU.

    Args:
        prior: prior with the network; without a network nothing is shared.
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
    """Extent of a tensor in memory, from its first number to its last."""
    return 1 + sum((n - 1) * stride for n, stride in zip(x.shape, x.stride(), strict=True)) if x.numel() else 0
