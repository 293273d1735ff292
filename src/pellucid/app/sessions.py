"""Whose session is whose, and when it ends: pages are opened, reloaded, closed and forgotten."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path

from ..errors import PellucidError
from .queue import Queue
from .session import Session

STOP_AFTER = 10.0
"""Seconds without an open page after which its job is stopped: a reload takes less."""

FORGET_AFTER = 900.0
"""Seconds without an open page after which its files are removed: a machine may sleep meanwhile."""


class Sessions:
    """Everybody's sessions, by the token that a page keeps as long as its tab is open.

    Args:
        queue: whose jobs are stopped when their page is closed.
    """

    def __init__(self, queue: Queue) -> None:
        self._root = tempfile.TemporaryDirectory(prefix="pellucid-", ignore_cleanup_errors=True)
        self.folder = Path(self._root.name)
        self._queue = queue
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        # Pages by their gradio session: a reloaded page is a new one, and one that is gone never comes back.
        self._pages: dict[str, str] = {}
        self._gone: set[str] = set()
        self._left: dict[str, float] = {}

    def of(self, token: str, page: str) -> Session:
        """The session of a page, made when it is first seen.

        Args:
            token: the tab's.
            page: this loading of it.

        Raises:
            PellucidError: the token is none that a page makes.
        """
        if not (len(token) == 32 and token.isalnum()):
            raise PellucidError("this page has lost its session: reload it")
        with self._lock:
            if page not in self._gone:
                self._pages[page] = token
                self._left.pop(token, None)
            if token not in self._sessions:
                self._sessions[token] = Session(Path(tempfile.mkdtemp(dir=self.folder)))
            return self._sessions[token]

    def left(self, page: str, now: float | None = None) -> None:
        """Notes that a page was closed or reloaded."""
        with self._lock:
            token = self._pages.pop(page, None)
            self._gone.add(page)
            if token is not None and token not in self._pages.values():
                self._left[token] = time.monotonic() if now is None else now

    def sweep(self, now: float | None = None) -> None:
        """Stops the jobs, and later removes the files, of those whose page is gone for long enough."""
        now = time.monotonic() if now is None else now
        with self._lock:
            late = [self._sessions[token] for token, since in self._left.items() if now - since >= STOP_AFTER]
            forgotten = [token for token, since in self._left.items() if now - since >= FORGET_AFTER]
            ended = [self._sessions.pop(token) for token in forgotten]
            for token in forgotten:
                del self._left[token]
        for session in late:
            if session.job is not None and session.busy:
                self._queue.stop(session.job)
        for session in ended:
            shutil.rmtree(session.folder, ignore_errors=True)

    def close(self) -> None:
        """Removes all files."""
        self._root.cleanup()
