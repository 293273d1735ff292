"""Files between a browser and a session: their senders, and the room for more."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import PellucidError
from .limits import Limits, clean_name

WAIT = 300.0
"""Seconds after which an unclaimed file is removed."""

_SPARE = 500_000_000
"""Bytes that are left free on the disk."""


@dataclass(frozen=True)
class _Waiting:
    visitor: str
    path: Path
    name: str
    since: float


class Uploads:
    """Uploaded files that no session has claimed yet. A browser gets a handle of each, never its place.

    Args:
        folder: their folder.
        limits: limits of uploads.
        kept: gives the bytes that a visitor's sessions keep; of all sessions for None.
    """

    def __init__(self, folder: Path, limits: Limits, kept: Callable[[str | None], int]) -> None:
        self.folder = folder
        self._limits = limits
        self._kept = kept
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._coming: Counter[str] = Counter()

    @contextmanager
    def room(self, visitor: str, size: int) -> Iterator[None]:
        """Reserves room for an upload as long as the block lasts.

        Args:
            visitor: its sender.
            size: of the whole request, in bytes.

        Raises:
            PellucidError: the visitor's share, the total or the disk is full.
        """
        with self._lock:
            self._check(visitor, size)
            self._coming[visitor] += size
        try:
            yield
        finally:
            with self._lock:
                self._coming[visitor] -= size
                if not self._coming[visitor]:
                    del self._coming[visitor]

    def _check(self, visitor: str, size: int) -> None:
        of_visitor = size + self._coming[visitor] + self._waiting_bytes(visitor) + self._kept(visitor)
        if of_visitor > self._limits.share:
            share = self._limits.share / 1e6
            raise PellucidError(f"more than the {share:g} MB that one person may keep here: remove some pictures first")
        of_all = size + sum(self._coming.values()) + self._waiting_bytes(None) + self._kept(None)
        if of_all > self._limits.total or shutil.disk_usage(self.folder).free < size + _SPARE:
            raise PellucidError("no room is left here for more pictures: try again in a quarter of an hour")

    def _waiting_bytes(self, visitor: str | None) -> int:
        mine = [file.path for file in self._waiting.values() if visitor in (None, file.visitor)]
        return sum(path.stat().st_size for path in mine if path.exists())

    def put(self, visitor: str, name: str, file: IO[bytes]) -> str:
        """Keeps a file until a session of its visitor claims it.

        Returns:
            Its handle.
        """
        handle = secrets.token_hex(16)
        path = self.folder / handle
        with path.open("wb") as target:
            shutil.copyfileobj(file, target)
        with self._lock:
            self._waiting[handle] = _Waiting(visitor, path, clean_name(name), time.monotonic())
        return handle

    @contextmanager
    def taken(self, visitor: str, payload: object) -> Iterator[dict[Path, str]]:
        """Gives files and their owner's names; removes the files after the block.

        Args:
            visitor: their sender. Files of others and invalid handles are left out.
            payload: message of the browser: a record with the handle as `path`, several, or None. A record's `name`
                counts more than the form's, which has quotation marks escaped.
        """
        found: dict[Path, str] = {}
        with self._lock:
            for record in payload if isinstance(payload, list) else [payload]:
                handle = record.get("path") if isinstance(record, dict) else None
                file = self._waiting.get(handle) if isinstance(handle, str) else None
                if file is not None and file.visitor == visitor:
                    del self._waiting[str(handle)]
                    name = record.get("name") if isinstance(record, dict) else None
                    found[file.path] = clean_name(name) if isinstance(name, str) else file.name
        try:
            yield found
        finally:
            for path in found:
                path.unlink(missing_ok=True)

    def sweep(self, now: float | None = None) -> None:
        """Removes files that nobody claimed in time."""
        now = time.monotonic() if now is None else now
        with self._lock:
            late = [handle for handle, file in self._waiting.items() if now - file.since >= WAIT]
            paths = [self._waiting.pop(handle).path for handle in late]
        for path in paths:
            path.unlink(missing_ok=True)
