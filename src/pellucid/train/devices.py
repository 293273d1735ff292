"""One device, or several GPUs by way of the accelerate library, behind the same four verbs."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch
from torch import Tensor, nn

from ..devices import find_device
from ..errors import PellucidError, UsageError


class Devices:
    """Devices of a run. Started by `accelerate launch` or `torchrun`, each process has its part of each batch.

    Args:
        device: "cpu", "cuda" ...; None for a GPU where there is one.
        precision: "float32" or "bfloat16"; None for bfloat16 where a GPU has it and float32 elsewhere, since CPUs
            without instructions for bfloat16 emulate it, far slower.

    Attributes:
        device: this process's.
        rank: this process's number.
        world: how many processes there are.

    Raises:
        UsageError: another precision, or there is no such device.
        PellucidError: several processes and no accelerate.
    """

    def __init__(self, device: str | None = None, precision: str | None = None) -> None:
        if precision not in (None, "float32", "bfloat16"):
            raise UsageError(f"training computes in float32 or bfloat16, not in {precision!r}")
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
        self._half = precision == "bfloat16"
        if precision is None and self.device.type == "cuda":
            self._half = torch.cuda.is_bf16_supported(including_emulation=False)
        if self.device.type == "cuda":
            # Kernels of fixed shapes: the first batches find the fastest, and TF32 serves what bf16 does not.
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = True

    @property
    def first(self) -> bool:
        """True if this is the process that writes files and validates."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network as it is to be called, so that processes share gradients."""
        wrapped: nn.Module = self._accelerator.prepare_model(network) if self._accelerator else network
        return wrapped

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Precision of the network's forward pass; weights and their gradients stay float32."""
        return torch.autocast(self.device.type, torch.bfloat16) if self._half else contextlib.nullcontext()

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
