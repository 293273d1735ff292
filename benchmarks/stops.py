"""How near DIIP stops to its own best iterate: `python -m benchmarks.stops FOLDER [--images N] [--crop S]`.

White noise of 0.1, and a Gaussian blur of 2 pixels. Five DDIM steps, straight-through gradients, a rate of 0.01 and the
epsilon that goes with it: the preset "fast". Each image's line says, for each damage, the damaged image's PSNR, the
best iterate's and that of the one where `stop="auto"` stops, with their numbers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pellucid import degradations
from pellucid.bench.prior import read_images
from pellucid.methods import DIIP
from pellucid.methods.diip import Watch
from pellucid.metrics import psnr
from pellucid.noise import Streams
from pellucid.priors import Prior, load_prior
from pellucid.problem import Problem, to_model, to_unit

from .auto import middle

METHOD = DIIP(**DIIP.presets["fast"])
DAMAGES = {"noise": degradations.get("noise", sigma=0.1), "blur": degradations.get("blur", std=2.0)}


def run(y: Tensor, clean: Tensor, prior: Prior) -> tuple[list[float], int]:
    """PSNR of every iterate, and the number of the one that is stopped at, from 0."""
    watch, found = Watch(METHOD), []
    seen: list[Tensor] = []
    for state in replace(METHOD, stop="never").iterate(Problem(to_model(y)), prior, Streams.of(0, 1)):
        found.append(psnr(to_unit(state.x0).clamp(0, 1), clean).item())
        seen.append(state.x0[0])
        watch.see(seen[-1], state.curves["loss"][0], state.curves["laplacian"][0])
    return found, next(i for i, image in enumerate(seen) if image is watch.image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--crop", type=int, default=128, help="the middle of each, so many pixels wide and high")
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    prior = load_prior(arguments.prior)
    every = read_images(arguments.photographs)
    names = list(every)[:: max(1, len(every) // arguments.images)][: arguments.images]
    gaps: dict[str, list[float]] = {damage: [] for damage in DAMAGES}
    for seed, name in enumerate(names):
        clean = to_unit(middle(every[name], arguments.crop))
        line = f"{name:24}"
        for damage, apply in DAMAGES.items():
            y = apply(clean, seed)
            found, chosen = run(y, clean, prior)
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
