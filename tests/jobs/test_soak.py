"""A small soak: jobs that are killed at random moments; `benchmarks/soak.py` has the large one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ("--images", "20", "--broken", "3", "--duplicates", "2", "--kills", "2", "--longest", "0.2")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_killed_jobs_end_as_an_undisturbed_one() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", *SMALL]
    said = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("ok  ") == 9
