"""What gradients through the prior cost in memory: `python -m benchmarks.memory [--size 256]`.

Each method runs a few steps in a process of its own; printed is by how much its memory's peak rises above what weights
and libraries take, which an image of 32x32 has made it load before.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import islice

import torch

from pellucid import load_prior
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import DIIP, DPS
from pellucid.operators import AveragePool
from pellucid.priors import Checkpointed, Prior


def evaluation(prior: Prior, size: int) -> None:
    """One evaluation without gradients."""
    with torch.no_grad():
        prior(torch.zeros(1, 3, size, size), 1.0)


def dps(prior: Prior, size: int) -> None:
    """Three steps of super-resolution."""
    problem = Problem(torch.zeros(1, 3, size // 4, size // 4), AveragePool(4), 0.1)
    for _ in islice(DPS().iterate(problem, prior, Streams.of(0, 1)), 3):
        pass


def diip(prior: Prior, size: int, steps: int) -> None:
    """Two iterations of this many DDIM steps."""
    method = DIIP(steps=steps, iterations=2, stop="never", gradient="exact")
    method(Problem(torch.zeros(1, 3, size, size)), prior)


RUNS: dict[str, Callable[[Prior, int], None]] = {
    "network alone": evaluation,
    "DPS": dps,
    "DPS, checkpointed by block": lambda prior, size: dps(Checkpointed(prior, "block"), size),
    "DIIP, 2 DDIM steps": partial(diip, steps=2),
    "DIIP, 10 DDIM steps": partial(diip, steps=10),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        prior = load_prior(arguments.prior)
        RUNS[arguments.run](prior, 32)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        RUNS[arguments.run](prior, arguments.size)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
        return
    for name in RUNS:
        command = [sys.executable, "-m", "benchmarks.memory", "--run", name, *sys.argv[1:]]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"{name:32}{float(said.stdout):8.0f} MiB")


if __name__ == "__main__":
    main()
