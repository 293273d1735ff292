"""Laws of overlapping work: order, bounds, failures and interruption, by events and without time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid import images
from pellucid.api import Restorer
from pellucid.jobs import Feed, Item, Manifest, Work, make_folders, overlap, plan, run
from pellucid.jobs.executors import InProcess
from pellucid.jobs.overlap import Lane, overlapped
from pellucid.methods import Denoise, DreamClean
from pellucid.priors import GaussianPrior, Prior

Told = Callable[[Any, float], object]


class Counting(GaussianPrior):
    """Counts how many call it at once, and how often."""

    def __init__(self) -> None:
        super().__init__(torch.zeros(3, 1, 1), torch.tensor(0.3))
        self.lock, self.inside, self.most, self.calls = threading.Lock(), 0, 0, 0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        with self.lock:
            self.inside += 1
            self.calls += 1
            self.most = max(self.most, self.inside)
        try:
            return super().__call__(x, sigma)
        finally:
            with self.lock:
                self.inside -= 1


X = torch.ones(1, 3, 2, 2)


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(2, 4), st.integers(1, 80))
def test_order_bounds_and_one_call_at_a_time(sizes: list[int], number: int, room: int) -> None:
    prior, lock = Counting(), threading.Lock()
    held: dict[int, int] = {}
    reading, requested = [0], [0]
    most = {"items": 0, "before": 0}

    def items() -> Iterator[int]:
        for index in range(len(sizes)):
            with lock:
                assert reading[0] == 0  # the one before was read
                reading[0] += 1
                requested[0] += 1
                most["before"] = max(most["before"], sum(held.values()))
            yield index

    def work(index: int, prior: Prior, lane: Lane, tell: Told) -> int:
        with lock:
            reading[0] -= 1
            held[index] = sizes[index]
            most["items"] = max(most["items"], len(held))
            lane.has_read(sizes[index])
        for _ in range(index % 3):
            prior(X, 0.5)
            tell(index, 0.5)
        lane.begins_writing()
        with lock:
            del held[index]
        return index

    told: list[tuple[int, float]] = []
    results = list(overlapped(work, items(), prior, number, room=room, progress=lambda *one: told.append(one)))
    assert results == list(range(len(sizes)))
    assert prior.most <= 1
    assert most["items"] <= number
    assert most["before"] < room  # so there is never more than this and the largest one
    assert sorted(told) == sorted((index, 0.5) for index in results for _ in range(index % 3))


def test_another_is_read_and_written_while_the_network_computes_for_the_first() -> None:
    """The first waits inside the network for the end of the second, which therefore must not need to wait."""
    second_over = threading.Event()

    class Slow(GaussianPrior):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            assert second_over.wait(60)
            return super().__call__(x, sigma)

    def work(index: int, prior: Prior, lane: Lane, tell: Told) -> int:
        lane.has_read(1)
        if index == 0:
            prior(X, 0.5)
        else:
            lane.begins_writing()
            second_over.set()
        return index

    assert list(overlapped(work, [0, 1], Slow(torch.zeros(3, 1, 1), torch.tensor(0.3)), 2)) == [0, 1]


def test_the_earliest_goes_first_to_the_network() -> None:
    lanes, called = dict[int, Any](), list[float]()
    first_is_in = threading.Event()

    class Seen(GaussianPrior):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            called.append(float(sigma))
            if len(called) == 1:
                first_is_in.set()
                desk = lanes[0]._desk
                with desk.changed:
                    desk.changed.wait_for(lambda: len(desk.waiting) == 2)
            return super().__call__(x, sigma)

    def work(index: int, prior: Prior, lane: Lane, tell: Told) -> int:
        lanes[index] = lane
        lane.has_read(1)
        if index == 1:  # the later one comes to the gate before it
            desk = lanes[0]._desk
            with desk.changed:
                desk.changed.wait_for(lambda: 3 in desk.waiting)
        elif index == 2:
            assert first_is_in.wait(60)
        prior(X, index + 1.0)
        return index

    assert list(overlapped(work, range(3), Seen(torch.zeros(3, 1, 1), torch.tensor(0.3)), 3)) == [0, 1, 2]
    assert called == [1.0, 2.0, 3.0]


def test_what_runs_out_of_memory_beside_others_is_tried_alone() -> None:
    beside, lock, running = threading.Barrier(3), threading.Lock(), set[int]()
    seen: dict[int, set[int]] = {}

    def work(index: int, prior: Prior, lane: Lane, tell: Told) -> bool:
        with lock:
            running.add(index)
        lane.has_read(1)
        if index < 3:
            beside.wait(60)  # three are in work; the first and the last run out
        waited = False
        if index in (0, 2):
            with lock:
                running.discard(index)
            waited = lane.waits_for_others()
            with lock:
                running.add(index)
                seen[index] = set(running)
            assert not lane.waits_for_others()
        with lock:
            running.discard(index)
        return waited

    assert list(overlapped(work, range(5), Counting(), 3)) == [True, False, True, False, False]
    assert seen == {0: {0}, 2: {2}}


def test_an_interruption_keeps_what_was_written_and_leaves_out_the_rest() -> None:
    written, second_over = list[int](), threading.Event()

    def work(index: int, prior: Prior, lane: Lane, tell: Told) -> int:
        lane.has_read(1)
        if index == 0:
            assert second_over.wait(60)
            tell(0, 0.5)
            for _ in range(10**6):  # until it is given up
                prior(X, 0.5)
        lane.begins_writing()
        written.append(index)
        if index == 1:
            second_over.set()
        return index

    def interrupt(index: int, share: float) -> None:
        raise KeyboardInterrupt

    results = overlapped(work, [0, 1, 2], Counting(), 2, progress=interrupt)
    assert next(results) == 1
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert written == [1]


def test_what_is_closed_writes_nothing_more() -> None:
    written, prior = list[int](), Counting()

    def work(index: int, prior: Prior, lane: Lane, tell: Told) -> int:
        lane.has_read(1)
        for _ in range(10**6 * bool(index)):
            prior(X, 0.5)
        lane.begins_writing()
        written.append(index)
        return index

    results = overlapped(work, range(5), prior, 3)
    assert next(results) == 0
    results.close()
    assert written == [0]
    calls = prior.calls
    assert threading.active_count() == 1 or prior.calls == calls


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for index in range(7):
        pixels = np.random.default_rng(index).integers(0, 255, (6 + 5 * index % 17, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (folder / "3.png").write_bytes(b"broken")
    return folder


def planned(scans: Path, target: Path) -> list[Item]:
    items = plan([scans], target)
    make_folders(items)
    return items


@pytest.mark.parametrize("method", [Denoise(), DreamClean(strength=20)])
def test_a_folder_comes_out_as_one_by_one(scans: Path, tmp_path: Path, tiny_prior: Path, method: Any) -> None:
    restorer, said, shares = Restorer(method, tiny_prior), [], []
    threads: set[int] = set()
    for lanes in (1, 3):
        seen: dict[str, float] = {}

        def progress(item: Item, share: float, seen: dict[str, float] = seen) -> None:
            threads.add(threading.get_ident())
            seen[item.name] = seen.get(item.name, 0) + share

        outcomes = InProcess(lanes)(Work(restorer, 5), planned(scans, tmp_path / str(lanes)), progress)
        said.append([(o.item.name, o.nfe, o.seed, o.size, o.error, o.noise, o.note) for o in outcomes])
        shares.append(seen)
    assert said[0] == said[1]
    assert [name for name, *_, error, _, _ in said[0] if error] == ["3.png"]
    assert shares[0] == shares[1]
    assert threads == {threading.get_ident()}
    written = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "13"]
    assert written[0] == written[1]
    assert len(written[0]) == 6


def test_a_stopped_folder_goes_on_to_the_same_bytes(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    work = Work(Restorer(Denoise(), tiny_prior))
    list(InProcess(1)(work, planned(scans, tmp_path / "whole")))
    items, manifest = planned(scans, tmp_path / "out"), Manifest(tmp_path / "out")
    outcomes = manifest.record(items, lambda begun: InProcess(3)(work, begun), 0, "x")
    next(outcomes)
    outcomes.close()
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix == ".part"]
    again = Manifest(tmp_path / "out")
    left = again.left(plan([scans], tmp_path / "out", owned=again.owns), 0, "x")
    assert len(left) == 6
    rest = list(again.record(left, lambda begun: InProcess(3)(work, begun), 0, "x"))
    assert [o.item.name for o in rest if o.error] == ["3.png"]
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_full_disk_stops_the_job(scans: Path, tmp_path: Path, tiny_prior: Path, monkeypatch: Any) -> None:
    (scans / "3.png").unlink()
    write = images.write

    def full(picture: images.Picture, path: Path, **options: Any) -> None:
        if path.name >= "2.png":
            raise OSError(28, "No space left on device")
        write(picture, path, **options)

    monkeypatch.setattr(images, "write", full)
    feed, outcomes = Feed(planned(scans, tmp_path / "out")), []
    for outcome in run(feed, Restorer(Denoise(), tiny_prior), lanes=3):
        feed.heed(outcome)
        outcomes.append(outcome)
    assert [o.stops for o in outcomes][:3] == [False, False, True]
    assert all(o.stops for o in outcomes[3:])
    assert len(outcomes) <= 5  # those in work at once, but none after them
    assert feed.stopped == "nothing more can be written"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"0.png", "1.png"}


def test_gradients_through_the_network_are_not_overlapped(
    scans: Path, tmp_path: Path, tiny_prior: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys.modules["pellucid.jobs.run"], "overlapped", None)
    monkeypatch.setattr(DreamClean, "through_network", True)
    outcomes = list(run(planned(scans, tmp_path / "out"), Restorer(DreamClean(strength=2), tiny_prior), lanes=3))
    assert len(outcomes) == 7


@pytest.mark.parametrize(
    ("cores", "threads", "device", "expected"),
    [(2, 2, "cpu", 1), (2, 1, "cpu", 2), (16, 1, "cpu", 4), (4, 8, "cpu", 1), (16, 16, "cuda", 2), (16, 8, "cuda", 3)],
)
def test_as_many_at_once_as_there_are_free_cores(
    monkeypatch: Any, cores: int, threads: int, device: str, expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(cores), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert overlap.usual(torch.device(device)) == expected
