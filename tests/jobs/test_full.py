"""Disks that are full, or that are not to be written to any more, at every step of writing an output."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pellucid.api import Restorer
from pellucid.jobs import Feed, make_folders, plan, run
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior

RESTORER = Restorer(DreamClean(strength=30), GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (6, 5), "teal").save(folder / f"{name}.png")
    return folder


class Failing:
    """Stands for a function that fails from its `good`-th call on."""

    def __init__(self, function: Callable[..., Any], number: int, good: int) -> None:
        self.function, self.number, self.left = function, number, good

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.function(*arguments, **options)


def fail(monkeypatch: pytest.MonkeyPatch, step: str, number: int, good: int) -> None:
    """Makes one step of writing outputs fail, after so many that do not."""
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", Failing(os.fsync, number, good))
    elif step == "replace":
        # On a disk that has no second names for files, too.
        failing = Failing(Path.replace, number, good)
        monkeypatch.setattr(Path, "hardlink_to", Failing(Path.hardlink_to, errno.EPERM, 0))
        monkeypatch.setattr(Path, "replace", lambda self, target: failing(self, target))
    else:
        failing = Failing(Image.Image.save, number, good)

        def half(self: Image.Image, file: Any, **options: Any) -> None:
            if failing.left <= 0:
                file.write(b"half")
            failing(self, file, **options)

        monkeypatch.setattr(Image.Image, "save", half)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_what_cannot_be_written_stops_the_job_and_leaves_nothing(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    items = plan([scans], tmp_path / "out")
    make_folders(items)
    feed = Feed(items)
    outcomes = []
    with monkeypatch.context() as patch:
        fail(patch, step, number, 1)
        for outcome in run(feed, RESTORER):
            feed.heed(outcome)
            outcomes.append(outcome)
    assert [outcome.stops for outcome in outcomes] == [False, True]
    assert f"{tmp_path / 'out' / 'b.png'}: cannot be written ({os.strerror(number)})" in str(outcomes[1].error)
    assert (feed.stopped, feed.full) == ("nothing more can be written", True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_one_folder_that_refuses_is_one_images_trouble(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = plan([scans], tmp_path / "out")
    make_folders(items)
    path_open = Path.open

    def refuse(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "x" in mode and not (tmp_path / "refused").exists():
            (tmp_path / "refused").touch()
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return path_open(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    outcomes = list(run(items, RESTORER))
    assert [outcome.error is None for outcome in outcomes] == [False, True, True]
    assert "cannot be written (Permission denied)" in str(outcomes[0].error)
    assert not any(outcome.stops for outcome in outcomes)


def test_what_stood_there_stays_where_its_successor_cannot_be_written(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.png").write_bytes(b"before")
    items = plan([scans / "a.png"], tmp_path / "out.png", overwrite=True)
    for step in ("write", "fsync", "replace"):
        with monkeypatch.context() as patch:
            fail(patch, step, errno.ENOSPC, 0)
            (outcome,) = run(items, RESTORER)
        assert outcome.stops
        assert (tmp_path / "out.png").read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"scans", "out.png"}
