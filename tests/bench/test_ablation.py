"""Figures of the documentation are what is computed: Table 5 on the embedded prior, and GDP in the dark."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from benchmarks import papers

from pellucid.bench.prior import middle, read_images
from pellucid.priors import load_prior

pytestmark = pytest.mark.slow


FOLDER = Path(__file__).parents[2] / "docs"
DOCS = FOLDER / "tables.md"


def in_docs(method: str) -> list[float]:
    """PSNR and LPIPS of a row of the documentation's table, with one correction and with four."""
    (line,) = (line for line in DOCS.read_text().splitlines() if line.startswith(f"| {method} | "))
    return [float(cell) for cell in line.split("|")[2:6]]


@cache
def means(shared: Path, corrections: int) -> dict[tuple[str, str], float]:
    """By method and metric; all but the corrections is the paper's: tau 300, gamma 0.05, reduction by 4, noise 0.05."""
    alexnet = shared / "data" / "alexnet_features.safetensors"
    return papers.table_5(load_prior("natural", "cpu"), alexnet, corrections)


@pytest.mark.parametrize("corrections", [1, 4])
def test_the_papers_order_holds(shared: Path, corrections: int) -> None:
    found = means(shared, corrections)
    assert found["variance-preserving", "psnr"] > found["Langevin", "psnr"] + 0.1
    assert found["Langevin", "psnr"] > found["none", "psnr"] + 0.1
    assert found["variance-preserving", "lpips"] < found["Langevin", "lpips"] - 0.01
    assert found["Langevin", "lpips"] < found["none", "lpips"] - 0.1


@pytest.mark.parametrize(("corrections", "place"), [(1, 0), (4, 2)])
def test_the_documentations_table_is_what_is_computed(shared: Path, corrections: int, place: int) -> None:
    found = means(shared, corrections)
    for method in ("none", "Langevin", "variance-preserving"):
        psnr, lpips = in_docs(method)[place : place + 2]
        assert found[method, "psnr"] == pytest.approx(psnr, abs=0.02)
        assert found[method, "lpips"] == pytest.approx(lpips, abs=0.005)


def test_gdp_lights_as_its_page_says(shared: Path) -> None:
    row = "light and map, no quality losses"
    (line,) = (line for line in (FOLDER / "gdp.md").read_text().splitlines() if line.startswith(f"| {row} | "))
    images = read_images(shared / "data" / "eval")
    (name,) = (one for one in images if one.startswith(papers.DARK[0]))
    dark, light = papers.lit(load_prior("natural", "cpu"), middle(images[name], 128), papers.LIGHT[row])
    assert light == pytest.approx(float(line.split("|")[2]), abs=0.05)
    assert f"| dark | {dark:.2f} dB |" in (FOLDER / "gdp.md").read_text()


@pytest.mark.parametrize("index", range(len(papers.INPUTS)))
def test_damaged_images_are_as_far_from_the_truth_as_the_page_says(shared: Path, index: int) -> None:
    one = papers.INPUTS[index]
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| {one.name} | {one.setting} |")]
    # Two rows are named "the same", each after another one.
    alike = [
        place for place, other in enumerate(papers.INPUTS) if (other.name, other.setting) == (one.name, one.setting)
    ]
    assert len(lines) == len(alike)
    if "psnr" in one.metrics:
        found = papers.damaged(replace(one, metrics=("psnr",)), read_images(shared / "data" / "eval"), None)
        assert f"{found['psnr']:.2f}" == lines[alike.index(index)].split("|")[3].split(",")[0].strip()


def test_the_pages_have_a_place_for_every_table() -> None:
    for name, (page, _) in papers.MADE.items():
        text = (FOLDER / page).read_text()
        with_new = papers.put(text, name, "| new |")
        assert f"<!-- {name} -->\n| new |\n<!-- end -->" in with_new
        with pytest.raises(ValueError, match="are there 0 times"):
            papers.put(text.replace(name, ""), name, "")
