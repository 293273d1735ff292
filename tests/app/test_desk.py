from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from PIL import Image

from pellucid.app import view
from pellucid.app.choices import Choices
from pellucid.app.desk import Desk
from pellucid.app.queue import Job
from pellucid.app.session import Session

from .conftest import tab, until

Finish = Callable[[Session], None]


def png(size: tuple[int, int], colour: int = 255) -> str:
    file = io.BytesIO()
    Image.new("L", size, colour).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def one(desk: Desk, session: Session, photo: Path) -> Session:
    session.add({photo: "a b.jpg"}, desk.limits)
    return session


def test_a_painted_mask_is_kept(desk: Desk, one: Session) -> None:
    desk.paint(one, png((56, 40)))
    assert one.messages == []
    assert one.mask is not None
    assert one.mask.name == "mask.png"
    assert view.picture_view(one)["mask"] == "gradio_api/file=" + one.mask.as_posix()


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (png((55, 40)), "not as large"),
        ("data:image/png;base64,AAAA", "mask.png: "),
        ("data:image/png;base64,?", "is no picture: paint it again"),
        (png((1000, 1000)), "megapixels"),
    ],
)
def test_hostile_masks_are_one_message(desk: Desk, one: Session, mask: str, says: str) -> None:
    import re

    desk.paint(one, mask)
    assert one.mask is None
    assert len(one.messages) == 1
    assert re.search(says, one.messages[0])


def test_files_beside_the_pictures_keep_their_names(desk: Desk, one: Session) -> None:
    file = io.BytesIO()
    Image.new("L", (3, 3), 255).save(file, "PNG")
    put = desk.uploads.put
    kept = desk.keep(one, {"path": put(one.visitor, "my kernel.png", io.BytesIO(file.getvalue()))})
    assert kept is not None
    assert (kept.name, kept.read_bytes()) == ("my kernel.png", file.getvalue())
    assert desk.keep(one, {"path": put(one.visitor, "my kernel.png", io.BytesIO(b"no picture"))}) is None
    assert one.messages[0].startswith("my kernel.png: ")
    assert desk.keep(one, {"path": "/etc/passwd"}) is None


def test_wrong_choices_are_a_message_and_no_job(desk: Desk, one: Session) -> None:
    desk.run(one, Choices(settings=("nonsense",)))
    assert one.job is None
    assert one.messages == ["Further settings are KEY=VALUE, one a line, not 'nonsense'"]
    assert 'role="alert"' in view.status(one, desk.queue)
    assert desk.calls(one, Choices(settings=("nonsense",)))[0] == one.messages[0]
    desk.run(one, Choices(prior="own.py:own"))
    assert one.messages == ["the page has no prior 'own.py:own'"]


def test_without_pictures_nothing_is_done(desk: Desk, session: Session) -> None:
    desk.run(session, Choices())
    desk.try_part(session, Choices(), (0.5, 0.5))
    desk.paint(session, png((2, 2)))
    assert (session.job, session.mask) == (None, None)
    assert view.picture_view(session)["pictures"] == []


def test_two_people_wait_for_each_other(
    desk: Desk, one: Session, tiny_prior: Path, photo: Path, finish: Finish
) -> None:
    other = tab(desk, "other page")
    other.add({photo: "c.jpg"}, desk.limits)
    long = Choices(prior=str(tiny_prior), strength="1000", steps=1000, settings=("corrections=100",))
    desk.run(one, long)
    desk.run(other, Choices(prior=str(tiny_prior), strength="20"))
    assert "1 job comes before yours" in view.status(other, desk.queue)
    assert view.picture_view(one)["busy"]
    # While it runs nothing is started twice or taken away.
    job = one.job
    desk.run(one, long)
    one.remove(one.pictures[0].id)
    one.undo()
    assert one.job is job
    assert len(one.pictures) == 1
    desk.stop(one)
    finish(one)
    finish(other)
    assert "Stopped" in view.status(one, desk.queue)
    assert "1 of 1 done" in view.status(other, desk.queue)


def test_pictures_that_come_while_a_job_runs_are_of_the_next(
    desk: Desk, one: Session, tiny_prior: Path, photo: Path, finish: Finish
) -> None:
    desk.run(one, Choices(prior=str(tiny_prior), strength="1000", steps=1000, settings=("corrections=100",)))
    handle = desk.uploads.put(one.visitor, "b.jpg", io.BytesIO(photo.read_bytes()))
    desk.take(one, [{"path": handle, "name": "b.jpg"}])
    assert one.messages == []
    assert view.state(one, one.pictures[1])[0] == "looking"
    # The picture of the job is still the one that is looked at.
    assert one.current == 0
    desk.stop(one)
    finish(one)
    until(lambda: not one.looking)
    assert [view.state(one, picture)[0] for picture in one.pictures] == ["stopped", "ready"]
    assert "is kept." in view.status(one, desk.queue)
    desk.run(one, Choices(prior=str(tiny_prior), strength="20"))
    finish(one)
    assert "2 of 2 done" in view.status(one, desk.queue)


def test_one_file_is_downloaded_as_it_is_and_several_in_a_zip(
    desk: Desk, one: Session, photo: Path, tiny_prior: Path, finish: Finish
) -> None:
    choices = Choices(prior=str(tiny_prior), strength="20")
    assert view.downloads(one) == ""
    desk.run(one, choices)
    finish(one)
    assert 'download="a b-restored.jpg"' in view.downloads(one)
    assert "a%20b-restored.jpg" in view.downloads(one)
    one.add({photo: "b.jpg"}, desk.limits)
    desk.run(one, choices)
    finish(one)
    assert "Download all 2 as a zip" in view.downloads(one)
    assert one.newest is not None
    paths = [version.path for outcome in one.newest.outcomes.values() for version in outcome.versions]
    with ZipFile(paths[0].parent / "restored.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {p.name: p.read_bytes() for p in paths}
    # What a part became is no file to keep.
    desk.try_part(one, choices, (0.5, 0.5))
    finish(one)
    assert view.downloads(one) == ""
    one.undo()
    assert "zip" in view.downloads(one)
    # What was removed from the page is in no zip that was made before.
    kept = one.newest.outcomes["b.jpg"].versions
    kept.append(replace(kept[0], path=kept[0].path.with_name("again.jpg")))
    kept[1].path.write_bytes(b"again")
    one.remove(one.pictures[0].id)
    assert "Download all 2 as a zip" in view.downloads(one)
    with ZipFile(paths[0].parent / "restored.zip") as archive:
        assert paths[0].name not in archive.namelist()


def test_names_are_text_in_the_page(desk: Desk, session: Session, photo: Path) -> None:
    session.messages = ["<script>alert(1)</script>.jpg: is no image"]
    assert "<script>" not in view.status(session, desk.queue)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (7800, "2 h 10 min")])
def test_durations(seconds: float, words: str) -> None:
    assert view.duration(seconds) == words


def test_progress_says_how_far_and_how_long(desk: Desk, one: Session) -> None:
    def work(job: Job) -> Any:
        job.total, job.doing = 200, "a & b.jpg"
        job.advance(50)
        one.job = job
        return lines.append(view.status(one, desk.queue))

    lines: list[str] = []
    Job(work).run()
    assert "a &amp; b.jpg · 25%" in lines[0]
    assert "up to 1 s left" in lines[0]
    assert 'value="0.250"' in lines[0]
