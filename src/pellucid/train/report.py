"""Report of a run: a log in CSV, and its curves as a picture."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..bench.prior import LEVELS
from ..support.charts import draw
from .recipe import bands


@dataclass(frozen=True)
class LossRow:
    """One line of the log: averages since the line before.

    Attributes:
        step: number of updates so far.
        seen: number of crops so far.
        lr: learning rate.
        images_per_second: throughput.
        gradient: mean norm before clipping.
        losses: mean weighted loss of each band of noise levels, NaN for an empty band.
        psnr: validation PSNR in dB by level over 255; empty without a validation.
    """

    step: int
    seen: int
    lr: float
    images_per_second: float
    gradient: float
    losses: tuple[float, ...]
    psnr: dict[int, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Mean over the bands with crops, all with equal weight."""
        known = [value for value in self.losses if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan


_HEADER = (
    "step",
    "seen",
    "lr",
    "images_per_second",
    "gradient",
    *(f"loss_below_{high:g}" for _, high in bands()),
    *(f"psnr_{level}" for level in LEVELS),
)


class Log:
    """File `log.csv` of a run.

    Args:
        path: the file; lines after `step` are removed, since a run that goes on from there writes them again.
        step: the update to continue from.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._rows = [row for row in _read(path) if row.step <= step] if path.is_file() else []
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows(_cells(row) for row in self._rows)

    def add(self, row: LossRow) -> None:
        """Appends a line."""
        self._rows.append(row)
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(_cells(row))

    def rows(self) -> list[LossRow]:
        """All lines so far."""
        return list(self._rows)

    def line(self) -> str:
        """Last row, formatted for people."""
        row = self._rows[-1]
        losses = " ".join("-" if math.isnan(value) else f"{value:.2f}" for value in row.losses)
        line = f"update {row.step}  {row.images_per_second:.1f} images/s  lr {row.lr:.2g}  loss by noise {losses}"
        if row.psnr:
            line += "  PSNR " + " ".join(f"{level}: {value:.2f}" for level, value in row.psnr.items())
        return line


class LossLog:
    """File `log.csv` of a run with named losses: their means since the previous line.

    Args:
        path: the file; lines after `step` are removed, since a run that goes on from there writes them again.
        names: of the losses; not every update has all.
        step: the update to continue from.
        seen: crops used until then.
    """

    def __init__(self, path: Path, names: Sequence[str], step: int, seen: int) -> None:
        self._path, self._names = path, names
        self._header = ("step", "seen", "images_per_second", *names)
        self._start(seen)
        rows = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                # A machine that stopped may have left half a line.
                whole = [row for row in list(csv.reader(file))[1:] if len(row) == len(self._header)]
                rows = [row for row in whole if int(row[0]) <= step]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self._header, *rows])

    def _start(self, seen: int) -> None:
        self._losses: dict[str, list[float]] = {name: [] for name in self._names}
        self._seen, self._started = seen, time.monotonic()

    def see(self, losses: Mapping[str, float]) -> None:
        """Takes in one update."""
        for name, value in losses.items():
            self._losses[name].append(value)

    def write(self, step: int, seen: int) -> str:
        """Appends a line and returns it for people; "" without news since the last one."""
        if seen == self._seen:
            return ""
        speed = (seen - self._seen) / max(time.monotonic() - self._started, 1e-9)
        means = {name: sum(values) / len(values) if values else math.nan for name, values in self._losses.items()}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([step, seen, *(f"{value:.6g}" for value in (speed, *means.values()))])
        self._start(seen)
        losses = "  ".join(f"{name} {value:.3g}" for name, value in means.items())
        return f"update {step}  {speed:.1f} images/s  {losses}"


def _cells(row: LossRow) -> list[str]:
    numbers = [row.lr, row.images_per_second, row.gradient, *row.losses]
    psnr = [f"{row.psnr[level]:.4f}" if level in row.psnr else "" for level in LEVELS]
    return [str(row.step), str(row.seen), *(f"{value:.6g}" for value in numbers), *psnr]


def _read(path: Path) -> list[LossRow]:
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for cells in list(csv.reader(file))[1:]:
            if len(cells) != len(_HEADER):
                continue  # The machine stopped in the middle of a line.
            lr, speed, gradient, *losses = (float(cell) for cell in cells[2 : -len(LEVELS)])
            psnr = {level: float(cell) for level, cell in zip(LEVELS, cells[-len(LEVELS) :], strict=True) if cell}
            rows.append(LossRow(int(cells[0]), int(cells[1]), lr, speed, gradient, tuple(losses), psnr))
    return rows


def plot(rows: Sequence[LossRow], path: Path) -> None:
    """Draws loss by noise band and validation PSNR over updates.

    Args:
        rows: the log.
        path: picture file to write; nothing is written for an empty log.
    """
    if not rows:
        return
    losses = {
        f"sigma < {high:g}": [(row.step, math.log10(row.losses[index])) for row in rows if row.losses[index] > 0]
        for index, (_, high) in enumerate(bands())
    }
    psnr = {f"{level}/255": [(row.step, row.psnr[level]) for row in rows if level in row.psnr] for level in LEVELS}
    page = {"log10 of weighted loss, by noise level": losses, "validation PSNR in dB, by noise level": psnr}
    draw(page).save(path)
