"""Time of an image in a batch over its time alone, on a CPU: `python -m benchmarks.batches [--size N ...]`.

The network itself is called: priors give it the images of a batch one by one on a CPU, since batches change last bits.
"""

from __future__ import annotations

import argparse
from functools import partial
from statistics import median

import torch
from torch import Tensor

from pellucid import load_prior

from .contenders import Network, image
from .measuring import CLOCKS, in_turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu where the machine is busy")
    given = parser.parse_args()
    network: Network = load_prior("natural", backend="torch", precision="float32").network  # type: ignore[attr-defined]
    most = max(given.batch)
    print(f"{torch.get_num_threads()} threads, {given.clock}, {given.rounds} rounds")
    print("| size | batch | time / alone, an image | farthest from alone |\n|---|---|---|---|", flush=True)
    for size in given.size:
        x = torch.cat([image(size) * (index + 1) / most for index in range(most)])
        alone = called(network, x, 1)
        ways = {batch: partial(called, network, x, batch) for batch in (1, *given.batch)}
        took = in_turn(ways, given.rounds, CLOCKS[given.clock])
        for batch in given.batch:
            ratios = [own / one for own, one in zip(took[batch], took[1], strict=True)]
            off = float((ways[batch]() - alone).abs().max())
            print(
                f"| {size}x{size} | {batch} | {median(ratios):.2f} ({min(ratios):.2f} ... {max(ratios):.2f}) | "
                f"{'the same bits' if off == 0 else f'{off:.0e}'} |",
                flush=True,
            )


@torch.no_grad()
def called(network: Network, x: Tensor, batch: int) -> Tensor:
    """The network's estimates, some images at a time."""
    return torch.cat([network(part, torch.full((len(part),), 0.3)) for part in x.split(batch)])


if __name__ == "__main__":
    main()
