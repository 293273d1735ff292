"""Record of a job in its output folder: a line of JSON for each image begun, done or failed.

A line is appended before an image is begun and after it is over, so that a job that is killed at any moment can be gone
on with. What stands under an output's name after its image was begun is the job's own; anything else is a person's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..errors import PellucidError, UsageError
from ..locks import lock
from . import lines
from .fingerprint import of_files
from .plan import Item
from .run import Outcome, Outcomes
from .shard import Shard

NAME = ".pellucid"
"""Prefix of manifests' names."""


@dataclass(frozen=True)
class Entry:
    """A line.

    Attributes:
        state: what the line says of the image. The hashes and all that follows `seed` are None where it is "begun".
        output: the file, relative to the manifest's folder; it names the image.
        input: the source, relative to the folder it was found in.
        input_sha256: of its bytes; None if it could not be read.
        configuration: hash of all that decides what is written; see `fingerprint`.
        seed: of the image's noise.
        output_sha256: of the file's bytes; None where there is none. One that failed may have left it all the same, if
            its process died between the writing and the saying so, or stood there before.
        seconds: that it took.
        nfe: evaluations of the prior.
        note: what the outcome says of it.
        error: why it failed.
    """

    state: Literal["begun", "done", "failed"]
    output: str
    input: str
    input_sha256: str | None
    configuration: str
    seed: int
    output_sha256: str | None = None
    seconds: float | None = None
    nfe: int | None = None
    note: str | None = None
    error: str | None = None


class Manifest:
    """The manifests of an output folder: this process writes one of them and reads all.

    Args:
        folder: which; it need not be there.
        shard: the share of this process. Each has a file of its own.

    Raises:
        PellucidError: a manifest cannot be read.
    """

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        part = "" if shard is None or shard.number == 1 else f"-{shard.index}-of-{shard.number}"
        self._folder, self._path = folder, folder / f"{NAME}{part}.jsonl"
        self._ended: dict[str, list[Entry]] = {}
        self._begun: set[str] = set()
        self._hashes: dict[Path, str] = {}
        for path in sorted(folder.glob(f"{NAME}*.jsonl")):
            last = {entry.output: entry for entry in self._entries(path)}
            self._begun |= {name for name, entry in last.items() if entry.state == "begun"}

    def owns(self, target: Path) -> bool:
        """True if an output that exists is the job's own, as the job left it."""
        entries = self._ended.get(self._name(target), [])
        return self._name(target) in self._begun or any(e.output_sha256 == self._hash(target) for e in entries)

    def is_done(self, item: Item, seed: int, configuration: str) -> bool:
        """True if an image needs no work: the same input was restored in the same way, and its output is there."""
        alike = ("done", configuration, seed)
        entries = self._ended.get(self._name(item.target), [])
        entries = [entry for entry in entries if (entry.state, entry.configuration, entry.seed) == alike]
        if not entries:
            return False
        try:
            hashes = of_files(item.sources), self._hash(item.target)
        except PellucidError:
            return False  # its turn will say what is wrong
        return any((entry.input_sha256, entry.output_sha256) == hashes for entry in entries)

    def left(self, items: Sequence[Item], seed: int, configuration: str) -> list[Item]:
        """The images that need work, of a run with this seed; see `is_done`. Reads all files that may be done."""
        return [item for item in items if not self.is_done(item, item.seed(seed), configuration)]

    def record(
        self, items: Iterable[Item], work: Callable[[Iterator[Item]], Outcomes], seed: int, configuration: str
    ) -> Outcomes:
        """Writes down what becomes of images, around the work on each.

        As long as it goes on no other process may do so in the same folder and share. However this process ends, the
        next one may.

        Args:
            items: the images.
            work: does them, in any order. It asks for an image when it is about to begin it.
            seed: the run's.
            configuration: see `fingerprint.of_configuration`.

        Raises:
            PellucidError: the manifest cannot be written. A job that could not be gone on with ends.
            UsageError: another process is at work here.
        """
        with self._locked():
            yield from self._record(items, work, seed, configuration)

    def _record(
        self, items: Iterable[Item], work: Callable[[Iterator[Item]], Outcomes], seed: int, configuration: str
    ) -> Outcomes:
        begun: dict[Path, Entry] = {}

        def beginning() -> Iterator[Item]:
            for item in items:
                name = item.name or item.source.name
                entry = Entry("begun", self._name(item.target), name, None, configuration, item.seed(seed))
                self.append(entry)
                begun[item.target] = entry
                yield item

        with closing(work(beginning())) as outcomes:
            for outcome in outcomes:
                target = outcome.item.target
                self.append(
                    replace(
                        begun.pop(target),
                        state="done" if outcome.error is None else "failed",
                        input_sha256=outcome.sha256[0],
                        output_sha256=outcome.sha256[1] or self._left(outcome),
                        seconds=round(outcome.seconds, 3),
                        nfe=outcome.nfe,
                        note=outcome.note,
                        error=outcome.error,
                    )
                )
                yield outcome

    def append(self, entry: Entry) -> None:
        """Adds a line, on the disk when this returns; whatever interrupts it, no other line is harmed.

        Raises:
            PellucidError: the manifest cannot be written.
        """
        lines.append(self._path, asdict(entry))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps the manifest to this process; the lock ends with the process, however that ends.

        Where there are no such locks (some network disks), two jobs are kept from each other's outputs alone.
        """
        lines.check(self._path)
        if not os.path.isdir(self._folder):  # noqa: PTH112  # a share without images
            yield
            return
        try:
            file = self._path.open("ab")
        except OSError as error:
            raise PellucidError(f"{self._path}: cannot be written ({error.strerror or error})") from None
        with file:
            if not lock(file):
                raise UsageError(
                    f"{self._folder}: another job is at work in it; wait for its end, or name another output"
                )
            yield

    @staticmethod
    def _left(outcome: Outcome) -> str | None:
        """The hash of an output whose process ended before it could say that it was written."""
        target = outcome.item.target
        if not outcome.lost or not os.path.isfile(target):  # noqa: PTH113  # unlike Path.is_file, it never fails
            return None
        try:
            return of_files([target])
        except PellucidError:
            return None

    def _entries(self, path: Path) -> Iterator[Entry]:
        for line in lines.read(path):
            entry = _parsed(line)
            if entry is None:
                continue
            if entry.output_sha256 is not None:
                self._ended.setdefault(entry.output, []).append(entry)
            yield entry

    def _name(self, target: Path) -> str:
        return target.relative_to(self._folder).as_posix()

    def _hash(self, target: Path) -> str:
        if target not in self._hashes:
            self._hashes[target] = of_files([target])
        return self._hashes[target]


def _parsed(values: dict[str, Any]) -> Entry | None:
    """A line's entry; None for one that is none of ours: its image is done again."""
    try:
        entry = Entry(**{field.name: values[field.name] for field in fields(Entry)})
    except (TypeError, KeyError):
        return None
    return entry if isinstance(entry.output, str) and isinstance(entry.state, str) else None
