from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pellucid import images
from pellucid.api import Restorer
from pellucid.jobs import Item, plan, run
from pellucid.methods import DreamClean
from pellucid.noise import derive_seed
from pellucid.priors import GaussianPrior

RESTORER = Restorer(DreamClean(strength=30), GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (6, 5), "teal").save(folder / f"{name}.png")
    return folder


def test_each_image_is_restored_with_its_own_seed(scans: Path, tmp_path: Path) -> None:
    done: list[tuple[Item, int]] = []
    items = plan([scans], tmp_path)
    outcomes = list(run(items, RESTORER, seed=3, progress=lambda item, pixels: done.append((item, pixels))))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [outcome.seed for outcome in outcomes] == [derive_seed(3, f"{name}.png") for name in "abc"]
    assert [(outcome.nfe, outcome.size) for outcome in outcomes] == [(9, (5, 6))] * 3
    assert sum(pixels for item, pixels in done if item == items[0]) == RESTORER.work(5, 6)
    written = [item.target.read_bytes() for item in items]
    assert len(set(written)) == 3
    # The same folder in another place, and one of its images alone in it: the same bytes.
    (scans / "b.png").rename(tmp_path / "b.bak")
    (tmp_path / "again").mkdir()
    again = list(run(plan([scans], tmp_path / "again"), RESTORER, seed=3))
    assert [outcome.item.target.read_bytes() for outcome in again] == [written[0], written[2]]


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (RuntimeError("out of luck\nline 2"), "failed unexpectedly (RuntimeError: out of luck)"),
        (MemoryError(), "does not fit into memory"),
    ],
)
def test_one_that_fails_takes_none_of_the_others_with_it(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, says: str
) -> None:
    (scans / "a.png").write_bytes(b"broken")
    read = images.read

    def read_or_fail(path: Path) -> Any:
        if path.name == "b.png":
            raise problem
        return read(path)

    monkeypatch.setattr(images, "read", read_or_fail)
    outcomes = list(run(plan([scans], tmp_path / "out"), RESTORER))
    (tmp_path / "out").mkdir()
    outcomes = list(run(plan([scans], tmp_path / "out"), RESTORER))
    assert "a.png: is no image" in str(outcomes[0].error)
    assert outcomes[1].error == f"{scans / 'b.png'}: {says}"
    assert outcomes[2].error is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.png"]


def test_a_format_that_cannot_hold_the_image_is_said_before_the_work(tmp_path: Path) -> None:
    Image.new("RGBA", (6, 5)).save(tmp_path / "in.png")
    done: list[int] = []
    (outcome,) = run([Item(tmp_path / "in.png", tmp_path / "out.jpg")], RESTORER, 0, lambda item, n: done.append(n))
    assert "no transparency" in str(outcome.error)
    assert done == []


def test_an_image_whose_trace_fails_has_no_output(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("in the way")
    (tmp_path / "out").mkdir()
    outcomes = list(run(plan([scans], tmp_path / "out"), RESTORER, traces=tmp_path / "traces"))
    assert all(outcome.error for outcome in outcomes)
    assert list((tmp_path / "out").iterdir()) == []
