from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.app.limits import Limits
from pellucid.app.queue import Job, Queue
from pellucid.app.sessions import FORGET_AFTER, STOP_AFTER, Sessions
from pellucid.errors import PellucidError

from .conftest import TOKEN, until


def test_a_reload_finds_its_session_and_its_job_goes_on() -> None:
    queue = Queue()
    sessions = Sessions(queue)
    session = sessions.of(TOKEN, "first loading")
    job = session.job = queue.add(Job(lambda job: until(lambda: job.advance(1))))
    sessions.left("first loading", now=100)
    assert sessions.of(TOKEN, "second loading") is session
    sessions.sweep(now=100 + STOP_AFTER)
    assert not job.stopping
    # What the first loading still says after it is gone keeps nothing alive.
    sessions.left("second loading", now=200)
    sessions.of(TOKEN, "first loading")
    sessions.sweep(now=200 + STOP_AFTER - 1)
    assert not job.stopping
    sessions.sweep(now=200 + STOP_AFTER)
    assert job.ended.wait(10)
    assert job.state == "stopped"
    queue.close()
    sessions.close()


def test_files_are_removed_when_nobody_comes_back(photo: Path) -> None:
    queue = Queue()
    sessions = Sessions(queue)
    session = sessions.of(TOKEN, "page")
    other = sessions.of("f" * 32, "other page")
    session.add({photo: "a.jpg"}, Limits())
    sessions.left("page", now=100)
    sessions.sweep(now=100 + FORGET_AFTER - 1)
    assert session.folder.exists()
    sessions.sweep(now=100 + FORGET_AFTER)
    assert not session.folder.exists()
    assert other.folder.exists()
    assert sessions.of(TOKEN, "new page") is not session
    queue.close()
    sessions.close()
    assert not sessions.folder.exists()


@pytest.mark.parametrize("token", ["", "short", "../" * 10 + "ab", "x" * 31 + "/"])
def test_tokens_that_no_page_makes_are_refused(token: str) -> None:
    queue = Queue()
    sessions = Sessions(queue)
    with pytest.raises(PellucidError, match="reload"):
        sessions.of(token, "page")
    queue.close()
    sessions.close()
