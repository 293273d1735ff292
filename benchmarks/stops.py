"""How near DIIP stops to its own best iterate: `python -m benchmarks.stops FOLDER [--images N] [--crop S]`.

White noise of 0.1, a Gaussian blur of 2 pixels, or compression again and again. Each image's line says, for each
damage, the damaged image's PSNR, the best iterate's and that of the one where `stop="auto"` stops, with their numbers;
a window after that it has stopped. With `--every N` each N-th iterate has a line, too.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pellucid import degradations
from pellucid.bench.prior import middle, read_images
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import DIIP
from pellucid.methods.diip import Watch
from pellucid.metrics import psnr
from pellucid.priors import Prior, load_prior

DAMAGES = {
    "noise": degradations.get("noise", sigma=0.1),
    "blur": degradations.get("blur", std=2.0),
    "jpeg": degradations.get("multiple-jpeg"),
}


def run(method: DIIP, y: Tensor, clean: Tensor, prior: Prior, every: int = 0) -> tuple[list[float], int]:
    """PSNR of every iterate, and the number of the one that is stopped at, from 0."""
    watch, found = Watch(method), []
    seen: list[Tensor] = []
    for state in replace(method, stop="never").iterate(Problem(to_model(y)), prior, Streams.of(0, 1)):
        found.append(psnr(to_unit(state.x0).clamp(0, 1), clean).item())
        seen.append(state.x0[0])
        curves = {name: values[0] for name, values in state.curves.items()}
        watch.see(seen[-1], curves["loss"], curves["laplacian"])
        if every and len(found) % every == 0:
            print(
                f"{len(found):6} {found[-1]:.2f} " + " ".join(f"{name} {value:.3g}" for name, value in curves.items())
            )
    return found, next(i for i, image in enumerate(seen) if image is watch.image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the photographs")
    parser.add_argument("--damages", nargs="+", choices=DAMAGES, default=["noise", "blur"])
    parser.add_argument("--preset", choices=["fast", "none"], default="fast")
    parser.add_argument("--seed", type=int, default=0, help="of the first image's damage")
    parser.add_argument("--every", type=int, default=0, metavar="N")
    parser.add_argument("--crop", type=int, default=128, help="the middle of each, so many pixels wide and high")
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    prior = load_prior(arguments.prior)
    every = read_images(arguments.photographs)
    names = arguments.only or list(every)[:: max(1, len(every) // arguments.images)][: arguments.images]
    method = DIIP(**DIIP.presets.get(arguments.preset, {}))
    gaps: dict[str, list[float]] = {damage: [] for damage in arguments.damages}
    for seed, name in enumerate(names, arguments.seed):
        clean = to_unit(middle(every[name], arguments.crop))
        line = f"{name:24}"
        for damage in arguments.damages:
            y = DAMAGES[damage](clean, seed)
            found, chosen = run(method, y, clean, prior, arguments.every)
            best = max(range(len(found)), key=found.__getitem__)
            gaps[damage].append(found[best] - found[chosen])
            line += f"  {damage} {psnr(y.clamp(0, 1), clean).item():.2f}, best {found[best]:.2f} ({best + 1})"
            line += f", stopped {found[chosen]:.2f} ({chosen + 1})"
        print(line, flush=True)
    for damage, values in gaps.items():
        mean, worst = torch.tensor(values).mean().item(), max(values)
        print(f"{damage}: stopped {mean:.2f} dB under the best on average, {worst:.2f} at worst, {len(values)} images")


if __name__ == "__main__":
    main()
