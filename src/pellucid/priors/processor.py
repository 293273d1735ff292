"""Instruction sets of this machine's processor, which decide a network's precision."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_LISTED = Path("/proc/cpuinfo")


@lru_cache(maxsize=1)
def instructions() -> frozenset[str]:
    """Names of the processor's instruction sets from Linux; on other systems only those of bfloat16, from torch."""
    if _LISTED.is_file():
        return listed(_LISTED.read_text())
    found = (torch.cpu._is_avx512_bf16_supported(), torch.cpu._is_amx_tile_supported())
    return frozenset(name for name, there in zip(_BFLOAT16, found, strict=True) if there)


def listed(text: str) -> frozenset[str]:
    """Common flags of all of a machine's processors, from the text of /proc/cpuinfo."""
    lines = [line.partition(":")[2].split() for line in text.splitlines() if line.partition(":")[0].strip() == "flags"]
    return frozenset.intersection(*map(frozenset, lines)) if lines else frozenset()


def has_bfloat16() -> bool:
    """True if there are instructions for bfloat16, which torch otherwise emulates in eight times the time."""
    return not instructions().isdisjoint(_BFLOAT16)
