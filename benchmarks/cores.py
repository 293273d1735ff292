"""A folder on all cores over the bare network there: `python -m benchmarks.cores --data FOLDER-OR-TAR`.

Photographs as those of `benchmarks.folder --mixed` are restored in the ways that a job has, in wall time from the first
images on: by one process with all cores, by one whose network has one core while the other work goes on beside it, and
by a process for each core. The bare network makes the same calls, on as many pixels, in one process with all cores and
in a process for each core; the faster one counts.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, multiprocessing

from pellucid.api import Restorer
from pellucid.jobs import Work, executors, expected, make_folders, plan
from pellucid.jobs.executors import InProcess, Processes
from pellucid.jobs.executors.executor import Executor
from pellucid.priors.prior import device_of, module_of

from .folder import prepare

Shape = tuple[int, ...]


def paced(executor: Executor, first: int, restorer: Restorer, source: Path, target: Path) -> tuple[float, float]:
    """Seconds of a job after its first images, and megapixels of the others; from its start if these are none."""
    items = plan([source], target, overwrite=True)
    make_folders(items)
    start, pixels = time.perf_counter(), 0
    for done, outcome in enumerate(executor(Work(restorer), items), 1):
        assert outcome.error is None, outcome.error
        pixels += math.prod(outcome.size or ()) if done > first else 0
        start = time.perf_counter() if done == first else start
    return time.perf_counter() - start, pixels / 1e6


def calls_of(restorer: Restorer, source: Path, target: Path) -> tuple[list[Shape], float]:
    """Shapes of the calls of the network for a folder, and the folder's megapixels."""
    network: Any = module_of(restorer.prior)
    forward, shapes = network.forward, list[Shape]()

    def counted(x: Tensor, *others: Tensor) -> Tensor:
        shapes.append(tuple(x.shape))
        return forward(x, *others)  # type: ignore[no-any-return]

    network.forward = counted
    try:
        _, megapixels = paced(InProcess(1), 0, restorer, source, target)
    finally:
        network.forward = forward
    return shapes, megapixels


def bare(prior: str, shapes: Sequence[Shape], threads: int, begin: Any, spent: Any) -> None:
    """Makes the calls in a process of its own; puts their seconds into a queue, without the making of the images."""
    torch.set_num_threads(threads)
    restorer = Restorer("auto", prior)
    seconds, images = 0.0, {shape: torch.rand(shape) * 2 - 1 for shape in set(shapes)}
    with torch.no_grad():
        restorer.prior(images[shapes[0]], 0.1)
        begin.wait()
        for shape in shapes:
            before = time.perf_counter()
            restorer.prior(images[shape], 0.1)
            seconds += time.perf_counter() - before
    spent.put(seconds)


def bare_seconds(prior: str, shapes: Sequence[Shape], processes: int, threads: int) -> float:
    """Seconds of all calls, shared out among processes that begin together: those of the last one."""
    context = multiprocessing.get_context("spawn")
    begin, spent = context.Barrier(processes), context.Queue()
    ordered = sorted(shapes, key=math.prod, reverse=True)
    own = [(prior, ordered[number::processes], threads, begin, spent) for number in range(processes)]
    started = [context.Process(target=bare, args=arguments) for arguments in own]
    for process in started:
        process.start()
    seconds: list[float] = [spent.get() for _ in started]
    for process in started:
        process.join()
    return max(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or tar of photographs")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--prior", default="natural")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    restorer = Restorer("auto", given.prior)
    ways: dict[str, tuple[Executor, int, int]] = {
        f"one process, {cores} threads": (InProcess(1), cores, 1),
        f"one process, 1 thread, {cores} images at once": (InProcess(cores), 1, 1),
        f"{cores} processes, 1 thread each": (Processes(cores), cores, cores),
    }
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "in"
        prepare(given.data, source, given.images, mixed=True)
        items = plan([source], Path(place) / "out")
        work = sum(expected(item, restorer) for item in items)
        print(f"default: {executors.usual(work, len(items), device_of(restorer.prior))}", flush=True)
        shapes, whole = calls_of(restorer, source, Path(place) / "calls")
        print(f"{len(items)} images, {whole:.2f} megapixels, {len(shapes)} calls of the network")
        print("| way | megapixels / s | of the bare network's |\n|---|---|---|")
        speeds = []
        for processes, threads in ((1, cores), (cores, 1)):
            speeds.append(whole / bare_seconds(given.prior, shapes, processes, threads))
            print(f"| bare network, {processes} x {threads} threads | {speeds[-1]:.3f} | |", flush=True)
        for number, (way, (executor, threads, first)) in enumerate(ways.items()):
            torch.set_num_threads(threads)
            seconds, megapixels = paced(executor, first, restorer, source, Path(place) / str(number))
            speed = megapixels / seconds
            print(f"| {way} | {speed:.3f} | {speed / max(speeds):.2f} |", flush=True)


if __name__ == "__main__":
    main()
