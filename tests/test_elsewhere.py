from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch.utils.backend_registration")


def test_whatever_runs_on_the_cpu_runs_on_other_devices() -> None:
    """There is no GPU where tests run; this is a process with a device that is as strict about places as one."""
    cases = Path(__file__).parent / "elsewhere" / "cases.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cases.parents[2])
    assert done.returncode == 0, done.stdout[-5000:]
