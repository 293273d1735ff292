"""Report of a run: a log in CSV, and its curves as a picture."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..support.charts import draw
from .recipe import bands
from .validation import PHOTOGRAPHS, VALIDATED, Scores


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
        psnr: validation PSNR in dB by set and by level over 255; empty without a validation.
    """

    step: int
    seen: int
    lr: float
    images_per_second: float
    gradient: float
    losses: tuple[float, ...]
    psnr: Scores = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Mean over the bands with crops, all with equal weight."""
        known = [value for value in self.losses if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan


_NUMBERS = ("step", "seen", "lr", "images_per_second", "gradient")
_LOSSES = tuple(f"loss_below_{high:g}" for _, high in bands())
_PSNR = "psnr_"


class Log:
    """File `log.csv` of a run.

    Args:
        path: the file; lines after `step` are removed, since a run that goes on from there writes them again.
        step: the update to continue from.
        sets: names of the validation sets; those that the file has keep their columns.
    """

    def __init__(self, path: Path, step: int, sets: Sequence[str] = ()) -> None:
        self._path = path
        self._rows = [row for row in _read(path) if row.step <= step] if path.is_file() else []
        known = dict.fromkeys(name for row in self._rows for name in row.psnr)
        self._columns = [(name, level) for name in {**known, **dict.fromkeys(sets)} for level in VALIDATED]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*_NUMBERS, *_LOSSES, *(f"{name}_{_PSNR}{level}" for name, level in self._columns)])
            writer.writerows(self._cells(row) for row in self._rows)

    def add(self, row: LossRow) -> None:
        """Appends a line."""
        self._rows.append(row)
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(self._cells(row))

    def rows(self) -> list[LossRow]:
        """All lines so far."""
        return list(self._rows)

    def line(self) -> str:
        """Last row, formatted for people."""
        row = self._rows[-1]
        losses = " ".join("-" if math.isnan(value) else f"{value:.2f}" for value in row.losses)
        line = f"update {row.step}  {row.images_per_second:.1f} images/s  lr {row.lr:.2g}  loss by noise {losses}"
        for name, levels in row.psnr.items():
            line += f"  PSNR of {name} " + " ".join(f"{level}: {value:.2f}" for level, value in levels.items())
        return line

    def _cells(self, row: LossRow) -> list[str]:
        numbers = [row.lr, row.images_per_second, row.gradient, *row.losses]
        reached = (row.psnr.get(name, {}).get(level) for name, level in self._columns)
        psnr = ["" if value is None else f"{value:.4f}" for value in reached]
        return [str(row.step), str(row.seen), *(f"{value:.6g}" for value in numbers), *psnr]


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


def _read(path: Path) -> list[LossRow]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    rows = []
    for cells in lines:
        if len(cells) != len(header):
            continue  # The machine stopped in the middle of a line.
        found = dict(zip(header, cells, strict=True))
        psnr: Scores = {}
        for column, cell in found.items():
            # Before there were several sets, the columns of the only one had no name.
            name, mark, level = column.rpartition(_PSNR)
            if mark and cell:
                psnr.setdefault(name.removesuffix("_") or PHOTOGRAPHS, {})[int(level)] = float(cell)
        step, seen, lr, speed, gradient = (float(found[name]) for name in _NUMBERS)
        losses = tuple(float(found[name]) for name in _LOSSES)
        rows.append(LossRow(int(step), int(seen), lr, speed, gradient, losses, psnr))
    return rows


def plot(rows: Sequence[LossRow], path: Path) -> None:
    """Draws loss by noise band, and PSNR of each validation set, over updates.

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
    page = {"log10 of weighted loss, by noise level": losses}
    for name in dict.fromkeys(name for row in rows for name in row.psnr):
        page[f"PSNR of {name} in dB, by noise level"] = {
            f"{level}/255": [(row.step, row.psnr[name][level]) for row in rows if level in row.psnr.get(name, {})]
            for level in VALIDATED
        }
    draw(page).save(path)
