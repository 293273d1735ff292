"""DreamClean's Table 5 on the embedded prior: what noise its corrections add."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pellucid.bench import photographs, spec
from pellucid.bench.report import Result
from pellucid.bench.run_table import Run, run
from pellucid.priors import load_prior

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table-5")


DOCS = Path(__file__).parents[2] / "docs" / "tables.md"


def in_docs(method: str) -> list[float]:
    """PSNR and LPIPS of a row of the documentation's table, with one correction and with four."""
    (line,) = (line for line in DOCS.read_text().splitlines() if line.startswith(f"| {method} | "))
    return [float(cell) for cell in line.split("|")[2:6]]


@cache
def means(shared: Path, folder: Path, corrections: int) -> dict[tuple[str, str], float]:
    """By method and metric; all but the corrections is the paper's: tau 300, gamma 0.05, reduction by 4, noise 0.05."""
    weights = {"lpips": shared / "data" / "alexnet_features.safetensors"}
    table = spec.load("dreamclean-5")
    entrants = tuple(replace(one, settings=one.settings | {"corrections": corrections}) for one in table.methods)
    job = Run(
        replace(table, methods=entrants),
        load_prior("natural", "cpu"),
        photographs.bundled(),
        folder,
        quick=True,
        weights=weights,
    )
    lines = Result(job, "natural", list(run(job))).lines
    return {(line.method, metric): cell.mean for line in lines for metric, cell in line.cells.items()}


def test_the_papers_order_holds_with_four_corrections(shared: Path, folder: Path) -> None:
    found = means(shared, folder, 4)
    assert found["variance-preserving", "psnr"] > found["Langevin", "psnr"] + 0.1
    assert found["Langevin", "psnr"] > found["none", "psnr"] + 0.1
    assert found["variance-preserving", "lpips"] < found["Langevin", "lpips"] - 0.01
    assert found["Langevin", "lpips"] < found["none", "lpips"] - 0.1


def test_with_one_correction_it_holds_but_for_the_psnr_without_noise(shared: Path, folder: Path) -> None:
    found = means(shared, folder, 1)
    assert found["variance-preserving", "psnr"] > found["Langevin", "psnr"] + 0.1
    assert found["variance-preserving", "lpips"] < found["Langevin", "lpips"] - 0.01
    assert found["Langevin", "lpips"] < found["none", "lpips"] - 0.05
    # What does not hold with a small prior: without noise the result is smooth, which PSNR rewards.
    assert found["none", "psnr"] > found["Langevin", "psnr"]


@pytest.mark.parametrize(("corrections", "place"), [(1, 0), (4, 2)])
def test_the_documentations_table_is_what_is_computed(shared: Path, folder: Path, corrections: int, place: int) -> None:
    found = means(shared, folder, corrections)
    for method in ("none", "Langevin", "variance-preserving"):
        psnr, lpips = in_docs(method)[place : place + 2]
        assert found[method, "psnr"] == pytest.approx(psnr, abs=0.02)
        assert found[method, "lpips"] == pytest.approx(lpips, abs=0.005)
