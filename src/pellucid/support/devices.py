"""Resolves the name of a device."""

from __future__ import annotations

import torch

from ..errors import UsageError


def find_device(name: str | None) -> torch.device:
    """Resolves what a person says about the device.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" ...; None for a CUDA GPU where there is one, else the CPU.

    Raises:
        UsageError: there is no such device on this machine.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"cannot compute on {name!r}: {str(error).splitlines()[0]}") from None
    return device
