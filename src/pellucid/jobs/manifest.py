"""Record of a job in its output folder: a line of JSON for each image that is begun, done or failed.

A line is appended before and after the work on an image, so that a job killed at any moment can resume. A file under an
output's name belongs to the job once its image was begun; any other file belongs to a person.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..errors import PellucidError, UsageError
from ..support.locks import lock
from . import lines
from .fingerprint import of_files
from .plan import Item
from .run import Outcome, Outcomes
from .search import MANIFEST
from .shard import Shard


@dataclass(frozen=True)
class Entry:
    """A line.

    Attributes:
        state: state of the image. For "begun", the hashes and all fields after `seed` are None.
        output: output file relative to the manifest's folder; for "begun" and "failed" its first name, see
            `Item.names`.
        input: source relative to its input folder.
        input_sha256: hash of the source; None if it could not be read.
        configuration: hash of everything that determines the output; see `fingerprint`.
        seed: of the image's noise.
        output_sha256: hash of the output; None without one. A failed image may have an output, if its process died
            between writing and recording, or if the file existed before.
        seconds: that it took.
        nfe: evaluations of the prior.
        note: note of the outcome.
        error: reason for the failure.
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
    """All manifests of an output folder: this process writes one of them and reads all.

    Args:
        folder: the output folder; it need not exist.
        shard: share of this process; each share has its own file.

    Raises:
        PellucidError: a manifest cannot be read.
    """

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        part = "" if shard is None or shard.number == 1 else f"-{shard.index}-of-{shard.number}"
        self._folder, self._path = folder, folder / f"{MANIFEST}{part}.jsonl"
        self._ended: dict[str, list[Entry]] = {}
        self._begun: set[str] = set()
        self._hashes: dict[Path, str] = {}
        for path in sorted(folder.glob(f"{MANIFEST}*.jsonl")):
            begun: dict[str, tuple[str, int]] = {}
            for entry in self._entries(path):
                image = entry.input, entry.seed
                if entry.state == "begun":
                    begun[entry.output] = image
                elif begun.pop(entry.output, None) is None:  # it was begun under another of its names
                    begun = {name: other for name, other in begun.items() if other != image}
            self._begun |= begun.keys()

    def owns(self, target: Path) -> bool:
        """True if an existing output belongs to the job, unchanged."""
        entries = self._ended.get(self._name(target), [])
        return self._name(target) in self._begun or any(e.output_sha256 == self._hash(target) for e in entries)

    def is_done(self, item: Item, seed: int, configuration: str) -> bool:
        """True if an image is finished: the same input and options, and its output exists."""
        alike = ("done", configuration, seed)
        for name in item.names:
            entries = self._ended.get(self._name(name), [])
            entries = [entry for entry in entries if (entry.state, entry.configuration, entry.seed) == alike]
            if not entries:
                continue
            try:
                hashes = of_files(item.sources), self._hash(name)
            except PellucidError:
                continue  # its turn will say what is wrong
            if any((entry.input_sha256, entry.output_sha256) == hashes for entry in entries):
                return True
        return False

    def left(self, items: Sequence[Item], seed: int, configuration: str) -> list[Item]:
        """Images that need work in a run with this seed; see `is_done`. Reads all files that may be finished."""
        return [item for item in items if not self.is_done(item, item.seed(seed), configuration)]

    def outdated(self, items: Sequence[Item]) -> list[Item]:
        """Of unfinished images, those with the output of a finished run: their input or the options have changed."""
        return [
            item
            for item in items
            if any(
                entry.state == "done" and entry.output_sha256 == self._hash(name)
                for name in item.replaces
                for entry in self._ended.get(self._name(name), [])
            )
        ]

    def record(
        self, items: Iterable[Item], work: Callable[[Iterator[Item]], Outcomes], seed: int, configuration: str
    ) -> Outcomes:
        """Records the results of images around the work on each.

        Meanwhile no other process may record in the same folder and share. After any end of this process, the next one
        may.

        Args:
            items: the images.
            work: restores them in any order. It requests an image right before its start.
            seed: the run's.
            configuration: see `fingerprint.of_configuration`.

        Raises:
            PellucidError: the manifest cannot be written: a job that could not resume ends.
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
                        output=self._name(outcome.output or target),
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
        """Appends a line, which is on the disk on return; an interruption harms no other line.

        Raises:
            PellucidError: the manifest cannot be written.
        """
        lines.append(self._path, asdict(entry))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Locks the manifest for this process; the lock ends with the process in any case.

        On disks without locks (some network disks), two jobs are only kept from each other's outputs.
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
        """Hash of an output whose process ended before recording it."""
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
    """Parses a line; None for a foreign one, whose image is done again."""
    try:
        entry = Entry(**{field.name: values[field.name] for field in fields(Entry)})
    except (TypeError, KeyError):
        return None
    return entry if isinstance(entry.output, str) and isinstance(entry.state, str) else None
