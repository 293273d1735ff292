"""Trace of a restoration, step by step: a table, and the method's curves as a picture."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from ..errors import PellucidError
from ..methods.likelihood import Beside
from ..methods.method import State
from ..support import charts


class Trace:
    """Watches the states of one image's restoration.

    Args:
        beside: watches latents beside the clean image, if that is known.
    """

    def __init__(self, beside: Beside | None = None) -> None:
        self._beside = beside
        self._pages: list[list[dict[str, float]]] = []

    def see(self, state: State) -> None:
        """Takes in one state; keeps only numbers."""
        if self._beside is not None:
            self._beside.see(state)
        row: dict[str, float] = {"step": state.step, "sigma": state.sigma, "nfe": state.nfe}
        row |= {name: values[0] for name, values in state.curves.items()}
        # Steps count up from 1: where they begin again, so does another page.
        if not self._pages or state.step <= self._pages[-1][-1]["step"]:
            self._pages.append([])
        self._pages[-1].append(row)

    def write(self, path: Path) -> None:
        """Writes `path`.csv, a line for each state, and `path`.png, a chart for each curve of the method.

        Several pages have a column with their number, and a line each in the charts.

        Args:
            path: file name without a suffix; its folder is made if it is missing.
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
        if self._beside is not None:
            drawn |= self._write_beside(self._beside, path)
        charts.draw(drawn).save(path.with_name(f"{path.name}.png"))

    def _write_beside(self, beside: Beside, path: Path) -> dict[str, charts.Lines]:
        """Writes `path`.latents.csv and .png, the chart of log q(x_t | x_0) / N over t, if there were such latents."""
        if not beside.down:
            raise PellucidError("the method corrects no latents, to be seen beside the truth: take dreamclean")
        with path.with_name(f"{path.name}.latents.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ("way", "t", "sigma", "clean", "damaged", "before", "after"))
            writer.writeheader()
            for way, levels in (("up", beside.up), ("down", beside.down)):
                writer.writerows({"way": way, "t": one.t, "sigma": one.sigma, **one.densities} for one in levels)
        sheet = beside.sheet()
        if sheet is not None:
            sheet.save(path.with_name(f"{path.name}.latents.png"))
        lines: dict[str, list[tuple[int, float]]] = {}
        for one in sorted((*beside.up, *beside.down), key=lambda one: one.t):
            for name, value in one.densities.items():
                lines.setdefault(name, []).append((one.t, value))
        return {"log q(x_t | x_0) / N, nats a value, by t": lines}

    def _lines(self, name: str) -> charts.Lines:
        lines = [[(int(row["step"]), row[name]) for row in rows if name in row] for rows in self._pages]
        labels = [""] if len(lines) == 1 else [f"page {page}" for page in range(1, len(lines) + 1)]
        finite = ([point for point in line if math.isfinite(point[1])] for line in lines)
        return dict(zip(labels, finite, strict=True))
