"""How much faster several restorations of one picture are in one batch: `python -m benchmarks.samples [--number N]`.

By turns, in one run: `pellucid.restore(image, method, samples=N)`, which makes them in one batch, and N calls with the
seeds of the samples. Prints the seconds of each, medians over the rounds, and the median of the ratios.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch

from pellucid.maths.noise import derive_seed
from pellucid.restoration import Recipe

from .contenders import image
from .measuring import CLOCKS, in_turn

METHODS = {"dreamclean": {"strength": 100, "steps": 50}, "ddrm": {}, "auto": {}}
"""Methods and their settings: blind, told, and one that looks at the picture first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--number", type=int, default=16, help="of samples")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="cpu", help="wall where the machine is quiet")
    given = parser.parse_args()
    clean = (image(given.size) + 1) / 2
    noisy = (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    print(f"{given.number} samples of {given.size}x{given.size}, {torch.get_num_threads()} threads, {given.clock}")
    print("| method | one by one, s | in one batch, s | ratio |\n|---|---|---|---|")
    for name, settings in METHODS.items():
        told = name == "ddrm"
        recipe = Recipe(name, settings, task="denoise" if told else None, noise=0.1 if told else None)
        restorer = recipe.restorer()
        seeds = [derive_seed(0, sample=sample) for sample in range(given.number)]
        took = in_turn(
            {
                "alone": lambda: [restorer.run(noisy, seed) for seed in seeds],  # noqa: B023 - called at once
                "batch": lambda: restorer.samples(noisy, seeds),  # noqa: B023
            },
            given.rounds,
            CLOCKS[given.clock],
        )
        ratio = median(one / all_ for one, all_ in zip(took["alone"], took["batch"], strict=True))
        print(f"| {name} | {median(took['alone']):.2f} | {median(took['batch']):.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
