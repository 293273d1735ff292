"""Trace of a restoration, step by step: a table, and the method's curves as a picture."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from .. import charts
from ..methods.method import State


class Trace:
    """Watches the states of one image's restoration."""

    def __init__(self) -> None:
        self._pages: list[list[dict[str, float]]] = []

    def see(self, state: State) -> None:
        """Takes in one state; keeps numbers alone."""
        row: dict[str, float] = {"step": state.step, "sigma": state.sigma, "nfe": state.nfe}
        row |= {name: values[0] for name, values in state.curves.items()}
        # Steps count up from 1: where they begin again, so does another page.
        if not self._pages or state.step <= self._pages[-1][-1]["step"]:
            self._pages.append([])
        self._pages[-1].append(row)

    def write(self, path: Path) -> None:
        """Writes `path`.csv, a line for each state, and `path`.png, a chart for each curve of the method.

        Several pages are told apart by a column, and have a line each in the charts.

        Args:
            path: without a suffix of its own; its folder is made if it is not there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        names = list({name: None for rows in self._pages for row in rows for name in row})
        several = ["page"] if len(self._pages) > 1 else []
        with path.with_name(f"{path.name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, several + names, extrasaction="ignore")
            writer.writeheader()
            for page, rows in enumerate(self._pages, 1):
                writer.writerows({"page": page, **row} for row in rows)
        # A method without curves has its walk over the noise levels.
        curves = [name for name in names if name not in ("step", "sigma", "nfe")] or ["sigma"]
        drawn = {f"{name}, by step": self._lines(name) for name in curves}
        charts.draw(drawn).save(path.with_name(f"{path.name}.png"))

    def _lines(self, name: str) -> charts.Lines:
        lines = [[(int(row["step"]), row[name]) for row in rows if name in row] for rows in self._pages]
        labels = [""] if len(lines) == 1 else [f"page {page}" for page in range(1, len(lines) + 1)]
        finite = ([point for point in line if math.isfinite(point[1])] for line in lines)
        return dict(zip(labels, finite, strict=True))
