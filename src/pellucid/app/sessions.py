"""Owners and lifetimes of sessions: pages open, reload, close and are forgotten."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PellucidError
from .queue import Queue
from .session import Session

STOP_AFTER = 30.0
"""Seconds without an open page or a call after which a job stops; a reload takes less, on a machine at work too."""

FORGET_AFTER = 900.0
"""Seconds without an open page or a call after which files are removed; a machine may sleep meanwhile."""

MOST_SESSIONS = 500
"""Sessions at a time, of all people together."""

_LOST = "this page has lost its session: reload it"


@dataclass
class _Entry:
    """A session, its page loadings, and the time of its last call."""

    session: Session
    since: float
    pages: set[str] = field(default_factory=set)


class Sessions:
    """All sessions, by the token that a page keeps as long as its tab is open.

    A *visitor* is a browser, which keeps its name in a cookie; a *token* is one of its tabs. Both are made and signed
    here, so invented names are rejected.

    Args:
        queue: jobs stop when their page is closed.
    """

    def __init__(self, queue: Queue) -> None:
        self._root = tempfile.TemporaryDirectory(prefix="pellucid-", ignore_cleanup_errors=True)
        self.folder = Path(self._root.name)
        self._queue = queue
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._open: set[str] = set()

    # --- names ---

    def visitor(self) -> str:
        """Makes a name for a new browser."""
        return self._signed(secrets.token_hex(16))

    def token(self, visitor: str) -> str:
        """Makes a name for a new tab of a visitor."""
        return self._signed(f"{self.checked(visitor)}-{secrets.token_hex(16)}")

    def checked(self, name: str) -> str:
        """Returns the name if its signature is valid.

        Raises:
            PellucidError: the signature is invalid.
        """
        text, _, _ = name.rpartition("-")
        # Names are compared as bytes: those that were made up may hold anything.
        if not re.fullmatch(r"[0-9a-f-]{65,200}", name) or not hmac.compare_digest(self._signed(text), name):
            raise PellucidError(_LOST)
        return name

    def visitor_of(self, token: str) -> str:
        """Visitor whose tab a token names.

        Raises:
            PellucidError: it was not made here, or names no tab.
        """
        parts = self.checked(token).split("-")
        if len(parts) != 4:
            raise PellucidError(_LOST)
        return "-".join(parts[:2])

    def _signed(self, text: str) -> str:
        return f"{text}-{hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]}"

    # --- pages ---

    def of(self, token: str, page: str, now: float | None = None) -> Session:
        """Returns the session of a page; makes it at the first call.

        Args:
            token: the tab's.
            page: this loading of it.
            now: the time; the clock's by default.

        Raises:
            PellucidError: the token was not made here, or too many pages are open.
        """
        visitor = self.visitor_of(token)
        now = time.monotonic() if now is None else now
        with self._lock:
            entry = self._entries.get(token)
            if entry is None:
                if len(self._entries) >= MOST_SESSIONS:
                    raise PellucidError("too many pages are open here: try again in a quarter of an hour")
                entry = self._entries[token] = _Entry(Session(self.folder / secrets.token_hex(16), visitor), now)
            # A page that asks is there, though its connection broke, as a phone's does that was locked.
            entry.pages.add(page)
            entry.since = now
            return entry.session

    def opened(self, page: str) -> None:
        """Notes that a page holds its connection open."""
        with self._lock:
            self._open.add(page)

    def left(self, page: str, now: float | None = None) -> None:
        """Notes that a page was closed or reloaded."""
        now = time.monotonic() if now is None else now
        with self._lock:
            self._open.discard(page)
            for entry in self._entries.values():
                if page in entry.pages:
                    entry.pages.discard(page)
                    entry.since = now

    def sweep(self, now: float | None = None) -> None:
        """Stops the jobs, and later removes the files, of silent sessions."""
        now = time.monotonic() if now is None else now
        with self._lock:
            away = {token: now - entry.since for token, entry in self._entries.items() if not entry.pages & self._open}
            late = [self._entries[token].session for token, age in away.items() if age >= STOP_AFTER]
            # Those who handed nothing over have nothing to come back to.
            forgotten = [
                token
                for token, age in away.items()
                if age >= (FORGET_AFTER if self._entries[token].session.pictures else STOP_AFTER)
            ]
            ended = [self._entries.pop(token).session for token in forgotten]
        for session in late:
            if session.job is not None and session.busy:
                self._queue.stop(session.job)
        for session in ended:
            shutil.rmtree(session.folder, ignore_errors=True)

    # --- files ---

    def owns(self, visitor: str, path: Path) -> bool:
        """True if a file belongs to a session of a visitor."""
        return path.is_file() and any(path.is_relative_to(folder) for folder in self._folders(visitor))

    def bytes(self, visitor: str | None) -> int:
        """Bytes that a visitor's sessions keep on the disk; of all sessions for None."""
        files = [path for folder in self._folders(visitor) for path in folder.rglob("*") if not path.is_symlink()]
        return sum(_size(path) for path in files)

    def _folders(self, visitor: str | None) -> list[Path]:
        with self._lock:
            sessions = [entry.session for entry in self._entries.values()]
        return [session.folder.resolve() for session in sessions if visitor in (None, session.visitor)]

    def close(self) -> None:
        """Removes all files."""
        self._root.cleanup()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # it was removed meanwhile
        return 0
