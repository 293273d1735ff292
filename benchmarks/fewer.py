"""Quality against evaluations: `python -m benchmarks.fewer FOLDER --lpips ALEXNET [--images N] [--crop S]`.

DreamClean as the paper has it, on fewer and fewer levels, and so its preset "fast", which has 18: with shared
evaluations and an inversion of second order. On other levels, corrections are as large in all.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from pellucid.bench.prior import middle, read_images
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import DreamClean
from pellucid.metrics import Lpips, psnr
from pellucid.priors import load_prior

from .auto import DAMAGES

STRENGTH = 300


def method(levels: int, preset: str | None = None) -> DreamClean:
    """DreamClean, or one of its presets, on so many levels."""
    own = DreamClean(STRENGTH, **(DreamClean.presets[preset] if preset else {}))
    gamma = 1 - (1 - own.gamma) ** (own.steps * STRENGTH / 1000 / levels)
    return replace(own, gamma=gamma, steps=levels * 1000 // STRENGTH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--lpips", type=Path, required=True, help="AlexNet's weights")
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--crop", type=int, default=128, help="the middle of each, so many pixels wide and high")
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    prior, lpips = load_prior(arguments.prior), Lpips(arguments.lpips)
    every = read_images(arguments.photographs)
    names = list(every)[:: max(1, len(every) // arguments.images)][: arguments.images]
    photographs = [to_unit(middle(every[name], arguments.crop)) for name in names]
    rows: list[tuple[str, DreamClean | None]] = [("damaged", None)]
    rows += [("paper's", method(levels)) for levels in (30, 16, 10)]
    rows += [("fast", method(levels, "fast")) for levels in (30, 18, 12, 6)]
    kinds = ("jpeg 10, 20, 40", "by 4, noise 0.05")
    damaged = {kind: [DAMAGES[kind](clean, seed) for seed, clean in enumerate(photographs)] for kind in kinds}
    print("| | NFE | " + " | ".join(f"{kind}: PSNR | LPIPS" for kind in kinds) + " |")
    print("|---|---|" + "---|---|" * len(kinds))
    for name, one in rows:
        cells = []
        for kind in kinds:
            pairs = [
                (y if one is None else to_unit(one(Problem(to_model(y)), prior)).clamp(0, 1), clean)
                for y, clean in zip(damaged[kind], photographs, strict=True)
            ]
            for measure, digits in ((psnr, 2), (lpips, 3)):
                cells.append(f"{sum(measure(x, clean).item() for x, clean in pairs) / len(pairs):.{digits}f}")
        print(f"| {name} | {0 if one is None else one.nfe(prior)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
