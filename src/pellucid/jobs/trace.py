"""What happened while an image was restored, step by step: a table, and the method's curves as a picture."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from .. import charts
from ..methods.method import State


class Trace:
    """Watches the states of one image's restoration."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []

    def see(self, state: State) -> None:
        """Takes in one state; keeps numbers alone."""
        row: dict[str, float] = {"step": state.step, "sigma": state.sigma, "nfe": state.nfe}
        self._rows.append(row | {name: values[0] for name, values in state.curves.items()})

    def write(self, path: Path) -> None:
        """Writes `path`.csv, a line for each state, and `path`.png, a chart for each curve of the method.

        Args:
            path: without a suffix of its own; its folder is made if it is not there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        names = list({name: None for row in self._rows for name in row})
        with path.with_name(f"{path.name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows)
        # A method without curves has its walk over the noise levels.
        curves = [name for name in names if name not in ("step", "sigma", "nfe")] or ["sigma"]
        charts.draw({f"{name}, by step": {"": self._line(name)} for name in curves}).save(
            path.with_name(f"{path.name}.png")
        )

    def _line(self, name: str) -> list[tuple[int, float]]:
        points = [(int(row["step"]), row[name]) for row in self._rows if name in row]
        return [point for point in points if math.isfinite(point[1])]
