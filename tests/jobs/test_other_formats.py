"""Pictures that their own format cannot hold or be written in: in a folder nobody names their outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import images

Command = Callable[..., Any]
PIXELS = np.random.default_rng(0).integers(0, 65536, (10, 12, 3), np.uint16)
LACKS = "JPEG has no 16-bit colour, so it became .png"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A deep PNG named as a JPEG, two files for one output, a broken file, and a good one."""
    folder = tmp_path / "scans"
    folder.mkdir()
    images.write(images.from_array(PIXELS), tmp_path / "deep.png")
    (tmp_path / "deep.png").rename(folder / "deep.jpg")
    for name in ("good.png", "two.gif", "two.gif.png"):
        Image.fromarray((PIXELS >> 8).astype(np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes(b"broken")
    return folder


@pytest.fixture
def job(pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path) -> Command:
    return lambda *more: pellucid_command("restore", scans, "-o", tmp_path / "out", "-p", tiny_prior, *more)


def test_they_get_a_format_that_does_and_go_on_from_there(job: Command, tmp_path: Path) -> None:
    said = job()
    assert said.code == 1
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {"deep.jpg.png", "good.png", "two.gif.tif", "two.gif.png"}
    assert images.read(out / "deep.jpg.png").colour.dtype == np.uint16
    (line,) = [line for line in said.out.splitlines() if "deep" in line]
    assert f"deep.jpg -> {out / 'deep.jpg.png'}  " in line
    assert line.endswith(LACKS)
    assert said.err.splitlines()[-1].startswith("4 of 5 images done, 1 failed, ")
    said = job("--resume")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[0] == "4 of 5 images skipped: done already"
    # A changed output is a person's, under any of its names.
    (out / "deep.jpg.png").write_bytes(b"precious")
    said = job("--resume")
    assert f"{out / 'deep.jpg.png'}: cannot be written (somebody else has written it meanwhile)" in said.err
    assert (out / "deep.jpg.png").read_bytes() == b"precious"
    # Other options make it again, under the same name.
    (out / "deep.jpg.png").unlink()
    assert job("--resume").out.count("deep.jpg.png") == 1
    said = job("--resume", "--fidelity", "1")
    assert "4 of 5 outputs are made again" in said.err
    assert len(said.out.splitlines()) == 4


def test_a_dry_run_names_every_output_and_every_failure(job: Command, scans: Path, tmp_path: Path) -> None:
    said = job("--dry-run", "--json")
    records = {Path(record["input"]).name: record for record in map(json.loads, said.out.splitlines())}
    assert said.code == 1
    assert set(records) == {path.name for path in scans.iterdir()}
    assert len({frozenset(record) for record in records.values()}) == 1
    assert records["deep.jpg"]["output"] == str(tmp_path / "out" / "deep.jpg.png")
    assert (records["deep.jpg"]["note"], records["deep.jpg"]["error"]) == (LACKS, None)
    assert (records["broken.png"]["output"], records["broken.png"]["width"]) == (None, None)
    assert "is no image" in records["broken.png"]["error"]
    assert not (tmp_path / "out").exists()
    assert f"{tmp_path / 'out' / 'deep.jpg.png'}  12x10, " in job("--dry-run").out


def test_samples_and_their_maps(job: Command, scans: Path, tmp_path: Path) -> None:
    for name in ("broken.png", "good.png", "two.gif", "two.gif.png"):
        (scans / name).unlink()
    said = job("--samples", "2", "--maps", "-m", "dreamclean", "--strength", "20")
    assert said.code == 0
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    assert names == {f"deep.jpg-{part}.png" for part in ("1", "2", "mean", "std")}
    records = map(json.loads, job("--samples", "2", "--overwrite", "--dry-run", "--json").out.splitlines())
    assert [Path(record["output"]).name for record in records] == ["deep.jpg-1.png", "deep.jpg-2.png"]


def test_in_place_they_are_named_and_the_others_are_done(
    pellucid_command: Command, scans: Path, tiny_prior: Path
) -> None:
    before = (scans / "deep.jpg").read_bytes()
    said = pellucid_command("restore", scans, "--in-place", "-p", tiny_prior)
    assert said.code == 1
    assert f"{scans / 'two.gif'}: .gif cannot be written, so it is not replaced: say -o FOLDER" in said.err
    assert "deep.jpg: JPEG has no 16-bit colour, so it cannot be replaced: say -o FOLDER" in said.err
    assert said.err.splitlines()[-1].startswith("2 of 4 images done, 2 failed, 1 not begun, ")
    assert (scans / "deep.jpg").read_bytes() == before


def test_degrade_does_alike(pellucid_command: Command, scans: Path, tmp_path: Path) -> None:
    said = pellucid_command("degrade", scans, "-o", tmp_path / "out", "--damage", "noise")
    assert said.code == 1
    assert f"deep.jpg -> {tmp_path / 'out' / 'deep.jpg.png'}  noise" in said.out
    assert (tmp_path / "out" / "deep.jpg.png").exists()


def test_a_dry_run_finds_values_that_are_no_numbers(job: Command, scans: Path) -> None:
    holes = np.full((4, 4, 3), 0.5, np.float32)
    holes[0, 0] = np.nan
    images.write(images.from_array(holes), scans / "holes.tif")
    said = job("--dry-run")
    assert f"{scans / 'holes.tif'}: the image holds values that are not finite (NaN or infinity)" in said.err
