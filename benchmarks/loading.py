"""What loading a checkpoint costs: `python -m benchmarks.loading [--width 256] [--folder]`.

Writes random weights of guided-diffusion's 256 x 256 network, 2,211 MB at the default width, and loads them in a
process of its own that has computed before. Printed are the time of reading the file's bytes, the time of `load_prior`,
and by how much the peak of memory rose by then and by an evaluation at 64 x 64, all against the file's size.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pellucid import load_prior
from pellucid.priors.convert import convert
from pellucid.priors.guided import GuidedConfig, GuidedUNet


def write(place: Path, width: int) -> None:
    """A checkpoint of random weights."""
    with torch.device("meta"):
        network = GuidedUNet(GuidedConfig(width, tuple(width * n for n in (1, 1, 2, 2, 4, 4)), 2, (3, 4, 5)))
    random = torch.Generator().manual_seed(0)
    torch.save(
        {k: 0.02 * torch.randn(w.shape, generator=random) for k, w in network.state_dict().items()}, place / "model.pt"
    )


def to_folder(place: Path, width: int) -> None:
    """The same as a folder."""
    convert(place / "model.pt", place / "model")


def peak() -> float:
    """Of this process's memory, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(place: Path, width: int) -> None:
    path = place / "model" if (place / "model").exists() else place / "model.pt"
    load_prior("natural")(torch.zeros(1, 3, 64, 64), 1.0)
    whole = path if path.is_file() else next(path.glob("*.safetensors"))
    size = whole.stat().st_size / 1e6
    start = time.perf_counter()
    with whole.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass
    read = time.perf_counter() - start
    before, start = peak(), time.perf_counter()
    prior = load_prior(path)
    load, loaded = time.perf_counter() - start, peak() - before
    with torch.no_grad():
        prior(torch.zeros(1, 3, 64, 64), 1.0)
    print(
        f"{size:.0f} MB: read in {read:.2f} s, loaded in {load:.2f} s; peak {loaded:.0f} MB ({loaded / size:.2f} of "
        f"it), with an evaluation {peak() - before:.0f} MB ({(peak() - before) / size:.2f} of it)"
    )


STEPS: dict[str, Callable[[Path, int], None]] = {"write": write, "convert": to_folder, "measure": measure}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--folder", action="store_true", help="convert the checkpoint, and load the folder")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        STEPS[arguments.step](arguments.place, arguments.width)
        return
    with tempfile.TemporaryDirectory() as place:
        for step in ("write", *(["convert"] if arguments.folder else []), "measure"):
            # A process passes the peak of its memory on to those it starts: each step has one of its own.
            command = [sys.executable, "-m", "benchmarks.loading", *sys.argv[1:], "--place", place, "--step", step]
            subprocess.run(command, check=True)
            # Else the system still writes while the next is measured.
            os.sync()


if __name__ == "__main__":
    main()
