"""Regenerates a table: every method on every image with every seed, once, also after interruptions.

A row is on the disk as soon as it is computed, with everything that determines its figures. A repeated run keeps the
rows that were made in the same way and computes the others.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import Tensor

from .. import images, methods
from ..errors import PellucidError, UsageError, unknown_name
from ..jobs import Shard
from ..jobs.fingerprint import of_configuration
from ..maths.noise import Streams, derive_seed
from ..maths.problem import Problem, to_unit
from ..methods import Method
from ..methods.method import last
from ..priors.backends import precision_of
from ..priors.fingerprint import fingerprint
from ..priors.prior import Padded, Prior, device_of
from ..support.plural import number_of
from ..support.settings import names_object
from . import official
from .cases import Case, given
from .data import DatasetItem
from .latents import Latents
from .ledger import Ledger
from .measure import Measures
from .memory import peak
from .photographs import Photographs
from .rows import Missing, Row, computed, libraries
from .spec import Entrant, Table, TableSource, TableTask
from .watch import Watch

OFFICIAL = "official:"
"""Prefix of a method of `bench.official` in a table."""

DAMAGED = Entrant("damaged", "")
"""Name of the measurement itself, the first row of every table."""


@dataclass(frozen=True)
class Run:
    """A table with its images, prior and options.

    Attributes:
        table: which.
        prior: what all methods use.
        photographs: the images; they are gone through once for each task.
        folder: where rows and pictures go.
        source: the data set; None for photographs that are none of the paper's.
        seeds: of the methods. The damage has the same one always, but for `redrawn`.
        quick: whether the entrants have their quick settings.
        tasks: names of those to do; empty for all.
        chosen: labels or names of the methods that take part; empty for all.
        weights: files of networks by name: of metrics and of methods of other people.
        shard: which of the photographs are done here; the rows of all shards are taken from the folder.
        redrawn: whether each seed has damage of its own.
        channels: of the photographs.
    """

    table: Table
    prior: Prior
    photographs: Photographs
    folder: Path
    source: TableSource | None = None
    seeds: Sequence[int] = (0,)
    quick: bool = False
    tasks: Sequence[str] = ()
    chosen: Sequence[str] = ()
    weights: Mapping[str, Path] = field(default_factory=dict)
    shard: Shard | None = None
    redrawn: bool = False
    channels: int = 3

    @property
    def data(self) -> str:
        """Name of the images in rows."""
        return "bundled" if self.source is None else self.source.name

    def entrants(self, task: TableTask) -> list[Entrant]:
        """The methods that take part in a task."""
        own = [entrant for entrant in self.table.methods if entrant.takes_part(task.name)]
        return [one for one in own if not self.chosen or {one.label, one.method} & set(self.chosen)]

    def work(self) -> list[TableTask]:
        """The tasks.

        Raises:
            UsageError: a task or method is not in the table.
        """
        known = {task.name: task for task in self.table.tasks}
        for name in self.tasks:
            if name not in known:
                raise unknown_name(f"task of {self.table.name}", name, known)
        labels = {name for entrant in self.table.methods for name in (entrant.label, entrant.method)}
        for name in self.chosen:
            if name not in labels:
                raise unknown_name(f"method of {self.table.name}", name, labels)
        return [known[name] for name in self.tasks or known]


def entrant_method(entrant: Entrant, task: str, quick: bool, weights: Mapping[str, Path]) -> Method:
    """Makes the method of an entrant.

    Raises:
        PellucidError: a network's file or a package is missing.
        UsageError: unknown method or hyper-parameter.
    """
    settings = entrant.resolved(task, quick)
    if entrant.model:
        if entrant.model not in weights:
            raise PellucidError(f"needs its network: say --weights {entrant.model}=FILE")
        settings = settings | {"model": str(weights[entrant.model])}
    if not entrant.method.startswith(OFFICIAL):
        # A paper's table has the paper's settings, where it says nothing else.
        preset = "paper" if "paper" in methods.find(entrant.method).presets else None
        return methods.get(entrant.method, preset=preset, **settings)
    return kind_of(entrant)(**settings)


def kind_of(entrant: Entrant) -> type[Method]:
    """The class of an entrant's method.

    Raises:
        UsageError: there is no such method.
    """
    variant = entrant.method.removeprefix(OFFICIAL)
    if variant == entrant.method:
        return methods.find(variant)
    found: type[Method] = getattr(official, variant)
    assert issubclass(found, Method)
    return found


def run(job: Run) -> Iterator[Row | Missing]:
    """Computes the missing rows; returns every row, old and new, with those of the damaged images first in each task.

    Raises:
        UsageError: see `Run.work`; or the prior is not one of colours, which all papers' images have.
        PellucidError: the folder cannot be written to.
    """
    tasks = job.work()
    if job.prior.channels != job.channels:
        raise UsageError(
            f"the tables are of images in colour; this prior's have {number_of(job.prior.channels, 'channel')}"
        )
    job.folder.mkdir(parents=True, exist_ok=True)
    weights = fingerprint(job.prior)
    return (row for task in tasks for row in _Task(job, task, weights).rows())


class _Task:
    """One task of a run."""

    def __init__(self, job: Run, task: TableTask, weights: str) -> None:
        self._job, self._task, self._weights = job, task, weights
        self._ledger = Ledger(job.folder, job.table.name, job.shard)
        self._measures = Measures(job.table, job.weights)
        self._device = device_of(job.prior)

    def rows(self) -> Iterator[Row | Missing]:
        entered: list[tuple[Entrant, Method | None]] = [(DAMAGED, None)]
        for entrant in self._job.entrants(self._task):
            try:
                made = entrant_method(entrant, self._task.name, self._job.quick, self._job.weights)
                made.prepare(self._device)
                entered.append((entrant, made))
            except UsageError:
                raise
            except PellucidError as error:
                yield Missing(self._task.name, entrant.label, str(error))
        own = self._job.shard or Shard()
        for photograph in islice(self._job.photographs(), own.index - 1, None, own.number):
            cases = {seed: self._case(photograph, seed) for seed in (self._job.seeds if self._job.redrawn else (0,))}
            self._truth(photograph, next(iter(cases.values())))
            for entrant, method in entered:
                for seed in self._job.seeds if method is not None or self._job.redrawn else (0,):
                    case = cases[seed if self._job.redrawn else 0]
                    own_case = case.assuming(entrant.told.get(self._task.name, {})).noisy(entrant.noise)
                    yield self._row(entrant, method, photograph.name, own_case, seed)

    def _case(self, photograph: DatasetItem, seed: int) -> Case:
        name, stand_in = photograph.name, self._job.source is None
        return given(self._task, name, photograph.clean, photograph.damaged, seed, stand_in)

    def _row(self, entrant: Entrant, method: Method | None, image: str, case: Case, seed: int) -> Row:
        label, settings = entrant.label, dict[str, Any]()
        if method is not None:
            own = json.loads(json.dumps(asdict(method), default=repr))  # type: ignore[call-overload]  # a dataclass
            settings = {"method": type(method).__name__, **own}
        metrics = self._job.table.metrics
        about: dict[str, Any] = {
            "task": asdict(self._task),
            "method": label,  # one's own counts with its file
            "settings": settings,
            "told": entrant.told.get(self._task.name, {}),
            "metrics": {name: (self._job.table.options.get(name), self._job.weights.get(name)) for name in metrics},
            "image": _digest(case),
        }
        # Labels of sweeps and of own tables do not name the file whose code runs; nor do settings.
        named = [name for name in (entrant.method, *metrics) if name != label and not name.startswith(OFFICIAL)]
        code = [name for name in named if names_object(name)]
        about |= {"code": code} if code else {}
        configuration = of_configuration(self._weights, about)
        key = (self._job.data, self._task.name, label, image, seed, configuration)
        return self._ledger.row(key, lambda: self._computed(method, label, image, case, seed, settings, configuration))

    def _computed(
        self,
        method: Method | None,
        label: str,
        image: str,
        case: Case,
        seed: int,
        settings: dict[str, Any],
        configuration: str,
    ) -> Row:
        start, restored, watch, error = time.perf_counter(), case.damaged, Watch(case.truth, self._job.prior.sigmas), ""
        with peak(self._device) as memory:
            if method is not None:
                try:
                    restored = self._restored(method, case, derive_seed(seed, image), watch)
                except PellucidError as problem:
                    error = str(problem)
                except Exception as problem:
                    # Somebody's own method, perhaps: the others' rows go on.
                    error = f"failed unexpectedly ({type(problem).__name__}: {str(problem).partition(chr(10))[0]})"
        seconds = time.perf_counter() - start if method is not None else 0.0
        # Two rows of one label have two pictures: a hyper-parameter may have been changed in between.
        place = self._place(image, case, f"{quote(label, safe='')[:80]}-{seed}-{configuration[:8]}")
        if not error:
            _write(restored, self._job.folder / place)
            sheet = watch.sheet()
            if sheet is not None:
                sheet.save(self._job.folder / latents_of(place))
        return Row(
            self._job.table.name,
            self._job.data,
            self._task.name,
            label,
            image,
            seed,
            {} if error else self._measures(restored, case),
            watch.nfe,
            round(seconds, 3),
            round(memory[0], 1),
            place if not error else "",
            settings,
            configuration,
            self._weights,
            computed(str(self._device), precision_of(self._job.prior)),
            libraries(),
            watch.trace(),
            watch.note,
            error,
        )

    def _restored(self, method: Method, case: Case, seed: int, watch: Watch) -> Tensor:
        problem = case.problem(method)
        here = Problem(problem.y.to(self._device), problem.operator, problem.sigma_y)
        prior = Padded(self._job.prior)
        latents = Latents(prior) if isinstance(method, methods.DreamClean) else None
        state = last(method.iterate(here, latents or prior, Streams.of(seed, 1)), watch.see)
        if latents is not None:
            watch.keep_gains(latents.levels, latents.gains)
        return to_unit(state.x).cpu()

    def _truth(self, photograph: DatasetItem, case: Case) -> None:
        path = self._job.folder / self._place(photograph.name, case, "truth")
        if case.truth is not None and not path.is_file():
            _write(case.truth, path)

    def _place(self, image: str, case: Case, kind: str) -> str:
        """Path of a picture; another photograph of the same name has another folder."""
        own = f"{image}-{_of_tensors(case.damaged if case.truth is None else case.truth)[:8]}"
        parts = [self._job.table.name, *(quote(part, safe="") for part in (self._job.data, self._task.name, own))]
        return "/".join([*parts, f"{kind}.png"])


def latents_of(picture: str) -> str:
    """Path of the picture of the latents, made from the restored picture's path."""
    return f"{picture.removesuffix('.png')}.latents.png"


def _write(colours: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(images.from_tensor(colours), path)


def _digest(case: Case) -> str:
    return _of_tensors(case.truth, case.blind.y, said=f"{case.known and case.known.noise}")


def _of_tensors(*tensors: Tensor | None, said: str = "") -> str:
    digest = hashlib.sha256(said.encode())
    for tensor in tensors:
        if tensor is not None:
            digest.update(f"{tuple(tensor.shape)}".encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
