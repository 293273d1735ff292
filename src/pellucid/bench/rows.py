"""Rows of a table's run, and their file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..jobs import lines
from ..release import version


@dataclass(frozen=True)
class Row:
    """Result of one image with one method and one seed.

    Attributes:
        table: name of the table.
        data: the data set, or "bundled" for the package's photographs.
        task: the degradation.
        method: the entrant's label.
        image: name of the image.
        seed: seed of the run.
        figures: by metric.
        nfe: evaluations of the prior.
        seconds: time for them.
        memory: peak in MiB: of the GPU for this row, else of the process so far.
        picture: the restored image's file, relative to the run's folder.
        settings: the method and its hyper-parameters.
        configuration: hash of everything that determines the figures.
        prior: hash of its weights and levels.
        device: device, with the precision unless it was float32.
        versions: versions of the libraries.
        trace: values of each step; see `Watch`.
        note: note of the method.
        error: error message; empty without an error.
    """

    table: str
    data: str
    task: str
    method: str
    image: str
    seed: int
    figures: dict[str, float]
    nfe: int
    seconds: float
    memory: float
    picture: str
    settings: dict[str, Any]
    configuration: str
    prior: str
    device: str
    versions: dict[str, str]
    trace: dict[str, list[Any]] = field(default_factory=dict)
    note: str = ""
    error: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, int, str]:
        """Identity of a row; a second row with the same key is not computed again."""
        return self.data, self.task, self.method, self.image, self.seed, self.configuration


@dataclass(frozen=True)
class Missing:
    """A method that cannot take part here.

    Attributes:
        task: which.
        method: its label.
        why: the reason in one line.
    """

    task: str
    method: str
    why: str


def libraries() -> dict[str, str]:
    """Versions of what computes a row."""
    return {package: version(package) for package in ("pellucid", "torch")}


def stored(path: Path) -> Iterator[Row]:
    """Reads the rows of a file that need not be computed again; empty without a file.

    Raises:
        PellucidError: it cannot be read.
    """
    names = [one.name for one in fields(Row)]
    for values in lines.read(path) if path.is_file() else ():
        try:
            row = Row(**{name: values[name] for name in names})
        except KeyError:
            continue  # none of ours
        if not row.error:
            yield row


def computed(what: str, precision: str) -> str:
    """Describes a prior or a device, with the precision unless it is float32."""
    return what if precision == "float32" else f"{what} in {precision}"
