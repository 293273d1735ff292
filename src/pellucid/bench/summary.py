"""A table of means: ours beside the published figures, with the difference and the standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from .rows import Missing, Row
from .spec import Claim, Table

_HIGHER = ("psnr", "ssim")
"""Metrics of which more is better; of all others that tables have, less."""


class Cell(NamedTuple):
    """A figure.

    Attributes:
        mean: over the images.
        error: its standard error, the images' spread over the square root of their number; NaN for a single image.
        published: the paper's; None where it is not known.
    """

    mean: float
    error: float
    published: float | None


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        task: the degradation.
        method: the label.
        cells: by metric.
        images: how many were done.
        nfe: evaluations an image, the most.
        seconds: an image.
        why: what is missing, or what failed; empty if nothing.
        published: the paper's figures, also where there are none of ours.
    """

    task: str
    method: str
    cells: Mapping[str, Cell]
    images: int = 0
    nfe: int = 0
    seconds: float = 0.0
    why: str = ""
    published: Mapping[str, float] | None = None


def summarise(
    table: Table, data: str, rows: Sequence[Row | Missing], of_sets: Callable[[Sequence[Row]], Mapping[str, float]]
) -> list[Line]:
    """The lines of a table.

    Args:
        table: which.
        data: the data set whose published figures stand beside.
        rows: of one run.
        of_sets: gives the figures that all images of a line have together.
    """
    found: dict[tuple[str, str], list[Row | Missing]] = {}
    order = {label: place for place, label in enumerate(["damaged", *(one.label for one in table.methods)])}
    for row in rows:
        found.setdefault((row.task, row.method), []).append(row)
    tasks = {row.task: None for row in rows}
    keys = sorted(found, key=lambda key: (list(tasks).index(key[0]), order[key[1]]))
    return [_line(key, found[key], table.figures(data, *key), of_sets) for key in keys]


def _line(
    key: tuple[str, str],
    rows: Sequence[Row | Missing],
    published: Mapping[str, float],
    of_sets: Callable[[Sequence[Row]], Mapping[str, float]],
) -> Line:
    done = [row for row in rows if isinstance(row, Row) and not row.error]
    why = next((row.why if isinstance(row, Missing) else row.error for row in rows if row not in done), "")
    if not done:
        return Line(*key, {}, why=why, published=published)
    names = {name: None for row in done for name in row.figures}
    cells = {name: cell(_by_image(done, name), published.get(name)) for name in names}
    cells |= {name: Cell(value, math.nan, published.get(name)) for name, value in of_sets(done).items()}
    if why:
        why = f"{len(rows) - len(done)} failed: {why}"
    images = len({row.image for row in done})
    seconds = fmean(row.seconds for row in done)
    return Line(*key, cells, images, max(row.nfe for row in done), seconds, why, published)


def _by_image(rows: Sequence[Row], metric: str) -> list[float]:
    """The figure of each image, the mean of its seeds."""
    each: dict[str, list[float]] = {}
    for row in rows:
        if metric in row.figures:
            each.setdefault(row.image, []).append(row.figures[metric])
    return [fmean(values) for values in each.values()]


def cell(values: Sequence[float], published: float | None = None) -> Cell:
    """The mean of images' figures, with its standard error."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan
    return Cell(fmean(values), error, published)


def verdicts(table: Table, lines: Sequence[Line]) -> list[tuple[bool, str]]:
    """Whether the paper's orders hold in one's own table, in a line each; those without figures are left out."""
    means = {(line.task, line.method, name): cell.mean for line in lines for name, cell in line.cells.items()}
    tasks = {line.task: None for line in lines}
    return [one for claim in table.claims for task in claim.tasks or tasks for one in _verdicts(claim, task, means)]


def _verdicts(claim: Claim, task: str, means: Mapping[tuple[str, str, str], float]) -> Iterator[tuple[bool, str]]:
    for metric in claim.metrics:
        for other in claim.than:
            ours, theirs = means.get((task, claim.better, metric)), means.get((task, other, metric))
            if ours is None or theirs is None:
                continue
            holds = ours > theirs if metric in _HIGHER else ours < theirs
            said = "holds" if holds else "does NOT hold"
            digits = digits_of(metric)
            yield (
                holds,
                f"{task}, {metric.upper()}: {claim.better} better than {other}: {said} "
                f"({ours:.{digits}f} against {theirs:.{digits}f})",
            )


def digits_of(metric: str) -> int:
    """Places after the point that a metric is told with."""
    return 2 if metric in ("psnr", "fid", "consistency", "pi", "niqe") else 3


def text(lines: Sequence[Line], metrics: Sequence[str], compare: bool) -> list[list[str]]:
    """The table for a terminal, its heading first.

    Args:
        lines: of it.
        metrics: the columns.
        compare: whether the difference to the published figures means something: on the paper's own images and prior.
    """
    rows = [["TASK", "METHOD", *(metric.upper() for metric in metrics), "NFE", "SECONDS", ""]]
    for line in lines:
        cells = [show(line, metric, compare) for metric in metrics]
        cost = [str(line.nfe), f"{line.seconds:.1f}"] if line.images else ["-", "-"]
        rows.append([line.task, line.method, *cells, *cost, line.why])
    return rows


def show(line: Line, metric: str, compare: bool) -> str:
    """A figure of one's own with its standard error, and in brackets the paper's with the difference."""
    digits, cell = digits_of(metric), line.cells.get(metric)
    published = (line.published or {}).get(metric)
    ours = "-" if cell is None else f"{cell.mean:.{digits}f}"
    if cell is not None and math.isfinite(cell.error):
        ours += f" ±{cell.error:.{digits}f}"
    if published is None:
        return ours
    difference = f", {cell.mean - published:+.{digits}f}" if cell is not None and compare else ""
    return f"{ours} [{published:g}{difference}]"
