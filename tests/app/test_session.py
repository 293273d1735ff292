from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.app.choices import Choices, variants
from pellucid.app.limits import Limits
from pellucid.app.queue import Job, Queue
from pellucid.app.session import FORGET_AFTER, STOP_AFTER, Outcome, Round, Session, Sessions
from pellucid.errors import PellucidError

from .conftest import TOKEN, until


@pytest.fixture
def alone(tmp_path: Path) -> Session:
    folder = tmp_path / "session"
    folder.mkdir()
    return Session(folder)


def done(name: str, error: str = "it failed") -> Round:
    return Round(variants(Choices()), {name: Outcome(errors=[error])})


def test_bytes_are_kept_as_they_came(alone: Session, photo: Path) -> None:
    alone.add({photo: "../my photo.jpg"}, Limits())
    (upload,) = alone.pictures
    assert upload.name == "my photo.jpg"
    assert upload.path.read_bytes() == photo.read_bytes()
    assert upload.size == (40, 56)
    assert upload.path.is_relative_to(alone.folder)


def test_the_bad_are_named_and_the_good_are_taken(alone: Session, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no picture")
    (tmp_path / "cut").write_bytes(photo.read_bytes()[:700])
    alone.add({tmp_path / "text": "a.jpg", photo: "b.jpg", tmp_path / "cut": "c.jpg"}, Limits())
    assert [picture.name for picture in alone.pictures] == ["b.jpg"]
    assert [line.partition(":")[0] for line in alone.messages] == ["a.jpg", "c.jpg"]
    assert not any(str(tmp_path) in line for line in alone.messages)
    alone.add({photo: "d.jpg"}, Limits(pictures=1))
    assert alone.messages == ["d.jpg: no more than 1 pictures at a time"]


def test_removing_a_picture_removes_its_files_and_results(alone: Session, photo: Path) -> None:
    alone.add({photo: "a.jpg"}, Limits())
    alone.add({photo: "a.jpg"}, Limits())
    assert [picture.name for picture in alone.pictures] == ["a.jpg", "a-2.jpg"]
    assert alone.current == 1
    alone.rounds.append(done("a-2.jpg"))
    path = alone.pictures[1].path
    alone.remove(1)
    assert not path.exists()
    assert (alone.current, alone.rounds) == (0, [])
    alone.remove(7)
    assert len(alone.pictures) == 1


def test_undo_takes_back_the_last_round_of_which_something_came(alone: Session) -> None:
    alone.rounds = [done("a", "first"), done("a", "second"), Round(variants(Choices()))]
    found = alone.result("a")
    assert found is not None
    assert found[1].errors == ["second"]
    alone.undo()
    found = alone.result("a")
    assert found is not None
    assert found[1].errors == ["first"]
    alone.undo()
    alone.undo()
    assert alone.result("a") is None


def test_the_page_follows_the_work_unless_another_picture_is_chosen(alone: Session, photo: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        alone.add({photo: name}, Limits())
    alone.rounds.append(done("b.jpg"))
    alone.follow()
    assert alone.current == 1
    alone.look_at(99)
    alone.follow()
    assert alone.current == 2


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
