"""One device, or several GPUs through the accelerate library, with the same four operations."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError
from ..support.devices import find_device


class Devices:
    """Devices of a run. Under `accelerate launch` or `torchrun`, each process has its part of each batch.

    Args:
        device: "cpu", "cuda" ...; None for a GPU if there is one.
        precision: "float32" or "bfloat16"; None for bfloat16 on GPUs that have it, else float32: CPUs without
            instructions for bfloat16 emulate it slowly.

    Attributes:
        device: this process's.
        rank: this process's number.
        world: number of processes.

    Raises:
        UsageError: unknown precision or device.
        PellucidError: several processes without accelerate.
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
        """Wraps the network for calls, so that processes share gradients."""
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
        """Distributes the first process's answer, so that none waits for a stopped one."""
        if not self._accelerator:
            return flag
        from accelerate.utils import broadcast_object_list

        return bool(broadcast_object_list([flag])[0])
