"""Several restorations of each image, as a person asks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import images
from pellucid.maths.noise import derive_seed

Command = Callable[..., Any]
NAMES = ("a.png", "sub/b.png")
RANDOM = ("-m", "dreamclean", "--strength", "20")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    for index, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(index).integers(0, 255, (8, 9, 3), np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def job(pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path) -> Command:
    """Restores the folder into another."""
    return lambda *more, out="out": pellucid_command(
        "restore", scans, "-o", tmp_path / out, "-p", tiny_prior, *RANDOM, *more
    )


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_the_first_sample_is_what_a_run_without_gives(job: Command, tmp_path: Path) -> None:
    assert job(out="one").code == 0
    said = job("--samples", 3, "--json", out="three")
    assert said.code == 0
    assert re.match(r"6 of 6 images done", said.err)
    one, three = written(tmp_path / "one"), written(tmp_path / "three")
    assert list(three) == [f"{name}-{i}.png" for name in ("a", "sub/b") for i in (1, 2, 3)]
    assert (three["a-1.png"], three["sub/b-1.png"]) == (one["a.png"], one["sub/b.png"])
    assert len(set(three.values())) == 6
    records = [json.loads(line) for line in said.out.splitlines()]
    seeds = [derive_seed(0, name, i) for name in NAMES for i in range(3)]
    assert [(record["sample"], record["seed"], record["note"]) for record in records] == [
        (1 + number % 3, seed, None) for number, seed in enumerate(seeds)
    ]


@pytest.mark.parametrize("place", [("--batch", 4), ("--workers", 1)])
def test_samples_side_by_side_or_in_processes_are_the_same(
    job: Command, tmp_path: Path, place: tuple[Any, ...]
) -> None:
    assert job("--samples", 2, out="one").code == 0
    assert job("--samples", 2, *place, out="other").code == 0
    assert written(tmp_path / "one") == written(tmp_path / "other")


def test_more_samples_go_on_from_fewer(job: Command, tmp_path: Path) -> None:
    assert job("--samples", 2).code == 0
    before = written(tmp_path / "out")
    assert job("--samples", 2).code == 2
    said = job("--samples", 3, "--resume")
    assert said.code == 0
    assert "2 of 6 images done, 4 skipped" in said.err
    after = written(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    (tmp_path / "out" / "a-2.png").unlink()
    assert "1 of 6 images done, 5 skipped" in job("--samples", 3, "--resume").err
    assert written(tmp_path / "out") == after


def test_a_dry_run_has_a_line_for_each(job: Command) -> None:
    lines = job("--samples", 2, "--dry-run").out.splitlines()
    assert [re.search(r"[ab]-\d", line.partition(" -> ")[2])[0] for line in lines] == ["a-1", "a-2", "b-1", "b-2"]  # type: ignore[index]
    assert [json.loads(line)["sample"] for line in job("--samples", 2, "--dry-run", "--json").out.splitlines()] == [
        1, 2, 1, 2,
    ]  # fmt: skip


def test_equal_samples_are_said(pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    arguments = ("restore", scans / "a.png", "-p", tiny_prior, "-m", "denoise", "-o")
    alone = pellucid_command(*arguments, tmp_path / "x.png")
    both = pellucid_command(*arguments, tmp_path / "y.png", "--samples", 2)
    assert "random" not in alone.out
    assert [line.endswith("no random numbers are used: all samples are equal") for line in both.out.splitlines()] == [
        True, True,
    ]  # fmt: skip


def test_what_lies_beside_them_is_apart_too(
    pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    blind = ("--task", "unblur", "-m", "gibbsddrm", "--set", "kernel=5", "--set", "steps=4")
    places = ("--trace", tmp_path / "traces", "--save-kernel", tmp_path / "kernels")
    said = pellucid_command(
        "restore", scans / "a.png", "-o", tmp_path / "o.png", "-p", tiny_prior, *blind, *places, "--samples", 2
    )
    assert said.code == 0
    assert {path.name for path in (tmp_path / "kernels").iterdir()} == {"a.png-1.png", "a.png-2.png"}
    assert {path.name for path in (tmp_path / "traces").glob("*.csv")} == {"a.png-1.csv", "a.png-2.csv"}


def test_samples_of_pages(pellucid_command: Command, tmp_path: Path, tiny_prior: Path) -> None:
    pages = [images.from_array(np.random.default_rng(i).integers(0, 255, (5, 6), np.uint8)) for i in range(2)]
    images.write(images.bound(pages), tmp_path / "in.tif")
    arguments = ("restore", tmp_path / "in.tif", "-p", tiny_prior, *RANDOM)
    assert pellucid_command(*arguments, "-o", tmp_path / "one.tif").code == 0
    assert pellucid_command(*arguments, "-o", tmp_path / "out.tif", "--samples", 2).code == 0
    assert (tmp_path / "out-1.tif").read_bytes() == (tmp_path / "one.tif").read_bytes()
    first, second = (images.read(tmp_path / f"out-{i}.tif").pages for i in (1, 2))
    assert all((a.colour != b.colour).any() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("-o", "out", "--samples", 0), "samples are 1 or more"),
        (("--in-place", "--samples", 2), "cannot take its place"),
    ],
)
def test_samples_that_cannot_be_are_refused(
    pellucid_command: Command, scans: Path, wrong: tuple[object, ...], says: str
) -> None:
    said = pellucid_command("restore", scans, *wrong)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert says in said.err


def test_maps_are_of_the_samples(job: Command, tmp_path: Path) -> None:
    said = job("--samples", 3, "--maps")
    assert said.code == 0, said.err
    samples = np.stack([np.asarray(Image.open(tmp_path / f"out/sub/b-{i}.png")) for i in (1, 2, 3)]) / 255
    mean = np.asarray(Image.open(tmp_path / "out/sub/b-mean.png")) / 255
    assert np.abs(mean - samples.mean(0)).max() <= 0.5 / 255 + 1e-6
    deviation = images.read(tmp_path / "out/sub/b-std.png").pixels / 65535 / 4
    np.testing.assert_allclose(deviation, samples.std(0, ddof=1).clip(0, 0.25), atol=1e-5)
    # More samples with --resume make them anew; without, they are not replaced.
    assert job("--samples", 3, "--maps").code == 2
    assert job("--samples", 4, "--maps", "--resume").code == 0
    again = np.asarray(Image.open(tmp_path / "out/sub/b-mean.png")) / 255
    assert np.abs(again - mean).max() > 0


def test_maps_of_one_sample_are_refused(job: Command) -> None:
    said = job("--maps")
    assert (said.code, "several samples" in said.err) == (2, True)
