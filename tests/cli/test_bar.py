"""The bar of a job, and its stand-in where nobody sees it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pellucid.cli.output import Hidden, bar

_UNSEEN = """
import sys
from pellucid.cli.output import bar
with bar() as progress:
    task = progress.add_task("", total=3)
    progress.update(task, completed=1, description="one")
    progress.advance(task)
assert "rich.progress" not in sys.modules
"""


def test_without_a_terminal_no_bar_is_imported() -> None:
    subprocess.run([sys.executable, "-c", _UNSEEN], check=True, stderr=subprocess.PIPE)


def test_on_a_terminal_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert not isinstance(bar(), Hidden)
