from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from pellucid.app.queue import Job, Queue, Stopped
from pellucid.methods.method import State

STATE = State(1, 2, 0.5, torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2), 1)


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue()
    yield queue
    queue.close()


class Gate:
    """Work that says when it has begun, and goes on step by step until it is let through."""

    def __init__(self) -> None:
        self.begun, self.through = threading.Event(), threading.Event()
        self.steps = 0

    def __call__(self, job: Job) -> None:
        self.begun.set()
        while not self.through.wait(0.001):
            job.advance(10)
            self.steps += 1


def test_one_job_at_a_time_in_the_order_they_came(queue: Queue) -> None:
    gates = [Gate() for _ in range(3)]
    jobs = [queue.add(Job(gate)) for gate in gates]
    assert gates[0].begun.wait(10)
    assert [queue.position(job) for job in jobs] == [0, 1, 2]
    assert [job.state for job in jobs] == ["running", "waiting", "waiting"]
    gates[0].through.set()
    assert gates[1].begun.wait(10)
    assert not gates[2].begun.is_set()
    assert [queue.position(job) for job in jobs] == [0, 0, 1]
    gates[1].through.set()
    gates[2].through.set()
    assert jobs[2].ended.wait(10)
    assert [job.state for job in jobs] == ["done"] * 3


def test_a_stopped_job_takes_no_further_step_and_the_next_begins(queue: Queue) -> None:
    gates = [Gate(), Gate()]
    first, second = (queue.add(Job(gate)) for gate in gates)
    assert gates[0].begun.wait(10)
    queue.stop(first)
    assert first.ended.wait(10)
    assert first.state == "stopped"
    with pytest.raises(Stopped):
        first.advance(1)
    with pytest.raises(Stopped):
        first.see(STATE)
    assert gates[1].begun.wait(10)
    gates[1].through.set()
    assert second.ended.wait(10)


def test_a_job_that_waits_is_stopped_at_once(queue: Queue) -> None:
    gates = [Gate(), Gate(), Gate()]
    jobs = [queue.add(Job(gate)) for gate in gates]
    assert gates[0].begun.wait(10)
    queue.stop(jobs[1])
    assert jobs[1].over
    assert jobs[1].state == "stopped"
    assert [queue.position(job) for job in jobs] == [0, 0, 1]
    for gate in gates:
        gate.through.set()
    assert jobs[2].ended.wait(10)
    assert not gates[1].begun.is_set()


def test_a_failure_is_one_line_and_the_next_job_is_done(queue: Queue) -> None:
    def fail(job: Job) -> None:
        raise RuntimeError("out of luck\nsecond line")

    bad, good = queue.add(Job(fail)), queue.add(Job(lambda job: job.see(STATE)))
    assert good.ended.wait(10)
    assert (bad.state, bad.error) == ("failed", "out of luck")
    assert (good.state, good.error) == ("done", None)
    assert good.x0 is None  # what is over keeps no pictures


def test_time_left_is_in_proportion_to_the_pixels() -> None:
    left: list[float | None] = []

    def work(job: Job) -> None:
        left.append(job.seconds_left)
        job.total = 40
        job.advance(10)
        left.append(job.seconds_left)
        job.advance(30)
        left.append(job.seconds_left)

    Job(work).run()
    assert left[0] is None
    assert left[1] is not None
    assert left[1] > 0
    assert left[2] == 0


def test_closing_stops_everything() -> None:
    queue = Queue()
    gates = [Gate(), Gate()]
    jobs = [queue.add(Job(gate)) for gate in gates]
    assert gates[0].begun.wait(10)
    queue.close()
    assert [job.state for job in jobs] == ["stopped"] * 2
