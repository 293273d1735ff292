from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

from pellucid.jobs.trace import Trace
from pellucid.methods.method import State


def _table(path: Path, steps: list[int]) -> list[dict[str, str]]:
    trace, x = Trace(), torch.zeros(1, 1, 1, 1)
    for nfe, step in enumerate(steps, 1):
        trace.see(State(step, 3, 1.0 / step, x, x, nfe, {"loss": (float(nfe),)}))
    trace.write(path)
    with Image.open(f"{path}.png") as chart:
        assert chart.size == (600, 480)
    with Path(f"{path}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_for_each_state(tmp_path: Path) -> None:
    assert _table(tmp_path / "one", [1, 2]) == [
        {"step": "1", "sigma": "1.0", "nfe": "1", "loss": "1.0"},
        {"step": "2", "sigma": "0.5", "nfe": "2", "loss": "2.0"},
    ]


@pytest.mark.parametrize("steps", [[1, 2, 1, 2, 3], [1, 2, 3, 1, 2, 3], [1, 1]])
def test_pages_are_told_apart(tmp_path: Path, steps: list[int]) -> None:
    table = _table(tmp_path / "pages", steps)
    assert [int(row["step"]) for row in table] == steps
    second = steps.index(1, 1)
    assert [row["page"] for row in table] == ["1"] * second + ["2"] * (len(steps) - second)
