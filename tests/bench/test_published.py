"""The tables' files beside the papers' tables, figure by figure; `published.json` has every figure of the documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.bench import spec

PAPERS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("published.json").read_text())

ETAS = {
    "eta_g = 0": "none",
    "eta_g = sqrt(2 gamma (1 - abar_t)) (Langevin)": "Langevin",
    "eta_g = sqrt(gamma (2 - gamma)(1 - abar_t)) (variance preserving)": "variance-preserving",
}
LABELS = {"Baseline": "damaged", "Gibbsddrm": "GibbsDDRM", **ETAS}
COLUMNS = {
    "deblurring (uniform)": "uniform deblurring",
    "deblurring (gauss)": "gaussian deblurring",
    "JPEG De-artifacting": "jpeg",
    "Non-uniform Deformation": "deformation",
    "Water-drop Removal": "water drops",
    "Denoising": "noise",
    "Superresolution (x4)": "sr4",
    "Superresolution (x8)": "sr8",
    "4x Super-resolution": "sr4",
    "Deblur": "deblurring",
    "25% Inpainting": "inpainting",
    "Colorization": "colorization",
}
SETS = {"LOL": "lol", "VE-LOL-L": "ve-lol", "LoLi-Phone": "loli-phone"}
TABLES = {
    **{f"DreamClean Table {number}": f"dreamclean-{number.lower()}" for number in (*"12345", "A1", "A2", "A3")},
    "DIIP unstructured": "diip-1",
    "DIIP structured": "diip-2",
    "GDP linear": "gdp-1",
    "GDP low light": "gdp-2",
}
Figures = dict[tuple[str, str, str, str], float]


def in_paper(name: str) -> Figures:
    """A paper's table by data set, task, method and metric; cells that it leaves empty are left out."""
    return {key: value for key, value in _cells(name, spec.load(TABLES[name])) if value is not None}


def _cells(name: str, table: spec.Table) -> Iterator[tuple[tuple[str, str, str, str], float | None]]:
    ours = {"Ours": "DIIP"} if name.startswith("DIIP") else {}
    for row, figures in PAPERS[name]["rows"].items():
        label = (LABELS | ours).get(row, row)
        for column, value in figures.items():
            if not isinstance(value, dict):
                yield (table.data[0].name, table.tasks[0].name, label, column), value
                continue
            data = SETS.get(column, table.data[0].name)
            task = "low light" if column in SETS else COLUMNS.get(column, column)
            yield from (((data, task, label, metric), figure) for metric, figure in value.items())


def in_file(name: str) -> Figures:
    return {
        (cell.data, cell.task, cell.method, metric): value
        for cell in spec.load(name).published
        for metric, value in cell.figures.items()
    }


def test_all_figures_of_the_papers_are_594_and_the_empty_cells_are_their_own() -> None:
    def count(value: Any) -> int:
        return sum(map(count, value.values())) if isinstance(value, dict) else value is not None

    assert sum(count(table["rows"]) for table in PAPERS.values()) == 594


@pytest.mark.parametrize("name", PAPERS)
def test_a_table_has_every_figure_of_the_papers_and_no_other(name: str) -> None:
    assert in_file(TABLES[name]) == in_paper(name)


@pytest.mark.parametrize("name", PAPERS)
def test_every_row_of_the_papers_takes_part_and_no_other(name: str) -> None:
    table = spec.load(TABLES[name])
    ours = {"Ours": "DIIP"} if name.startswith("DIIP") else {}
    rows = [(LABELS | ours).get(row, row) for row in PAPERS[name]["rows"]]
    assert {entrant.label for entrant in table.methods} == set(rows) - {"damaged"}
    for _, task, label, _ in in_paper(name):
        entrants = [one for one in table.methods if one.label == label]
        assert label == "damaged" or entrants[0].takes_part(task), (task, label)


def test_a_table_of_ones_own_has_no_papers_name() -> None:
    papers = set(TABLES.values())
    own = [spec.load(name) for name in spec.names() if name not in papers]
    assert not any(table.published for table in own)
    assert all("no table" in table.paper or "figures" in table.paper for table in own)


def test_the_columns_are_the_papers() -> None:
    for name, file in TABLES.items():
        columns = PAPERS[name]["columns"]
        metrics = columns if isinstance(columns, list) else [one for each in columns.values() for one in each]
        assert set(spec.load(file).metrics) == set(metrics) - {spec.NFE}


@pytest.mark.parametrize("name", TABLES.values())
def test_a_claim_is_what_the_papers_figures_say(name: str) -> None:
    """Every order that is claimed holds strictly, in every data set that has the figures; one at least has."""
    table, figures = spec.load(name), in_file(name)
    assert table.claims
    for claim in table.claims:
        for task in claim.tasks or [task.name for task in table.tasks]:
            for metric in claim.metrics:
                for other in claim.than:
                    pairs = [
                        (figures[source.name, task, claim.better, metric], figures[source.name, task, other, metric])
                        for source in table.data
                        if (source.name, task, claim.better, metric) in figures
                        and (source.name, task, other, metric) in figures
                    ]
                    assert pairs, (claim.better, other, task, metric)
                    higher = metric in ("psnr", "ssim")
                    assert all(ours > theirs if higher else ours < theirs for ours, theirs in pairs)
