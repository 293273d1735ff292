"""A table of means: ours beside the published figures, with the difference and the 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Literal, NamedTuple

from .. import metrics
from ..errors import UsageError, unknown_name
from ..support.plural import number_of
from ..support.settings import names_object
from .intervals import Difference, bounded, half_width, paired
from .rows import Missing, Row
from .spec import NFE, Claim, Table

HIGHER = ("psnr", "ssim")
"""Metrics of the package where more is better; for all others of its tables, less is better."""


class Cell(NamedTuple):
    """One figure of the table.

    Attributes:
        mean: over the images.
        error: its standard error, the images' spread over the square root of their number; NaN for a single image.
        published: the paper's figure; None if unknown.
        half: half of the mean's 95 % interval over the images; NaN for a single one.
    """

    mean: float
    error: float
    published: float | None
    half: float = math.nan


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        task: the degradation.
        method: the label.
        cells: by metric.
        images: number of restored images.
        nfe: the most evaluations for an image.
        seconds: an image.
        why: reason for missing figures; empty without one.
        published: the paper's figures, also without figures of ours.
        values: the images' own figures, the mean of their seeds, by metric; a PSNR is 100 at most.
    """

    task: str
    method: str
    cells: Mapping[str, Cell]
    images: int = 0
    nfe: int = 0
    seconds: float = 0.0
    why: str = ""
    published: Mapping[str, float] | None = None
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


Outcome = Literal["holds", "does not hold", "not decided"]


class Verdict(NamedTuple):
    """Check of a paper's order in a run.

    Attributes:
        outcome: by the 95 % interval of the images' differences.
        text: the result as a line of text.
    """

    outcome: Outcome
    text: str


def summarise(
    table: Table, data: str, rows: Sequence[Row | Missing], of_sets: Callable[[Sequence[Row]], Mapping[str, float]]
) -> list[Line]:
    """Computes the lines of a table.

    Args:
        table: which.
        data: data set of the published figures.
        rows: of one run.
        of_sets: gives the figures over all images of a line together.
    """
    found = _by_line(rows)
    order = {label: place for place, label in enumerate(["damaged", *(one.label for one in table.methods)])}
    tasks = {row.task: None for row in rows}
    keys = sorted(found, key=lambda key: (list(tasks).index(key[0]), order[key[1]]))
    return [_line(key, found[key], table.figures(data, *key), of_sets) for key in keys]


def of_rows(rows: Sequence[Row]) -> list[Line]:
    """The lines of rows of no paper's table, in the rows' order."""
    return [_line(key, own, {}, lambda _: {}) for key, own in _by_line(rows).items()]


def _by_line(rows: Sequence[Row | Missing]) -> dict[tuple[str, str], list[Row | Missing]]:
    found: dict[tuple[str, str], list[Row | Missing]] = {}
    for row in rows:
        found.setdefault((row.task, row.method), []).append(row)
    return found


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
    values = {name: _by_image(done, name) for name in names}
    cells = {name: cell(list(each.values()), published.get(name)) for name, each in values.items()}
    cells |= {name: Cell(value, math.nan, published.get(name)) for name, value in of_sets(done).items()}
    if why:
        why = f"{len(rows) - len(done)} failed: {why}"
    images = len({row.image for row in done})
    seconds = fmean(row.seconds for row in done)
    return Line(*key, cells, images, max(row.nfe for row in done), seconds, why, published, values)


def _by_image(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Figure of each image, the mean over its seeds."""
    each: dict[str, list[float]] = {}
    for row in rows:
        if metric in row.figures:
            each.setdefault(row.image, []).append(bounded(metric, row.figures[metric]))
    return {image: fmean(values) for image, values in each.items()}


def cell(values: Sequence[float], published: float | None = None) -> Cell:
    """Mean of the images' figures, with its standard error and its interval."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan
    return Cell(fmean(values), error, published, half_width(values))


def verdicts(table: Table, lines: Sequence[Line]) -> list[Verdict]:
    """Checks the paper's orders in a run, a line each; orders without figures are left out."""
    found = {(line.task, line.method): line for line in lines}
    tasks = {line.task: None for line in lines}
    return [one for claim in table.claims for task in claim.tasks or tasks for one in _verdicts(claim, task, found)]


def _verdicts(claim: Claim, task: str, lines: Mapping[tuple[str, str], Line]) -> Iterator[Verdict]:
    ours = lines.get((task, claim.better))
    for metric in claim.metrics:
        for other in claim.than:
            theirs = lines.get((task, other))
            if ours is None or theirs is None or metric not in ours.cells or metric not in theirs.cells:
                continue
            yield _verdict(f"{task}, {metric.upper()}: {claim.better} better than {other}", metric, ours, theirs)


def _verdict(order: str, metric: str, ours: Line, theirs: Line) -> Verdict:
    digits, mine, other = digits_of(metric), ours.values.get(metric, {}), theirs.values.get(metric, {})
    apart = paired(mine, other)
    shared = [image for image in mine if image in other and math.isfinite(mine[image] - other[image])]
    # The means are of what is compared: a failed image of one method is left out of the other's, too.
    first, second = (
        fmean(own[image] for image in shared) if shared else line.cells[metric].mean
        for own, line in ((mine, ours), (other, theirs))
    )
    means = f"{first:.{digits}f} against {second:.{digits}f}"
    if apart is None:
        return Verdict("not decided", f"{order}: not decided, one figure of all images has no interval ({means})")
    many = number_of(apart.images, "image")
    if not apart.decided:
        return Verdict("not decided", f"{order}: not decided by {many} ({means})")
    outcome: Outcome = "holds" if (apart.mean > 0) == _higher(metric) else "does not hold"
    interval = f"{apart.mean:+.{digits}f}, 95 % from {apart.low:+.{digits}f} to {apart.high:+.{digits}f}"
    return Verdict(outcome, f"{order}: {outcome} ({means}; {interval}, {many})")


def _higher(metric: str) -> bool:
    """True if more of a metric is better; one's own says it itself."""
    return metric in HIGHER or (names_object(metric) and metrics.get(metric).better == "higher")


def differences(lines: Sequence[Line], metrics: Sequence[str], than: str) -> list[list[str]]:
    """Differences of each method from another on the same images, with 95 % intervals; the heading first.

    Args:
        lines: of a table.
        metrics: the columns.
        than: the other method's label, or "damaged".

    Raises:
        UsageError: no line belongs to the other method.
    """
    if than not in {line.method for line in lines}:
        raise unknown_name("method", than, dict.fromkeys(line.method for line in lines))
    others = {line.task: line for line in lines if line.method == than}
    rows = [["TASK", "METHOD", *(f"{metric.upper()} - {than}" for metric in metrics), "IMAGES"]]
    for line in lines:
        if line.method == than or line.task not in others or not line.images:
            continue
        found = [paired(line.values.get(name, {}), others[line.task].values.get(name, {})) for name in metrics]
        cells = [_apart(one, digits_of(name)) for one, name in zip(found, metrics, strict=True)]
        rows.append([line.task, line.method, *cells, str(max((one.images for one in found if one), default=0))])
    return rows


def check_versus(versus: str | None, labels: Iterable[str]) -> None:
    """Refuses a label that nothing can be compared with, before anything is computed.

    Args:
        versus: label of the method that others are compared with; None for no comparison.
        labels: labels of all that take part.

    Raises:
        UsageError: it is none of the labels, or the only one.
    """
    known = set(labels)
    if versus is not None and versus not in known:
        raise unknown_name("method", versus, known)
    if versus is not None and len(known) == 1:
        raise UsageError(f"{versus} takes part alone: name another to compare it with, or leave --versus out")


def _apart(difference: Difference | None, digits: int) -> str:
    if difference is None:
        return "-"
    half = difference.high - difference.mean
    spread = f" ±{half:.{digits}f}" if math.isfinite(half) else ""
    return f"{difference.mean:+.{digits}f}{spread}" + (" *" if difference.decided else "")


def digits_of(metric: str) -> int:
    """Number of decimal places of a metric."""
    return 2 if metric in ("psnr", "fid", "consistency", "pi", "niqe") else 3


def text(lines: Sequence[Line], metrics: Sequence[str], compare: bool) -> list[list[str]]:
    """Formats the table for a terminal, its heading first.

    Args:
        lines: lines of the table.
        metrics: the columns.
        compare: whether the difference to the published figures is meaningful: with the paper's images and prior.
    """
    rows = [["TASK", "METHOD", *(metric.upper() for metric in metrics), "NFE", "SECONDS", ""]]
    for line in lines:
        cells = [show(line, metric, compare) for metric in metrics]
        told = (line.published or {}).get(NFE)
        nfe = f"{line.nfe if line.images else '-'}" + (f" [{told:g}]" if told is not None else "")
        cost = [nfe, f"{line.seconds:.1f}" if line.images else "-"]
        rows.append([line.task, line.method, *cells, *cost, line.why])
    return rows


def show(line: Line, metric: str, compare: bool) -> str:
    """Formats a figure with half of its 95 % interval, and in brackets the paper's figure with the difference."""
    digits, cell = digits_of(metric), line.cells.get(metric)
    published = (line.published or {}).get(metric)
    ours = "-" if cell is None else f"{cell.mean:.{digits}f}"
    if cell is not None and math.isfinite(cell.half):
        ours += f" ±{cell.half:.{digits}f}"
    if published is None:
        return ours
    difference = f", {cell.mean - published:+.{digits}f}" if cell is not None and compare else ""
    return f"{ours} [{published:g}{difference}]"
