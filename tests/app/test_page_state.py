"""What belongs to one picture stays with it, and everything is said in the page's words."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid import images, tasks
from pellucid.app import view
from pellucid.app.choices import Choices
from pellucid.app.desk import Desk
from pellucid.app.look import ACTIONS, excerpt, look, verdict
from pellucid.app.queue import Job, Queue
from pellucid.app.session import Session
from pellucid.app.words import damage, plain
from pellucid.diagnosis import Diagnosis, Exposure, of_picture
from pellucid.priors import load_prior

from .conftest import until
from .test_desk import png

Finish = Callable[[Session], None]


@pytest.fixture
def two(desk: Desk, session: Session, photo: Path, tmp_path: Path) -> Session:
    """Two pictures of different sizes."""
    images.write(images.from_array(np.full((30, 20, 3), 90, np.uint8)), tmp_path / "b.png")
    session.add({photo: "a.jpg", tmp_path / "b.png": "b.png"}, desk.limits)
    return session


def drawn(size: tuple[int, int], box: tuple[int, int, int, int]) -> str:
    """A mask with a white rectangle."""
    file, image = io.BytesIO(), Image.new("L", size)
    image.paste(255, box)
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_each_picture_is_filled_where_its_own_mask_is(
    desk: Desk, two: Session, tiny_prior: Path, finish: Finish
) -> None:
    choices = Choices(prior=str(tiny_prior), task="inpaint", settings=("steps=20",))
    boxes = {"a.jpg": (8, 8, 16, 16), "b.png": (2, 20, 10, 28)}
    for number, (name, size) in enumerate((("a.jpg", (56, 40)), ("b.png", (20, 30)))):
        two.look_at(number)
        assert two.mask is None
        desk.paint(two, drawn(size, boxes[name]))
    desk.run(two, replace(choices, mask=two.mask, exact=True))
    finish(two)
    assert two.newest is not None
    for picture in two.pictures:
        (version,) = two.newest.outcomes[picture.name].versions
        left, top, right, bottom = boxes[picture.name]
        before, after = (images.read(path).colour.astype(int) for path in (picture.path, version.path))
        changed = np.abs(before - after).max(2) > (2 if picture.name == "b.png" else 40)
        inside = changed[top:bottom, left:right].sum()
        assert inside
        assert picture.name != "b.png" or changed.sum() == inside


def test_a_picture_without_a_mask_is_left_alone(desk: Desk, two: Session, tiny_prior: Path, finish: Finish) -> None:
    two.look_at(0)
    desk.paint(two, drawn((56, 40), (8, 8, 16, 16)))
    two.look_at(1)
    desk.run(two, Choices(prior=str(tiny_prior), task="inpaint", settings=("steps=20",)))
    finish(two)
    assert [view.state(two, picture)[0] for picture in two.pictures] == ["done", "left"]
    assert "2 of 2 done" in view.status(two, desk.queue)
    assert "1 left alone" in view.status(two, desk.queue)


def test_a_mask_that_is_wiped_away_is_none(desk: Desk, two: Session) -> None:
    two.look_at(0)
    desk.paint(two, png((56, 40)))
    desk.paint(two, png((56, 40), 0))
    assert two.mask is None


def test_a_mask_of_another_size_is_a_message_without_a_path(desk: Desk, two: Session) -> None:
    two.look_at(0)
    file = io.BytesIO()
    Image.new("L", (20, 30), 255).save(file, "PNG")
    handle = desk.uploads.put(two.visitor, "mine.png", io.BytesIO(file.getvalue()))
    desk.keep_mask(two, {"path": handle})
    assert two.mask is None
    assert two.messages == [
        "mine.png: is 20x30 pixels large and the picture 56x40: choose a mask of its size, or paint one"
    ]


def test_exposures_are_two_or_more(desk: Desk, session: Session, photo: Path) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    desk.run(session, Choices(prior=desk.priors[0], task="hdr"))
    assert session.job is None
    assert session.messages == [
        "One picture is made of several exposures: add two or more of the same view, or choose another damage"
    ]


def test_two_exposures_are_lined_up(desk: Desk, two: Session) -> None:
    desk.run(two, Choices(prior=desk.priors[0], task="hdr"))
    assert two.messages == []
    assert two.job is not None
    desk.stop(two)
    assert two.rounds[-1].names == ("a.jpg",)


def test_what_failed_stands_under_nothing_else(desk: Desk, two: Session, tiny_prior: Path, finish: Finish) -> None:
    desk.run(two, Choices(prior=str(tiny_prior), strength="20"))
    finish(two)
    two.look_at(0)
    two.picture.path.write_bytes(b"gone bad")  # type: ignore[union-attr]
    desk.act(two, Choices(prior=str(tiny_prior)), "clean")
    finish(two)
    said = view.status(two, desk.queue)
    assert "This did not work." in said
    assert "of 1 done" not in said
    assert 'role="alert"' in said
    assert "Details to pass on" in said
    assert str(two.folder) not in said
    # The other picture has its result still.
    assert [view.state(two, picture)[0] for picture in two.pictures] == ["failed", "done"]


def test_the_failures_of_a_batch_are_named_at_its_end(
    desk: Desk, two: Session, tiny_prior: Path, finish: Finish
) -> None:
    two.pictures[0].path.write_bytes(b"gone bad")
    desk.run(two, Choices(prior=str(tiny_prior), strength="20"))
    finish(two)
    two.look_at(1)
    said = view.status(two, desk.queue)
    assert "1 of 2 done" in said
    assert "1 failed" in said
    assert "<li>a.jpg: " in said
    rows = view.picture_view(two)["pictures"]
    assert [row["state"] for row in rows] == ["failed", "done"]
    assert rows[0]["words"]


def test_after_a_stop_it_is_said_which_are_done(desk: Desk, two: Session, tiny_prior: Path, finish: Finish) -> None:
    desk.run(two, Choices(prior=str(tiny_prior), strength="20"))
    finish(two)
    two.undo()
    desk.run(two, Choices(prior=str(tiny_prior), strength="1000", steps=1000, settings=("corrections=100",)))
    desk.stop(two)
    finish(two)
    assert [view.state(two, picture)[0] for picture in two.pictures] == ["stopped", "stopped"]
    assert "Stopped. What was finished is kept: 0 of 2." in view.status(two, desk.queue)


def test_what_was_not_sent_is_named_and_the_others_are_taken(desk: Desk, session: Session, photo: Path) -> None:
    handle = desk.uploads.put(session.visitor, "a.jpg", io.BytesIO(photo.read_bytes()))
    desk.take(
        session, [{"name": "../big.jpg", "reason": "has 300 MB, more than the 200 allowed here"}, {"path": handle}]
    )
    assert [picture.name for picture in session.pictures] == ["a.jpg"]
    assert session.messages == ["big.jpg: has 300 MB, more than the 200 allowed here"]


def test_after_the_look_the_evaluations_are_known(desk: Desk, session: Session, photo: Path, finish: Finish) -> None:
    handle = desk.uploads.put(session.visitor, "a.jpg", io.BytesIO(photo.read_bytes()))
    desk.take(session, [{"path": handle}])
    picture = session.pictures[0]
    until(lambda: picture.looked, 60)
    assert picture.verdict is not None
    desk.run(session, Choices(prior=desk.priors[0]))
    finish(session)
    assert session.job is not None
    assert session.job.total == session.job.done == (picture.verdict.calls + picture.verdict.plan) * 40 * 56


def test_a_look_is_a_diagnosis(bundled: dict[str, Tensor], tiny_prior: Path) -> None:
    picture = images.from_tensor((bundled["coffee"][..., :96, :96] + 1) / 2)
    prior = load_prior(str(tiny_prior))
    made, pace = look(prior, picture)
    found = of_picture(prior, picture)
    assert made.whole
    assert made.words == verdict(found).words
    assert pace is None or pace > 0


@pytest.mark.parametrize(("size", "seen"), [((900, 1300), (384, 384)), ((300, 3000), (300, 384)), ((9, 9), (9, 9))])
def test_of_a_large_picture_a_quarter_of_a_megapixel_is_looked_at(size: tuple[int, int], seen: tuple[int, int]) -> None:
    assert excerpt(torch.zeros(1, 3, *size)).shape[-2:] == seen


def test_the_best_comes_first() -> None:
    dark = Exposure(0.05, 0.2, 0.0, 1.0)
    made = verdict(Diagnosis(exposure=dark))
    assert made.advised == ("brighten",)
    assert made.words == ("dark",)
    assert verdict(Diagnosis()).words == ()
    assert "scratches" in ACTIONS
    assert {one.task for one in ACTIONS.values()} <= {None, *tasks.names()}


def test_a_job_comes_before_looks() -> None:
    queue, begun = Queue(), threading.Event()
    order: list[str] = []
    gate = queue.add(Job(lambda job: begun.wait(30)))
    looked = Job(lambda job: order.append("look"))
    queue.spare(looked)
    job = queue.add(Job(lambda job: order.append("job")))
    begun.set()
    assert gate.ended.wait(30)
    assert job.ended.wait(30)
    assert looked.ended.wait(30)
    assert order == ["job", "look"]
    queue.close()


@pytest.mark.parametrize(
    ("said", "page"),
    [
        ("--set takes KEY=VALUE, not 'x'", "Further settings are KEY=VALUE, one a line, not 'x'"),
        ("/tmp/s/12/mask.png: is grey", "mask.png: is grey"),
        ('HEIF needs pillow-heif: pip install "pellucid[heif]"', "pillow-heif"),
        ("x: is no JPEG file, so how it was compressed is unknown: use a blind method, or Jpeg(quality) in Python",
         "x: is no JPEG file, so how it was compressed is unknown: choose the automatic method"),
    ],
)  # fmt: skip
def test_messages_are_in_the_pages_words(said: str, page: str) -> None:
    made = plain(said, Path("/tmp/s"))
    assert page in made
    assert not any(word in made for word in ("--", "pip install", "Python", "/tmp"))


def test_the_damages_are_named_without_options() -> None:
    assert all("--" not in damage(name) and len(damage(name)) <= 45 for name in tasks.names())
