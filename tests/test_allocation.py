"""Freed memory is reused, so that the system need not clear it again."""

from __future__ import annotations

import sys

import pytest
import torch

from pellucid.support.allocation import KEPT, keep_freed

resource = pytest.importorskip("resource")

_LARGE = 20 << 20
"""Bytes of a tensor, as of a network's finest level in a tile of 720 x 720."""


def faults(number: int) -> int:
    """Pages that the system clears for so many large tensors at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(_LARGE // 4) for _ in range(number)]
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert len(tensors) == number
    return int(spent)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another C library")
def test_freed_tensors_take_no_new_pages() -> None:
    keep_freed()
    number = KEPT // 2 // _LARGE
    faults(number)
    assert faults(number) < number * _LARGE // resource.getpagesize() // 10
