"""The rows of a table that was run: what they say, and those that a file has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..jobs import lines


@dataclass(frozen=True)
class Row:
    """Result of one image with one method and one seed.

    Attributes:
        table: name of the table.
        data: the data set, or "bundled" for the package's photographs.
        task: the degradation.
        method: the entrant's label.
        image: name of the image.
        seed: of the run.
        figures: by metric.
        nfe: evaluations of the prior.
        seconds: that they took.
        memory: the most that was in use, in MiB: of the GPU for this row, else of the process so far.
        picture: the restored image's file, relative to the run's folder.
        settings: the method and its hyper-parameters.
        configuration: hash of all that decides the figures.
        prior: hash of its weights and levels.
        device: where it was computed, and in what if that was not float32.
        versions: of what computed it.
        trace: what was watched on the way; see `Watch`.
        note: what the method says of it.
        error: why it failed; empty if it did not.
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
        """Identity of a row; another row with the same key is not computed again."""
        return self.data, self.task, self.method, self.image, self.seed, self.configuration


@dataclass(frozen=True)
class Missing:
    """A method that cannot take part here.

    Attributes:
        task: which.
        method: its label.
        why: in one line.
    """

    task: str
    method: str
    why: str


def stored(path: Path) -> Iterator[Row]:
    """The rows of a file that need not be computed again; none if there is no file.

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
    """A prior or a device, and what was computed in if that was not float32."""
    return what if precision == "float32" else f"{what} in {precision}"
