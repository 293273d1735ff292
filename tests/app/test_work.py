from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pellucid import images
from pellucid.app.choices import Choices, variants
from pellucid.app.desk import Desk
from pellucid.app.queue import Job
from pellucid.app.session import Round, Session
from pellucid.app.work import Work, crop, left_alone, part
from pellucid.methods.method import State
from pellucid.methods.plan import KEPT, LEFT, UNCHANGED

Finish = Callable[[Session], None]


@pytest.fixture
def choices(tiny_prior: Path) -> Choices:
    return Choices(prior=str(tiny_prior), strength="20")


def test_progress_is_the_pixels_through_the_network(
    desk: Desk, session: Session, photo: Path, choices: Choices
) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    seen: list[tuple[int, int]] = []

    class Watched(Job):
        def advance(self, pixels: int) -> None:
            super().advance(pixels)
            seen.append((self.done, self.total))

    into = Round(variants(choices))
    job = Watched(Work(session.pictures, False, into, session.new_folder(), desk.restorers))
    job.run()
    restorer = desk.restorers.of(into.variants[0])
    assert job.state == "done", job.error
    assert {total for _, total in seen} == {restorer.work(40, 56)}
    assert len(seen) == restorer.nfe()
    assert seen[-1][0] == seen[-1][1]


def test_it_stops_at_the_very_next_evaluation(desk: Desk, session: Session, photo: Path, choices: Choices) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    calls = []

    class Impatient(Job):
        def advance(self, pixels: int) -> None:
            calls.append(pixels)
            self.stop()
            super().advance(pixels)

    into = Round(variants(choices))
    folder = session.new_folder()
    job = Impatient(Work(session.pictures, False, into, folder, desk.restorers))
    job.run()
    assert (job.state, len(calls)) == ("stopped", 1)
    assert not into.any
    assert list(folder.iterdir()) == []


def test_metadata_and_format_come_through(
    desk: Desk, session: Session, photo: Path, choices: Choices, finish: Finish
) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    desk.run(session, choices)
    finish(session)
    assert session.newest is not None
    (version,) = session.newest.outcomes["a.jpg"].versions
    assert version.path.name == "a-restored.jpg"
    assert images.read(version.path).metadata["dpi"] == images.read(photo).metadata["dpi"]
    assert "evaluations" in version.note


def test_one_that_fails_takes_none_of_the_others_with_it(
    desk: Desk, session: Session, photo: Path, choices: Choices, finish: Finish
) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    session.add({photo: "b.jpg"}, desk.limits)
    session.pictures[0].path.write_bytes(b"gone bad")
    desk.run(session, choices)
    finish(session)
    assert session.newest is not None
    bad, good = session.newest.outcomes["a.jpg"], session.newest.outcomes["b.jpg"]
    assert len(bad.errors) == 1
    assert bad.errors[0].startswith("a.jpg: ")
    assert str(session.folder) not in bad.errors[0]
    assert len(good.versions) == 1


def test_samples_differ_and_a_map_shows_where(
    desk: Desk, session: Session, photo: Path, choices: Choices, finish: Finish
) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    desk.run(session, replace(choices, strength="200", samples=2))
    finish(session)
    assert session.newest is not None
    outcome = session.newest.outcomes["a.jpg"]
    first, second = (images.read(version.path).colour.astype(float) for version in outcome.versions)
    assert outcome.spread is not None
    shown = images.read(outcome.spread.path).colour[..., 0]
    assert shown.shape == (40, 56)
    assert shown.max() == 255
    difference = np.abs(first - second).mean(2)
    assert np.corrcoef(difference.ravel(), shown.ravel())[0, 1] > 0.9


def test_what_excludes_each_other_fails_with_a_line(
    desk: Desk, session: Session, photo: Path, choices: Choices, finish: Finish
) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    desk.run(session, replace(choices, noise=0.1))
    finish(session)
    assert session.job is not None
    assert session.job.state == "failed"
    assert "noise" in str(session.job.error)


@pytest.mark.parametrize(
    ("size", "centre", "box"),
    [
        ((40, 56), (0.5, 0.5), (0, 0, 40, 56)),
        ((600, 700), (0.5, 0.5), (176, 224, 256, 256)),
        ((600, 700), (1, 1), (336, 432, 256, 256)),
        ((600, 100), (0, 0), (0, 0, 256, 100)),
    ],
)
def test_a_part_lies_within_the_picture_on_the_grid_of_jpeg(
    size: tuple[int, int], centre: tuple[float, float], box: tuple[int, int, int, int]
) -> None:
    assert part(size, centre) == box


def test_a_crop_keeps_what_the_file_says(photo: Path) -> None:
    whole = images.read(photo)
    cut = crop(whole, (8, 16, 20, 30))
    assert np.array_equal(cut.colour, whole.colour[8:28, 16:46])
    assert (cut.metadata, cut.jpeg) == (whole.metadata, whole.jpeg)


def test_a_part_is_of_the_first_page_alone(photo: Path) -> None:
    first = images.read(photo)
    assert crop(images.bound([first, first]), (8, 16, 20, 30)).more == ()


def test_all_pages_are_restored_and_count_as_work(
    desk: Desk, session: Session, tmp_path: Path, choices: Choices, finish: Finish
) -> None:
    pages = [images.from_array(np.full((size, 20, 3), 90, np.uint8)) for size in (10, 30)]
    images.write(images.bound(pages), tmp_path / "pages.tif")
    session.add({tmp_path / "pages.tif": "pages.tif"}, desk.limits)
    desk.run(session, choices)
    finish(session)
    assert session.newest is not None
    assert session.job is not None
    (version,) = session.newest.outcomes["pages.tif"].versions
    assert [page.colour.shape[0] for page in images.read(version.path).pages] == [10, 30]
    assert session.job.done == session.job.total


@pytest.mark.parametrize(
    ("note", "says"),
    [
        (LEFT, "nothing was found to repair"),
        (KEPT, "fidelity 1 changes nothing"),
        (f"{UNCHANGED}; dark: not changed", "what was found is repaired on request"),
        (f"its values end early; {UNCHANGED}; dark: not changed", "what was found is repaired on request"),
        (f"page 1: {LEFT}; page 2: {UNCHANGED}; dark: not changed", "what was found is repaired on request"),
        (f"a blur of 2 pixels does not explain the picture, {UNCHANGED}", "what was found cannot be repaired"),
        (f"page 1: white noise of 15 of 255 removed; page 2: {LEFT}", ""),
    ],
)
def test_a_picture_is_left_alone_if_no_page_changed(note: str, says: str) -> None:
    pages = [images.from_array(np.full((4, 5), value, np.uint8)) for value in (10, 20)]
    before, repaired = images.bound(pages), images.bound([images.from_array(pages[0].colour + 1), pages[1]])
    assert left_alone(before if says else repaired, before, note) == says
    assert left_alone(repaired, before, note) == ""


def test_latents_on_their_way_are_not_shown(
    desk: Desk, session: Session, photo: Path, choices: Choices, tiny_sd: Path, tiny_prior: Path
) -> None:
    session.add({photo: "a.jpg"}, desk.limits)
    seen = []

    class Watched(Job):
        def see(self, state: State) -> None:
            seen.append(state.x0.shape[1])

    for prior in (tiny_sd, tiny_prior):
        into = Round(variants(replace(choices, prior=str(prior), strength="10")))
        Watched(Work(session.pictures, False, into, session.new_folder(), desk.restorers)).run()
        assert into.outcomes["a.jpg"].errors == []
    assert set(seen) == {3}


def test_trying_a_part_leaves_the_whole_to_be_done(
    desk: Desk, session: Session, photo: Path, choices: Choices, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.app.work.PART", 16)
    session.add({photo: "a.jpg"}, desk.limits)
    mask = session.new_folder() / "mask.png"
    pixels = np.zeros((40, 56), np.uint8)
    pixels[20:24, 30:34] = 255
    images.write(images.from_array(pixels), mask)
    desk.try_part(session, Choices(prior=choices.prior, task="inpaint", mask=mask, settings=("steps=20",)), (0.5, 0.5))
    finish(session)
    assert session.newest is not None, session.job and session.job.error
    assert session.newest.part
    outcome = session.newest.outcomes["a.jpg"]
    assert outcome.before is not None
    assert images.size_of(outcome.versions[0].path) == images.size_of(outcome.before) == (16, 16)
