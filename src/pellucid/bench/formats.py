"""A table as text of several kinds: for a terminal, a page, a paper, a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from . import summary
from .rows import Missing, Row
from .summary import Line

FORMATS = ("text", "markdown", "latex", "csv", "json")
"""Formats of every command of `pellucid bench` with `--format`."""


def render(
    shape: str,
    lines: Sequence[Line],
    rows: Sequence[Row | Missing],
    metrics: Sequence[str],
    versus: str | None = None,
    compare: bool = False,
) -> str:
    """A table in one of `FORMATS` but "text"; in "csv" and "json" every image's row.

    Args:
        shape: the format.
        lines: of the table.
        rows: that they are of.
        metrics: the columns.
        versus: label of the method that others are compared with.
        compare: see `summary.text`.

    Raises:
        UsageError: there is no method of that label.
    """
    if shape == "json":
        return "\n".join(json.dumps(asdict(row), default=str) for row in rows)
    if shape == "csv":
        return per_image([row for row in rows if isinstance(row, Row)], metrics)
    cells = [summary.text(lines, metrics, compare)]
    if versus is not None:
        cells.append(summary.differences(lines, metrics, versus))
    return "\n\n".join(map(markdown if shape == "markdown" else latex, cells))


def means(lines: Sequence[Line], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of a table as records: each metric's mean, None where it is not measured, and its interval's half."""
    return [
        {
            "task": line.task,
            "method": line.method,
            **{name: line.cells[name].mean if name in line.cells else None for name in metrics},
            "nfe": line.nfe,
            "seconds": line.seconds,
            "images": line.images,
            "interval": {name: cell.half for name, cell in line.cells.items() if math.isfinite(cell.half)},
            "why": line.why,
        }
        for line in lines
    ]


_LATEX = str.maketrans(
    {one: rf"\{one}" for one in "&%_#${}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$"}
)


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """A table in Markdown.

    Args:
        cells: rows of the same length, the heading first.
    """
    rows = [[cell.replace("|", r"\|") for cell in row] for row in cells]
    rule = ["---"] * len(cells[0])
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])


def latex(cells: Sequence[Sequence[str]]) -> str:
    """A table as LaTeX's `tabular`, with the rules of `booktabs`.

    Args:
        cells: rows of the same length, the heading first.
    """
    rows = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in cells]
    columns = "ll" + "r" * (len(cells[0]) - 2)
    body = [r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])


def per_image(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """Formats every figure of every image in full, as CSV with a heading; empty without figures.

    Args:
        rows: rows of a run.
        metrics: the columns.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["table", "data", "task", "method", "image", "seed", *metrics, "nfe", "seconds", "error"])
    for row in rows:
        figures = [row.figures.get(name, "") for name in metrics]
        about = [row.table, row.data, row.task, row.method, row.image, row.seed]
        lines.writerow([*about, *figures, row.nfe, row.seconds, row.error])
    return text.getvalue().rstrip("\n")
