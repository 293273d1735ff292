"""Rows of a folder: what is there is not computed again, what is new is on the disk before the next is begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from ..jobs import Shard, lines
from .rows import Row, stored


class Ledger:
    """Keeps the rows of a measurement.

    Args:
        folder: where they are, in `NAME.jsonl`; it is made. None to keep them nowhere.
        name: of the table.
        shard: the share that is done here, whose rows have a file of their own.

    Raises:
        PellucidError: a file cannot be read.
    """

    def __init__(self, folder: Path | None, name: str, shard: Shard | None = None) -> None:
        share = "" if shard is None else f".{shard.index}-of-{shard.number}"
        self._name = name
        self._path = None if folder is None else folder / f"{name}{share}.jsonl"
        self._done: dict[object, Row] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            # Two tables of a paper may have rows in common where their images are the same: the package's photographs.
            # Its own come last, and stay.
            own = [folder / f"{name}.jsonl", *sorted(folder.glob(f"{name}.*-of-*.jsonl"))]
            others = sorted(set(folder.glob("*.jsonl")) - set(own))
            self._done = {row.key: row for path in (*others, *own) for row in stored(path)}

    def row(self, key: tuple[str, str, str, str, int, str], compute: Callable[[], Row]) -> Row:
        """The row of a key, from the folder or computed and kept.

        Args:
            key: see `Row.key`.
            compute: makes the row.

        Raises:
            PellucidError: the folder cannot be written to.
        """
        done = self._done.get(key)
        if done is not None and self._complete(done):
            if done.table == self._name:
                return done
            row = replace(done, table=self._name)
        else:
            row = compute()
        if self._path is not None:
            lines.append(self._path, asdict(row))
        return row

    def _complete(self, row: Row) -> bool:
        """True if a row's picture is there, where it has one."""
        return self._path is None or not row.picture or (self._path.parent / row.picture).is_file()
