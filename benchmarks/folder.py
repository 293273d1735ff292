"""A folder's megapixels a second over the bare network's: `python -m benchmarks.folder --data FOLDER-OR-TAR`.

Photographs of mixed sizes with noise, as PNG and JPEG in turn, or with `--mixed` PNG with noise, PNG without and JPEG
of quality 75 in turn, are restored one by one and with overlapping work
(`jobs.overlap`), by turns. The ratio is the time inside the network, on the same tensors in the same calls, over the
time of all: in processor time, which counts all work on any core, and in wall time, which overlapping work can shorten
if a core is free.
"""

from __future__ import annotations

import argparse
import io
import math
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from pellucid.api import Restorer
from pellucid.jobs import Work, make_folders, overlap, plan
from pellucid.jobs.executors import InProcess
from pellucid.priors.prior import device_of, module_of

SHORTEST, LONGEST, NOISE = 128, 700, 15
_SEEN = (".jpg", ".jpeg", ".png")


def photographs(data: Path) -> Iterator[Image.Image]:
    """The photographs of a folder or a tar, the largest files first."""
    if data.is_dir():
        paths = (path for path in data.rglob("*") if path.suffix.lower() in _SEEN)
        for path in sorted(paths, key=lambda path: (-path.stat().st_size, path)):
            with Image.open(path) as image:
                yield image.convert("RGB")
        return
    with tarfile.open(data) as tar:
        members = (one for one in tar.getmembers() if one.isfile() and one.name.lower().endswith(_SEEN))
        for member in sorted(members, key=lambda one: (-one.size, one.name)):
            file = tar.extractfile(member)
            assert file is not None
            yield Image.open(io.BytesIO(file.read())).convert("RGB")


def prepare(data: Path, folder: Path, number: int, mixed: bool = False) -> None:
    """Writes photographs whose longer sides go evenly from 128 to 700 pixels, noisy or in three kinds."""
    folder.mkdir()
    sides = np.linspace(SHORTEST, LONGEST, number).round()
    for index, (image, side) in enumerate(zip(photographs(data), sides, strict=False)):
        scale = side / max(image.size)
        small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        noise = np.random.default_rng(index).normal(0, NOISE, (small.height, small.width, 3))
        noise *= not mixed or index % 3 == 0
        pixels = (np.asarray(small) + noise).clip(0, 255).astype(np.uint8)
        compressed = index % 3 == 2 if mixed else index % 2
        Image.fromarray(pixels).save(folder / f"{index:04}.{'jpg' if compressed else 'png'}", quality=75)


@dataclass
class Times:
    """Seconds inside the network and of all, in processor time and wall time; one of each for each round."""

    network: list[tuple[float, float]] = field(default_factory=list)
    whole: list[tuple[float, float]] = field(default_factory=list)


def both(network: bool = False) -> tuple[float, float]:
    """Processor time and wall time; inside a network of one thread only that thread's, for others work beside it."""
    cpu = time.thread_time() if network and torch.get_num_threads() == 1 else time.process_time()
    return cpu, time.perf_counter()


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Adds the time of each call to `spent`."""

    def call(*arguments: Any) -> Any:
        before = both(network=True)
        try:
            return function(*arguments)
        finally:
            for index, (start, end) in enumerate(zip(before, both(network=True), strict=True)):
                spent[index] += end - start

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or tar of photographs")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--mixed", action="store_true", help="noisy, undamaged and compressed photographs in turn")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--noise", type=float, help="for denoise with one call; default: estimated")
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--lanes",
        type=int,
        help="images in work at once, 1 for one by one alone; default: what a job takes, at least 2",
    )
    given = parser.parse_args()
    restorer = Restorer(given.method, given.prior, noise=given.noise)
    network = module_of(restorer.prior)
    assert network is not None
    spent = [0.0, 0.0]
    network.forward = timed(network.forward, spent)
    lanes = given.lanes or max(2, overlap.usual(device_of(restorer.prior)))
    ways = {"one by one": 1} | ({f"overlapping, {lanes} at once": lanes} if lanes > 1 else {})
    times, pixels = {way: Times() for way in ways}, 0
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "in"
        prepare(given.data, source, given.images, given.mixed)
        list(InProcess(1)(Work(restorer), plan([sorted(source.iterdir())[0]], Path(place) / "warm.png")))
        for turn in range(given.rounds):
            for way, number in ways.items():
                items = plan([source], Path(place) / f"{turn} {number}")
                make_folders(items)
                spent[:], pixels, before = [0.0, 0.0], 0, both()
                for outcome in InProcess(number)(Work(restorer), items):
                    assert outcome.error is None, outcome.error
                    pixels += math.prod(outcome.size or ())
                after = both()
                times[way].whole.append((after[0] - before[0], after[1] - before[1]))
                times[way].network.append((spent[0], spent[1]))
        first, *others = (
            {path.name: path.read_bytes() for path in folder.iterdir()}
            for folder in sorted(Path(place).iterdir())
            if folder.is_dir() and folder != source
        )
    same = "the same bytes" if all(other == first for other in others) else "NOT the same bytes"
    print(
        f"{len(items)} images, {pixels / 1e6:.2f} megapixels, {given.method}, {torch.get_num_threads()} threads: {same}"
    )
    print("| way | megapixels / s: folder | network | ratio, processor | ratio, wall |\n|---|---|---|---|---|")
    for way, own in times.items():
        speeds = [pixels / 1e6 / median(seconds[0] for seconds in each) for each in (own.whole, own.network)]
        ratios = [[n[i] / w[i] for n, w in zip(own.network, own.whole, strict=True)] for i in range(2)]
        cells = [f"{median(each):.2f} ({min(each):.2f} ... {max(each):.2f})" for each in ratios]
        print(f"| {way} | {speeds[0]:.3f} | {speeds[1]:.3f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
