"""How much faster a folder is restored by one process for each core than by one process with all of them.

    python -m benchmarks.throughput

restores 64 images of 256x256 with the embedded prior, by turns in the one and the other way, and prints the seconds
of each turn and the ratio of the medians. The clock starts with the first images: what it takes to start processes is
printed apart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid.api import Restorer
from pellucid.jobs import Work, executors
from pellucid.jobs.executors.trial import pace


def images(folder: Path, number: int, size: int) -> None:
    """Smooth pictures with noise, each another one."""
    folder.mkdir()
    for index in range(number):
        rng = np.random.default_rng(index)
        coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse) + rng.normal(0, 15, (size, size, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{index:03}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--method", default="denoise")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    ways: dict[str, int | None] = {"this": None, "processes": arguments.workers}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        images(source, arguments.images, arguments.size)
        work = Work(Restorer(arguments.method))
        for turn in range(arguments.turns):
            for name, workers in ways.items():
                # The first of several processes' images come together: the clock starts with the last of these.
                executor = executors.find(name, workers)
                begun, rest = pace(executor, workers or 1, work, source, Path(folder) / name)
                whole = rest * arguments.images
                taken[name].append(whole)
                print(
                    f"turn {turn + 1}, {name}: {whole:.1f} s for {arguments.images} images, first after {begun:.1f} s"
                )
        same = all(
            path.read_bytes() == (Path(folder) / "processes" / path.name).read_bytes()
            for path in (Path(folder) / "this").glob("*.png")
        )
    this, processes = (statistics.median(taken[name]) for name in ways)
    ways_named = f"{arguments.workers} processes over one with {torch.get_num_threads()} threads"
    print(f"{ways_named}: {this / processes:.2f} times as fast")
    print("the same bytes" if same else "NOT the same bytes")


if __name__ == "__main__":
    main()
