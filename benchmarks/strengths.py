"""DreamClean over a sweep of strengths: `python -m benchmarks.strengths FOLDER [--images N] [--set KEY=VALUE ...]`.

Damages the photographs of a folder, restores them at each strength and prints the mean PSNR (and LPIPS) and, in
brackets, the difference to the damaged input's. The damages: JPEG at quality 10, 20, 40 on grids shifted by 0, 3, 6;
reduction by 4 (averages), noise of 0.05 and enlargement (nearest); noise of 25/255.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pellucid import methods
from pellucid.api import Restorer
from pellucid.bench.prior import read_images
from pellucid.degradations import gaussian_noise, multiple_jpeg, reduce
from pellucid.maths.problem import to_unit
from pellucid.metrics import Lpips, psnr
from pellucid.priors import load_prior
from pellucid.support.settings import assignments, parse

DAMAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "jpeg": multiple_jpeg,
    "sr4": lambda clean: reduce(clean, 4, 0.05),
    "noise": lambda clean: gaussian_noise(clean, 25 / 255).clamp(0, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--strengths", type=float, nargs="+", default=[10, 30, 50, 100, 200, 300, 400])
    parser.add_argument("--damage", choices=DAMAGES, action="append")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--lpips", type=Path, help="AlexNet's weights, to print LPIPS and its gain, too")
    arguments = parser.parse_args()

    prior = load_prior(arguments.prior)
    settings = parse(methods.DreamClean, "dreamclean", assignments(arguments.set))
    every = list(read_images(arguments.photographs).values())
    clean = to_unit(torch.cat(every[:: max(1, len(every) // arguments.images)][: arguments.images]))
    lpips = None if arguments.lpips is None else Lpips(arguments.lpips)
    print(f"{len(clean)} photographs, {' '.join(arguments.set) or 'the defaults'}")
    print("| strength | " + " | ".join(f"{tau:g}" for tau in arguments.strengths) + " |")
    print("|---|" + "---|" * len(arguments.strengths))
    for name in arguments.damage or DAMAGES:
        damaged = DAMAGES[name](clean)
        measures: list[tuple[str, Callable[[Tensor, Tensor], Tensor]]] = [("PSNR", psnr)]
        if lpips is not None:
            measures.append(("LPIPS", lpips))
        before = [measure(damaged, clean).mean().item() for _, measure in measures]
        cells: list[list[str]] = [[] for _ in measures]
        for tau in arguments.strengths:
            restored = Restorer("dreamclean", prior, strength=tau, **settings).run(damaged).colours
            for (_, measure), row, start in zip(measures, cells, before, strict=True):
                after = measure(restored, clean).mean().item()
                row.append(f"{after:.3f} ({after - start:+.3f})")
        for (label, _), row, start in zip(measures, cells, before, strict=True):
            print(f"| {name}, {label} {start:.3f} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
