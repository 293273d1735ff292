"""What commands take beside the network: `python -m benchmarks.startup [--rounds R]`.

Wall and processor time of `pellucid --help`, and of restoring a photograph of 256x256 by one evaluation's method less
the time within the network, each in processes of their own; medians.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pellucid

_RESTORE = """
import sys, time
from pellucid.priors.network import DenoisingUNet
forward, spent = DenoisingUNet.forward, [0.0, 0.0]
def timed(self, x, sigma):
    start = time.perf_counter(), time.process_time()
    made = forward(self, x, sigma)
    spent[0] += time.perf_counter() - start[0]
    spent[1] += time.process_time() - start[1]
    return made
DenoisingUNet.forward = timed
from pellucid.cli import main
try:
    main()
finally:
    print(*spent)
"""


def measured(code: str, *arguments: str) -> tuple[float, float]:
    """Wall and processor seconds of a Python process, less those that its last line says."""
    start, before = time.perf_counter(), os.times()
    said = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    inside = [float(value) for value in said.splitlines()[-1].split()] if code is _RESTORE else [0.0, 0.0]
    return wall - inside[0], cpu - inside[1]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    cat = str(Path(pellucid.__file__).parent / "assets" / "cat.png")
    run = "from pellucid.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "cat.png")
        commands = {
            "import torch": ("import torch",),
            "pellucid --help": (run, "--help"),
            "pellucid restore, 256x256, without the network": (_RESTORE, "restore", cat, "-o", target, "--overwrite"),
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, command in commands.items():
                took[name].append(measured(*command))
    print("| command | wall, s | processor, s |\n|---|---|---|")
    for name, times in took.items():
        wall, cpu = (median(part) for part in zip(*times, strict=True))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
