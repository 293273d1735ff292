from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from pellucid import apart
from pellucid.apart import processes
from pellucid.app.choices import Choices, variants
from pellucid.app.limits import Limits
from pellucid.app.session import Outcome, Round, Session


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
    alone.remove(alone.pictures[1].id)
    assert not path.exists()
    assert (alone.current, alone.rounds) == (0, [])
    alone.remove("7")
    assert len(alone.pictures) == 1
    # Whoever removes another picture goes on looking at the same.
    alone.add({photo: "b.jpg"}, Limits())
    alone.remove(alone.pictures[0].id)
    assert (alone.current, [picture.name for picture in alone.pictures]) == (0, ["b.jpg"])
    alone.add({photo: "c.jpg"}, Limits())
    alone.add({photo: "d.jpg"}, Limits())
    alone.look_at(alone.pictures[1].id)
    alone.remove(alone.pictures[0].id)
    assert alone.pictures[alone.current].name == "c.jpg"
    alone.remove(alone.pictures[0].id)
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
    assert alone.look_at(alone.pictures[2].id)
    assert not alone.look_at("99")
    alone.follow()
    assert alone.current == 2


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_a_picture_that_crashes_its_decoder_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its header nor its pixels are decoded in the server's process."""
    (tmp_path / "rawpy.py").write_text(
        "import os, signal\nclass LibRawError(Exception): pass\n"
        "def imread(path): os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(processes, "_all", {})
    Image.new("RGB", (8, 6)).save(tmp_path / "good.png")
    (tmp_path / "bad.nef").write_bytes(b"II*\0")
    session, limits = Session(tmp_path / "session"), Limits()
    with apart.inside(limits.reading):
        session.add({tmp_path / "bad.nef": "bad.nef", tmp_path / "good.png": "good.png"}, limits)
    processes.of(limits.reading).close()
    assert [picture.name for picture in session.pictures] == ["good.png"]
    assert session.messages == ["bad.nef: the process that read it was ended by SIGSEGV"]
