"""One device, or several GPUs by way of the accelerate library, behind the same four verbs."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch
from torch import Tensor, nn

from ..devices import find_device
from ..errors import PellucidError


class Devices:
    """Where a run computes. Started by `accelerate launch` or `torchrun`, each process has its part of each batch.

    Args:
        device: "cpu", "cuda" ...; None for a GPU where there is one.

    Attributes:
        device: this process's.
        rank: this process's number.
        world: how many processes there are.

    Raises:
        PellucidError: several processes and no accelerate, or there is no such device.
    """

    def __init__(self, device: str | None = None) -> None:
        self.rank, self.world = 0, int(os.environ.get("WORLD_SIZE", "1"))
        self._accelerator: Any = None
        if self.world > 1:
            try:
                from accelerate import Accelerator
            except ImportError:
                raise PellucidError("training on several GPUs needs accelerate: pip install accelerate") from None
            self._accelerator = Accelerator()
            self.device: torch.device = self._accelerator.device
            self.rank = self._accelerator.process_index
        else:
            self.device = find_device(device)
        if self.device.type == "cuda":
            # Kernels of fixed shapes: the first batches find the fastest, and TF32 serves what bf16 does not.
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = True

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and validates."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network as it is to be called, so that processes share gradients."""
        wrapped: nn.Module = self._accelerator.prepare_model(network) if self._accelerator else network
        return wrapped

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Bfloat16 where a GPU has it; float32 elsewhere: CPUs without bfloat16 units emulate it, far slower."""
        if self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.autocast("cuda", torch.bfloat16)
        return contextlib.nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Computes gradients, averaged over the processes."""
        if self._accelerator:
            self._accelerator.backward(loss)
        else:
            loss.backward()

    def agree(self, flag: bool) -> bool:
        """The first process's answer in all of them, so that none waits for one that stopped."""
        if not self._accelerator:
            return flag
        from accelerate.utils import broadcast_object_list

        return bool(broadcast_object_list([flag])[0])
