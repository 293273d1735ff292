"""Self-contained page of a run: tables, pictures side by side, curves. It loads nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..images.atomic import replacing
from ..release import version
from . import plots, summary, svg
from .measure import Measures
from .rows import Missing, Row
from .run_table import Run, latents_of

PICTURES = 4
"""Number of images of a task on the page, from the first; the run's folder has all."""


@dataclass(frozen=True)
class Result:
    """Result of a table.

    Attributes:
        job: the requested run.
        prior: the user's name of the prior.
        rows: results of the images.
    """

    job: Run
    prior: str
    rows: Sequence[Row | Missing]

    @cached_property
    def lines(self) -> list[summary.Line]:
        """The table as lines."""
        measures = Measures(self.job.table, self.job.weights)
        source = self.job.source or self.job.table.data[0]
        return summary.summarise(
            self.job.table, source.name, self.rows, lambda rows: measures.of_sets(rows, self.job.folder)
        )

    @property
    def what(self) -> str:
        """Describes the figures in one line."""
        images = len({row.image for row in self.rows if isinstance(row, Row)})
        count = f"{images} {'image' if images == 1 else 'images'}"
        if self.job.source is None:
            few = self.job.quick and any(one.quick or one.quick_per_task for one in self.job.table.methods)
            given = "the package's photographs" + (", few evaluations" if few else "")
            what = f"{count} of {given}, prior {self.prior}"
            if not self.job.table.published:
                return f"{what}."
            what += ": the paper's procedure, not its figures."
            on = self.job.table.data[0].name
            if any(cell.data == on for cell in self.job.table.published):
                what += f" In brackets the paper's, on {on}: other images, another prior."
            return what
        if not self.job.table.published:
            return f"{count} of {self.job.source.name}, prior {self.prior}."
        return (
            f"{count} of {self.job.source.name}, prior {self.prior} (the paper's: {self.job.source.prior}). In "
            "brackets the paper's figures and the difference to them."
        )

    @property
    def metrics(self) -> list[str]:
        """Metrics with measurements or with published figures."""
        told = {name for line in self.lines for name in (*line.cells, *(line.published or {}))}
        return [name for name in self.job.table.metrics if name in told]

    @property
    def missing(self) -> list[str]:
        """Lists the unmeasured metrics and the reasons."""
        return list(Measures(self.job.table, self.job.weights).missing.values())


def write(results: Sequence[Result], path: Path) -> None:
    """Writes the page, whole or not at all.

    Args:
        results: results of one or several runs.
        path: of the file.

    Raises:
        OSError: it cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pellucid.bench", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    of_papers = any(result.job.table.published for result in results)
    page = environment.get_template("report.html").render(
        heading="the papers' tables" if of_papers else "measurements",
        sections=[_section(result) for result in results],
        version=version("pellucid"),
        colours=range(svg.COLOURS),
    )
    with replacing(path) as file:
        file.write(page.encode())


def _section(result: Result) -> dict[str, Any]:
    """Section of one table on the page."""
    table, compare = result.job.table, result.job.source is not None
    rows = [row for row in result.rows if isinstance(row, Row) and not row.error]
    heading, *cells = summary.text(result.lines, result.metrics, compare)
    colours = {entrant.label: place for place, entrant in enumerate(table.methods)}
    return {
        "name": table.name,
        "title": table.title,
        "paper": table.paper,
        "note": table.note,
        "protocol": {key: value for key, value in vars(table.protocol).items() if value},
        "what": result.what,
        "heading": heading,
        "cells": cells,
        "missing": result.missing,
        # Figures of a paper may show an order without giving numbers: then it is ours.
        "order": "The paper's order" if table.published else "The expected order",
        "whose": "Protocol of the paper" if table.published else "Protocol",
        "verdicts": summary.verdicts(table, result.lines),
        "tasks": [_task(result, task, rows, colours) for task in {row.task: None for row in rows}],
        "colours": colours,
        "made": rows[0].versions | {"device": rows[0].device, "weights": rows[0].prior[:12]} if rows else {},
    }


def _task(result: Result, name: str, rows: Sequence[Row], colours: Mapping[str, int]) -> dict[str, Any]:
    own = [row for row in rows if row.task == name]
    seed = min((row.seed for row in own if row.method != "damaged"), default=0)
    shown = [row for row in own if row.seed == seed or row.method == "damaged"]
    # Damage that is redrawn for each seed is shown once.
    seeds = {row.seed for row in shown if row.method == "damaged"}
    shown = [row for row in shown if row.seed == seed or seed not in seeds]
    names = list({row.image: None for row in shown})
    return {
        "name": name,
        "images": [
            list(_pictures(result, image, [row for row in shown if row.image == image])) for image in names[:PICTURES]
        ],
        "left": max(0, len(names) - PICTURES),
        "plots": [(plot, svg.draw(plot)) for plot in plots.of_task(name, own, colours)],
        "latents": [
            (row.method, row.image, uri)
            for row in shown
            if row.image == names[0] and row.picture and (uri := _uri(result.job.folder / latents_of(row.picture)))
        ],
        "kernels": [(row.method, row.image, [_kernel(k) for k in row.trace["kernels"]]) for row in shown if _has(row)],
    }


def _has(row: Row) -> bool:
    return bool(row.trace.get("kernels"))


def _pictures(result: Result, image: str, rows: Sequence[Row]) -> Iterator[dict[str, str]]:
    """Shows one image by every method, the damaged one first, the truth last."""
    folder, metrics = result.job.folder, result.metrics
    for row in rows:
        said = "  ".join(
            f"{name.upper()} {row.figures[name]:.{summary.digits_of(name)}f}" for name in metrics if name in row.figures
        )
        yield {"label": row.method, "said": said, "alt": f"{image}, {row.method}", "uri": _uri(folder / row.picture)}
    truth = (folder / rows[0].picture).with_name("truth.png")
    if truth.is_file():
        yield {"label": "truth", "said": image, "alt": f"{image}, as it was", "uri": _uri(truth)}


def _uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() if path.is_file() else ""


def _kernel(rows: Sequence[Sequence[float]]) -> str:
    file = io.BytesIO()
    Image.fromarray((255 * np.clip(np.array(rows), 0, 1)).astype(np.uint8)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
