"""What belongs to one picture stays with it, and everything is said in the page's words."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid import images
from pellucid.app import view
from pellucid.app.choices import Choices
from pellucid.app.desk import Desk
from pellucid.app.look import ACTIONS, excerpt, look, verdict
from pellucid.app.proposing import FOUND, NONE
from pellucid.app.queue import Job, Queue
from pellucid.app.session import Outcome, Session
from pellucid.app.words import damage, plain
from pellucid.app.work import Looking
from pellucid.catalogue import tasks
from pellucid.diagnosis import Diagnosis, Exposure, of_picture
from pellucid.maths.problem import to_unit
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
        two.look_at(two.pictures[number].id)
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
    two.look_at(two.pictures[0].id)
    desk.paint(two, drawn((56, 40), (8, 8, 16, 16)))
    two.look_at(two.pictures[1].id)
    desk.run(two, Choices(prior=str(tiny_prior), task="inpaint", settings=("steps=20",)))
    finish(two)
    assert [view.state(two, picture)[0] for picture in two.pictures] == ["done", "left"]
    assert "2 of 2 done" in view.status(two, desk.queue)
    assert "1 left alone" in view.status(two, desk.queue)


def test_a_mask_that_is_wiped_away_is_none(desk: Desk, two: Session) -> None:
    two.look_at(two.pictures[0].id)
    desk.paint(two, png((56, 40)))
    desk.paint(two, png((56, 40), 0))
    assert two.mask is None


def test_a_mask_of_another_size_is_a_message_without_a_path(desk: Desk, two: Session) -> None:
    two.look_at(two.pictures[0].id)
    file = io.BytesIO()
    Image.new("L", (20, 30), 255).save(file, "PNG")
    handle = desk.uploads.put(two.visitor, "mine.png", io.BytesIO(file.getvalue()))
    desk.keep_mask(two, {"path": handle})
    assert two.mask is None
    assert two.messages == [
        "mine.png: is 20x30 pixels large and the picture 56x40: choose a mask of its size, or paint one"
    ]


def test_another_damage_takes_away_only_methods_that_do_not_fit_it(session: Session) -> None:
    pytest.importorskip("gradio")
    from pellucid.app.page import Page

    page: Any = SimpleNamespace(
        _session=lambda token, request: session,
        _controls=SimpleNamespace(needs=lambda task: None),
        _shown=lambda session: [],
    )

    def given(task: str, method: str, compare: list[str]) -> list[Any]:
        """Values that the two controls of methods get, "kept" for none."""
        request: Any = None
        controls = Page._fit(page, "", task, method, compare, request)[:2]
        return [one._constructor_args[0].get("value", "kept") for one in controls]

    assert given("lowlight", "gdp", ["lowlight", "gdp"]) == ["kept", "kept"]
    assert given("unfade", "gdp", ["unfade", "gdp"]) == ["", []]
    assert given("", "", []) == ["kept", "kept"]


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
    two.look_at(two.pictures[0].id)
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
    two.look_at(two.pictures[1].id)
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
    assert session.job.total == (picture.verdict.plan * 40 * 56 or 1)
    assert session.job.total == session.job.done


def test_a_look_is_a_diagnosis(bundled: dict[str, Tensor], tiny_prior: Path) -> None:
    picture = images.from_tensor((bundled["coffee"][..., :96, :96] + 1) / 2)
    prior = load_prior(str(tiny_prior))
    made, pace = look(prior, picture)
    found = of_picture(prior, picture)
    assert made.whole
    assert made.words == verdict(found).words
    assert pace is None or pace > 0
    of_pages, _ = look(prior, images.bound([picture, picture]))
    assert (of_pages.pages, of_pages.words, of_pages.whole) == (2, made.words, False)
    assert view._found(of_pages) == f"on the first of 2 pages: {view._found(made)}"


@pytest.mark.parametrize(("size", "seen"), [((900, 1300), (256, 256)), ((300, 3000), (300, 256)), ((9, 9), (9, 9))])
def test_of_a_large_picture_two_stretches_are_looked_at(size: tuple[int, int], seen: tuple[int, int]) -> None:
    assert excerpt(images.from_array(np.zeros((*size, 3), np.uint8))).colour.shape[:2] == seen


def test_what_the_look_found_is_not_looked_for_again(
    desk: Desk, session: Session, bundled: dict[str, Tensor], tmp_path: Path, finish: Finish
) -> None:
    images.to_pil(images.from_tensor(to_unit(bundled["coffee"])[..., :96, :96])).save(tmp_path / "a.jpg", quality=8)
    session.add({tmp_path / "a.jpg": "a.jpg"}, desk.limits)
    picture = session.pictures[0]
    Looking(picture, desk.restorers, desk.priors[0])(Job(lambda job: None))
    assert picture.verdict is not None
    assert picture.verdict.plan
    desk.run(session, Choices(prior=desk.priors[0]))
    finish(session)
    (made,) = session.rounds[-1].outcomes["a.jpg"].versions
    assert f"{picture.verdict.plan} evaluations" in made.note
    # As the command line has it, which looks itself.
    restorer = desk.restorers.of(session.rounds[-1].variants[0])
    restored, result = restorer.picture(images.read(picture.path))
    images.write(restored, tmp_path / "b.jpg")
    assert result.nfe == picture.verdict.calls + picture.verdict.plan
    assert made.path.read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_scratches_are_marked_to_be_corrected_before_they_are_filled(
    desk: Desk, session: Session, bundled: dict[str, Tensor], tmp_path: Path, finish: Finish
) -> None:
    damaged = to_unit(bundled["coffee"])[..., :200, :200].clone() * 0.7
    damaged[..., 20:180, 60:62] = 1
    images.write(images.from_tensor(damaged), tmp_path / "a.png")
    session.add({tmp_path / "a.png": "a.png"}, desk.limits)
    picture = session.pictures[0]
    desk.paint(session, drawn((200, 200), (150, 5, 160, 10)))
    desk.act(session, Choices(prior=desk.priors[0]), "scratches")
    finish(session)
    shown = view.picture_view(session)
    assert (shown["painting"], shown["proposals"], shown["note"]) == (True, 1, FOUND)
    assert session.rounds == []
    assert picture.mask is not None
    mask = images.read(picture.mask).colour[..., 0]
    proposed = ~tasks.proposed(images.read(picture.path)).known.bool().numpy().squeeze()
    proposed[5:10, 150:160] = True
    assert np.array_equal(mask > 0, proposed)
    assert mask[30:170, 60].all()
    # Where nothing is found, it is said, and the brush is there as well.
    picture.mask = None
    images.write(images.from_array(np.full((200, 200, 3), 90, np.uint8)), picture.path)
    desk.act(session, Choices(prior=desk.priors[0]), "scratches")
    finish(session)
    assert (picture.mask, picture.painting, picture.hint) == (None, True, NONE)
    picture.path.write_bytes(b"gone bad")
    desk.act(session, Choices(prior=desk.priors[0]), "scratches")
    finish(session)
    assert [line.partition(":")[0] for line in session.messages] == ["a.png"]


def test_a_download_says_what_is_not_in_it(desk: Desk, two: Session, finish: Finish) -> None:
    desk.run(two, Choices(prior=desk.priors[0], strength="20"))
    finish(two)
    done = two.rounds[-1]
    outcome = done.outcomes["a.jpg"]
    outcome.versions = [replace(outcome.versions[0], lost="JPEG has no place for its texts")]
    done.outcomes["b.png"] = Outcome(errors=["b.png: is damaged"])
    said = view.downloads(two)
    assert "a.jpg: JPEG has no place for its texts" in said
    assert "b.png: is not in it, it failed" in said
    assert "Download a-restored.jpg" in said


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
        ("scratches: 2 % marked: not changed, --task scratches --save-mask MASK.png does it; dark",
         "scratches: 2 % marked: not changed: press Fill scratches; dark"),
        ("left unchanged; to remove noise of 5 of 255 anyway: --noise 5/255",
         "to remove noise of 5 of 255 anyway, say how much under Advanced, Damage"),
        ("its pixels do not tell how it was compressed: leave the task out", "compressed: choose the automatic method"),
        ("the page: noise must be a valid number, not 'abc'", "noise must be a valid number, not 'abc'"),
        ("denoise has no 'strength'; it has boost", "denoise has no strength: leave strength empty under Advanced"),
        ("a.png: PNG cannot hold its metadata (x): say --strip-metadata, or name the output .tif",
         "a.png: PNG cannot hold its metadata (x): save the picture as a TIFF first"),
        ("reduce it to that size, then use --task enlarge", "reduce it to that size, then choose to enlarge it"),
        ("x: is no JPEG file, so how it was compressed is unknown: use a blind method, or Jpeg(quality) in Python",
         "x: is no JPEG file, so how it was compressed is unknown: choose the automatic method"),
    ],
)  # fmt: skip
def test_messages_are_in_the_pages_words(said: str, page: str) -> None:
    made = plain(said, Path("/tmp/s"))
    assert page in made
    assert not made.startswith("the page")
    assert not any(word in made for word in ("--", "pip install", "Python", "/tmp"))


def test_the_damages_are_named_without_options() -> None:
    assert all("--" not in damage(name) and len(damage(name)) <= 45 for name in tasks.names())


def test_what_ends_while_the_page_is_drawn_is_drawn_at_the_next_look(
    desk: Desk, two: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gradio")
    from pellucid.app.page import Page

    # Without its layout, which gradio needs a server for.
    page = object.__new__(Page)
    page._desk, draw, picture = desk, view.picture_view, two.pictures[0]

    def drawn(session: Session, desk: Desk | None = None) -> dict[str, Any]:
        made = draw(session, desk)
        picture.looked = True
        return made

    monkeypatch.setattr(view, "picture_view", drawn)
    picture.looked = False
    first, second = page._shown(two), page._shown(two)
    assert [one["state"] for one in first[0]["pictures"]] == ["looking", "ready"]
    assert first[-1].active
    assert [one["state"] for one in second[0]["pictures"]] == ["ready", "ready"]
    assert not second[-1].active


def test_a_job_that_ends_while_it_is_drawn_has_no_preview(
    desk: Desk, two: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = two.job = Job(lambda job: None)
    job.x0 = to_unit(torch.zeros(1, 3, 30, 20))

    def ends(_: Session) -> str:
        job.x0 = None
        return "b.png"

    monkeypatch.setattr(Session, "in_work", property(ends))
    two.look_at(two.pictures[1].id)
    assert view.picture_view(two)["preview"].startswith("data:image/jpeg")
    assert view.picture_view(two)["preview"] is None
