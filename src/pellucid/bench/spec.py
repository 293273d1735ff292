"""The papers' tables as data, read strictly from `tables/*.toml`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from ..errors import PellucidError, UsageError, unknown_name
from ..support.ranges import check_noise
from ..support.settings import bytes_of, number

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_STRICT = ConfigDict(extra="forbid", strict=True)
_FOLDER = files("pellucid.bench") / "tables"

Level = Annotated[float, BeforeValidator(lambda value: number(value) if isinstance(value, str) else value)]
"""A noise level, as a number or as a text such as "10/255"."""

NFE = "nfe"
"""Name of a published number of evaluations among a cell's figures."""


@dataclass(frozen=True)
class Protocol:
    """Preparation and measurement of the images, which affect figures more than methods do.

    Attributes:
        size: side of the images in pixels; 0 if they are measured at their size.
        crop: crop and resizing of a photograph; empty without either.
        range: value range of the measured images.
        lpips_net: the network of LPIPS.
        ssim_window: the window of SSIM.
        note: unknown parts of the paper's protocol.
    """

    __pydantic_config__ = _STRICT

    size: int = 256
    crop: str = "centre"
    range: str = "[0, 1], clamped, not rounded"
    lpips_net: str = "alex 0.1"
    ssim_window: str = "gaussian 11x11, 1.5"
    note: str = ""


@dataclass(frozen=True)
class TableSource:
    """A data set that the table was made on.

    Attributes:
        name: name in `pellucid.bench.data`.
        prior: file of the published checkpoint that the paper used.
        images: number of images, if known, for the cost.
    """

    __pydantic_config__ = _STRICT

    name: str
    prior: str
    images: int


@dataclass(frozen=True)
class TableTask:
    """A degradation. One of `damage` and `operator` is given; without either, the data set has damaged images itself.

    Attributes:
        name: of the task.
        damage: `name`, as in `pellucid degrade`, and its parameters: what makes a damaged image of a clean one.
        operator: `name`, as in `cases.OPERATORS`, and its parameters: methods may be told it.
        noise: standard deviation of an operator's measurement, in [0, 1] units.
        missing: display of masked pixels in the damaged image.
        stand_in: `damage` for photographs of no such data set.
    """

    __pydantic_config__ = _STRICT

    name: str
    damage: dict[str, Any] = field(default_factory=dict)
    operator: dict[str, Any] = field(default_factory=dict)
    noise: Level = 0.0
    missing: Literal["mean", "black"] = "mean"
    stand_in: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entrant:
    """A method that takes part.

    Attributes:
        label: the paper's name.
        method: the name here, or `official:NAME` for a variant in `bench.official`.
        settings: hyper-parameters; the paper's are the defaults.
        per_task: others, by task.
        quick: others with few evaluations, on the embedded prior; before `per_task`.
        quick_per_task: others of these, by task.
        tasks: that it takes part in; empty for all.
        model: name by which the user says where its network's file is; empty if it needs none.
        noise: what it is told where a measurement has less, in [0, 1] units: for methods that cannot do without any.
        told: an operator, by task, that it is told although it is not what was done; as in `TableTask`.
        chosen: hyper-parameters that somebody wants otherwise than the table; before all others.
    """

    __pydantic_config__ = _STRICT

    label: str
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    per_task: dict[str, dict[str, Any]] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    quick_per_task: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    model: str = ""
    noise: Level = 0.0
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)

    def takes_part(self, task: str) -> bool:
        """True if it takes part in a task."""
        return not self.tasks or task in self.tasks

    def resolved(self, task: str, quick: bool) -> dict[str, Any]:
        """Its hyper-parameters for a task."""
        own = self.settings | self.per_task.get(task, {})
        if quick:
            own = own | self.quick | self.quick_per_task.get(task, {})
        return own | self.chosen


@dataclass(frozen=True)
class Published:
    """A cell of the paper's table: the figures of a method.

    Attributes:
        data: the data set.
        task: which.
        method: the entrant's label, or "damaged".
        figures: by metric; "nfe", the evaluations, are one of them.
    """

    __pydantic_config__ = _STRICT

    data: str
    task: str
    method: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Claim:
    """An order in the paper's table, to check in a run.

    Attributes:
        better: label of a method.
        than: labels of the methods below it, or "damaged".
        metrics: in which.
        tasks: in which; empty for all.
    """

    __pydantic_config__ = _STRICT

    better: str
    than: tuple[str, ...]
    metrics: tuple[str, ...]
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes:
        title: what it shows.
        paper: source of the table.
        data: the data sets.
        tasks: the degradations.
        methods: the entrants.
        metrics: names of the metrics.
        published: all of the paper's figures; empty for a table that is not from a paper.
        claims: orders of its methods.
        options: options of metrics by metric; the usual definitions by default.
        protocol: see there.
        note: unknown details, and differences from the paper's table.
        name: of the file, without its suffix.
    """

    __pydantic_config__ = _STRICT

    title: str
    paper: str
    data: tuple[TableSource, ...]
    tasks: tuple[TableTask, ...]
    methods: tuple[Entrant, ...]
    metrics: tuple[str, ...]
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    note: str = ""
    name: str = ""

    def source(self, name: str | None) -> TableSource:
        """A data set by name; the first without one.

        Raises:
            UsageError: unknown name.
        """
        known = {source.name: source for source in self.data}
        if name is not None and name not in known:
            raise unknown_name(f"data set of {self.name}", name, known)
        return self.data[0] if name is None else known[name]

    def figures(self, data: str, task: str, method: str) -> Mapping[str, float]:
        """Published figures of a method; empty if there are none."""
        found = [one.figures for one in self.published if (one.data, one.task, one.method) == (data, task, method)]
        return found[0] if found else {}


def names() -> tuple[str, ...]:
    """Names of all tables."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml")))


def check(name: str, *more: str) -> None:
    """Raises an error for an unknown table.

    Args:
        name: one of `names()`, or the path of a TOML file.
        more: further valid names.

    Raises:
        UsageError: the name is unknown.
    """
    if name in names() or name in more:
        return
    if not name.endswith(".toml"):
        raise unknown_name("table", name, (*names(), *more))
    if Path(name).stem in (*names(), *more):
        raise UsageError(f"{name}: there is a table {Path(name).stem} already: give the file another name")


def load(name: str) -> Table:
    """Loads a table by name or from a file; a file's table is named after it, without `.toml`.

    Raises:
        UsageError: unknown name.
        PellucidError: the file cannot be read or is invalid.
    """
    check(name)
    if name in names():
        return parse((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"), name)
    try:
        text = bytes_of(Path(name)).decode()
    except UnicodeDecodeError as error:
        raise PellucidError(f"{name}: is no text in UTF-8 ({error.reason})") from None
    return parse(text, Path(name).stem)


def parse(text: str, name: str) -> Table:
    """Reads a table.

    Args:
        text: TOML.
        name: of the file, without its suffix.

    Raises:
        PellucidError: the text is no TOML, a key is unknown or missing, or a value has the wrong type; or a figure or a
            setting names a task, method, metric or data set that is not in the table.
    """
    try:
        # Through JSON, in which a list is what a tuple is made of, and a whole number may stand for any.
        table = TypeAdapter(Table).validate_json(json.dumps({**tomllib.loads(text), "name": name}, default=str))
    except ValidationError as error:
        # A key that is misspelt is missing, too: what is there is what to look at.
        first = min(error.errors(), key=lambda one: one["type"] != "unexpected_keyword_argument")
        place = ".".join(str(part) for part in first["loc"]) or "the table"
        raise PellucidError(f"{name}.toml: {place}: {_said(first['type'], first['msg'])}") from None
    except (ValueError, RecursionError) as error:  # of TOML, and of a number with too many digits
        raise PellucidError(f"{name}.toml: is no TOML ({error})") from None
    _check(table)
    return table


def _said(kind: str, message: str) -> str:
    plain = {"unexpected_keyword_argument": "there is no such key", "missing_argument": "is missing"}
    # The package's own errors are said as they are.
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return plain.get(kind, message[:1].lower() + message[1:])


def _check(table: Table) -> None:
    """Rejects references to missing entries."""
    tasks = [task.name for task in table.tasks]
    labels = ["damaged", *(entrant.label for entrant in table.methods)]
    known = {"data": [source.name for source in table.data], "tasks": tasks, "methods": labels}
    for kind, listed in known.items():
        double = [one for one in listed if listed.count(one) > 1]
        if double or not listed:
            raise PellucidError(
                f"{table.name}.toml: {kind}: " + (f"{double[0]!r} is there twice" if double else "none")
            )
    for task in table.tasks:
        if task.damage and task.operator:
            raise PellucidError(f"{table.name}.toml: tasks: {task.name!r} has a damage and an operator; one of them")
    for place, named in (("tasks", table.tasks), ("methods", table.methods)):
        for one in named:
            try:
                check_noise(one.noise)
            except UsageError as error:
                raise PellucidError(f"{table.name}.toml: {place}: {error}") from None
    used = [
        ("methods", task, tasks)
        for entrant in table.methods
        for task in (*entrant.tasks, *entrant.per_task, *entrant.quick_per_task, *entrant.told)
    ]
    for cell in table.published:
        used += [("published", cell.data, known["data"]), ("published", cell.task, tasks)]
        used += [("published", cell.method, labels), *(("published", m, [*table.metrics, NFE]) for m in cell.figures)]
    for claim in table.claims:
        used += [("claims", method, labels) for method in (claim.better, *claim.than)]
        used += [("claims", metric, list(table.metrics)) for metric in claim.metrics]
        used += [("claims", task, tasks) for task in claim.tasks]
    used += [("options", metric, list(table.metrics)) for metric in table.options]
    for place, name, listed in used:
        if name not in listed:
            raise PellucidError(f"{table.name}.toml: {place}: {unknown_name('name', name, listed)}")
