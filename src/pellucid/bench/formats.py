"""A table as text of several kinds: for a terminal, a page, a paper, a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from .rows import Row

FORMATS = ("text", "markdown", "latex", "csv", "json")
"""Formats of `pellucid bench TABLE --format`."""

_LATEX = str.maketrans({"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "±": r"$\pm$"})


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
