"""Freed memory is reused, so that the system need not clear it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process with a fresh heap: six blocks as large as a network's finest level in a tile of 720 x 720, or an image of
# 12 megapixels.
_TWICE = """
import resource
from pellucid.support.allocation import keep_freed

def faults(size, number):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"1" * size for _ in range(number)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed()
for kind in ((20 << 20, 6), (144 * 10**6, 1)):
    print(faults(*kind), faults(*kind))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another C library")
def test_freed_blocks_take_no_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", _TWICE], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        first, second = map(int, line.split())
        assert second < first / 10
