"""Diagnosis of large JPEG photographs: `python -m benchmarks.large FOLDER [--megapixels N] [--noise N]`.

Mosaics of a folder's photographs are saved as JPEGs, with and without noise before. Each is read and diagnosed in a
process of its own, once: processor seconds of reading, of the diagnosis and, of these, of the network; its
evaluations; the peak of memory; and the findings.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from .measuring import rise, seconds
from .photograph import SIZES, mosaic


def diagnosed(file: Path) -> None:
    """Prints a row for a file."""
    from pellucid import images, load_prior
    from pellucid.diagnosis.diagnose import of_picture
    from pellucid.priors import Counted, fit
    from pellucid.priors.prior import module_of

    prior = Counted(fit(load_prior("natural", precision="float32")))
    network, inside = module_of(prior), [0.0]
    assert network is not None
    forward = network.forward

    def timed(*arguments: object) -> object:
        start = time.process_time()
        try:
            return forward(*arguments)
        finally:
            inside[0] += time.process_time() - start

    network.forward = timed
    took: list[float] = []

    def work() -> None:
        pictures: list[images.Picture] = []
        took.append(seconds(lambda: pictures.append(images.read(file)), time.process_time))
        took.append(seconds(lambda: said.extend(of_picture(prior, pictures[0]).findings), time.process_time))

    said: list[object] = []
    peak = rise(work)
    found = "; ".join(getattr(finding, "text", "") for finding in said) or "nothing"
    print(f"{took[0]:.1f} | {took[1]:.1f} | {inside[0]:.1f} | {prior.nfe} | {peak:.0f} | {found} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("--megapixels", type=int, choices=SIZES, default=12)
    parser.add_argument("--noise", type=float, default=8)
    parser.add_argument("--quality", type=int, default=90)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        diagnosed(given.folder)
        return
    print("| picture | reading, s | diagnosis, s | its network, s | NFE | MiB | found |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for noise in (0.0, given.noise):
            clean = mosaic(given.folder, *SIZES[given.megapixels])
            drawn = np.random.default_rng(0).normal(0, noise, (clean.height, clean.width, 3))
            pixels = (np.asarray(clean, np.float32) + drawn).round().clip(0, 255).astype(np.uint8)
            file = Path(place) / "large.jpg"
            Image.fromarray(pixels).save(file, quality=given.quality)
            row = subprocess.run(
                [sys.executable, "-m", "benchmarks.large", str(file), "--one"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            print(f"| {given.megapixels} megapixels, noise {noise:g} | {row.strip()}", flush=True)


if __name__ == "__main__":
    main()
