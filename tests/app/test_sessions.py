from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.app import sessions as module
from pellucid.app.limits import Limits
from pellucid.app.queue import Job, Queue
from pellucid.app.sessions import FORGET_AFTER, STOP_AFTER, Sessions
from pellucid.errors import PellucidError

from .conftest import until


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    queue = Queue()
    sessions = Sessions(queue)
    yield sessions
    queue.close()
    sessions.close()


@pytest.fixture
def token(sessions: Sessions) -> str:
    return sessions.token(sessions.visitor())


def test_a_reload_finds_its_session_and_its_job_goes_on(sessions: Sessions, token: str) -> None:
    sessions.opened("first loading")
    session = sessions.of(token, "first loading", now=90)
    job = session.job = sessions._queue.add(Job(lambda job: until(lambda: job.advance(1))))
    sessions.left("first loading", now=100)
    sessions.opened("second loading")
    assert sessions.of(token, "second loading", now=101) is session
    sessions.sweep(now=100 + STOP_AFTER)
    assert not job.stopping
    # A page whose connection broke is there as long as it asks, or holds another.
    sessions.left("second loading", now=200)
    sessions.of(token, "second loading", now=200 + STOP_AFTER)
    sessions.sweep(now=200 + STOP_AFTER)
    assert not job.stopping
    sessions.opened("second loading")
    sessions.sweep(now=300 + STOP_AFTER)
    assert not job.stopping
    # Nothing was handed over: there is nothing to come back to either.
    sessions.left("second loading", now=400)
    sessions.sweep(now=400 + STOP_AFTER - 1)
    assert not job.stopping
    sessions.sweep(now=400 + STOP_AFTER)
    assert job.ended.wait(10)
    assert job.state == "stopped"


def test_files_are_removed_when_nobody_comes_back(sessions: Sessions, token: str, photo: Path) -> None:
    sessions.opened("page")
    sessions.opened("other page")
    session = sessions.of(token, "page", now=90)
    other = sessions.of(sessions.token(sessions.visitor()), "other page", now=90)
    for one in (session, other):
        one.add({photo: "a.jpg"}, Limits())
    sessions.left("page", now=100)
    sessions.sweep(now=100 + FORGET_AFTER - 1)
    assert session.folder.exists()
    sessions.sweep(now=100 + FORGET_AFTER)
    assert not session.folder.exists()
    assert other.folder.exists()
    assert sessions.of(token, "new page") is not session
    sessions.close()
    assert not sessions.folder.exists()


def test_sessions_without_an_open_page_end_by_their_last_call(sessions: Sessions, token: str, photo: Path) -> None:
    """Whoever never holds a connection open, as scripts do not, keeps nothing for longer."""
    session = sessions.of(token, "page", now=100)
    session.add({photo: "a.jpg"}, Limits())
    sessions.of(token, "page", now=300)
    sessions.sweep(now=300 + FORGET_AFTER - 1)
    assert session.folder.exists()
    sessions.sweep(now=300 + FORGET_AFTER)
    assert not session.folder.exists()


def test_tokens_alone_make_no_folders_and_are_forgotten_soon(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 20)
    visitor = sessions.visitor()
    for number in range(20):
        sessions.of(sessions.token(visitor), f"page {number}", now=100)
    assert list(sessions.folder.iterdir()) == []
    with pytest.raises(PellucidError, match="too many pages"):
        sessions.of(sessions.token(visitor), "one more", now=100)
    sessions.sweep(now=100 + STOP_AFTER)
    sessions.of(sessions.token(visitor), "one more", now=111)


@pytest.mark.parametrize("made_up", ["", "short", "a" * 32, "../" * 10 + "ab", "f" * 32 + "-" + "f" * 32, "ä" * 70])
def test_tokens_that_the_server_did_not_make_are_refused(sessions: Sessions, made_up: str) -> None:
    with pytest.raises(PellucidError, match="reload"):
        sessions.of(made_up, "page")


def test_neither_visitors_nor_tokens_of_another_server_nor_changed_ones_are_tokens(
    sessions: Sessions, token: str
) -> None:
    other = Sessions(sessions._queue)
    changed = ("0" if token[0] != "0" else "1") + token[1:]
    for made_up in (sessions.visitor(), other.token(other.visitor()), changed, token + "0"):
        with pytest.raises(PellucidError, match="reload"):
            sessions.of(made_up, "page")
    with pytest.raises(PellucidError):
        sessions.token("f" * 32)
    other.close()


def test_files_are_their_visitors_alone(sessions: Sessions, token: str, photo: Path) -> None:
    session = sessions.of(token, "page")
    session.add({photo: "a.jpg"}, Limits())
    path = session.pictures[0].path.resolve()
    assert sessions.owns(session.visitor, path)
    assert not sessions.owns(sessions.visitor(), path)
    assert not sessions.owns(session.visitor, photo)
    assert sessions.bytes(session.visitor) == sessions.bytes(None) >= photo.stat().st_size
    assert sessions.bytes(sessions.visitor()) == 0
