"""Large images: time and memory for each megapixel: `python -m benchmarks.megapixels [--sizes 1 6 24] [--prior P]`.

Each size goes in tiles, in a process of its own, through two evaluations of a narrow random network, so that what
surrounds the network shows; or of a prior that is named. Time is processor time. Rounds go through all sizes, every
other one backwards; of the times, the median with the least and the most.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from statistics import median

import torch

from pellucid import load_prior
from pellucid.api import Restorer
from pellucid.maths.noise import linear_ladder
from pellucid.priors import Prior, VENetwork
from pellucid.priors.network import DenoisingUNet, UNetConfig

from .measuring import rise


def narrow() -> Prior:
    """A network that takes little time."""
    torch.manual_seed(0)
    network = DenoisingUNet(UNetConfig(patch=2, widths=(8, 16), blocks=(1, 1), embedding=8)).requires_grad_(False)
    return VENetwork(network, linear_ladder(), multiple=4)


def restore(megapixels: float, prior: Prior, tile: int | None) -> None:
    """Prints seconds, the share of pixels shown, and MiB, for each megapixel, image and all."""
    width = round(math.sqrt(1.5e6 * megapixels))
    image = torch.rand(1, 3, round(1e6 * megapixels / width), width)
    restorer = Restorer("dreamclean", prior, strength=10, corrections=0, tile=tile)  # up and down one level
    restorer.run(image[..., :64, :64])
    start = time.process_time()
    memory = rise(lambda: restorer.run(image))
    each = (time.process_time() - start) / megapixels
    height, width = image.shape[2:]
    print(each, restorer.tiles(height, width).pixels / image[0, 0].numel(), memory / megapixels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 2, 6, 12, 24])
    parser.add_argument("--prior", help="instead of the random network")
    parser.add_argument("--tile", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        restore(given.one, load_prior(given.prior) if given.prior else narrow(), given.tile)
        return
    took: dict[float, list[float]] = {size: [] for size in given.sizes}
    shown, memory = dict.fromkeys(took, 0.0), dict.fromkeys(took, 0.0)
    for round_ in range(given.rounds):
        for size in given.sizes[:: -1 if round_ % 2 else 1]:
            command = [sys.executable, "-m", "benchmarks.megapixels", *sys.argv[1:], "--one", str(size)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            each, shown[size], memory[size] = map(float, out.split())
            took[size].append(each)
    print("| megapixels | s / megapixel | shown | s / megapixel shown | MiB / megapixel |\n|---|---|---|---|---|")
    for size, times in took.items():
        each = median(times)
        spread = f"{each:.3f} ({min(times):.3f} ... {max(times):.3f})"
        print(f"| {size:g} | {spread} | {shown[size]:.2f} | {each / shown[size]:.3f} | {memory[size]:.0f} |")


if __name__ == "__main__":
    main()
