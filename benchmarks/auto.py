"""Strengths chosen without the answer against those chosen with it: `python -m benchmarks.auto FOLDER [--images N]`.

Five kinds of damage at two severities each, and none. Prints the mean PSNR of the damaged photographs, of one denoising
call, of DreamClean (three corrections that add no noise) at fixed strengths and at `strength="auto"`, and of
`method="auto"`; then how far auto is from the best fixed strength, chosen for each damage with the answer known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pellucid import degradations
from pellucid.bench.prior import middle, read_images
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto, Denoise, DreamClean, Method
from pellucid.metrics import psnr
from pellucid.priors import load_prior

Damage = Callable[[Tensor, int], Tensor]


def chain(*parts: tuple[str, dict[str, object]]) -> Damage:
    """One damage after the other, and 8 bits at the end."""

    def apply(image: Tensor, seed: int) -> Tensor:
        for name, settings in parts:
            image = degradations.get(name, **settings)(image, seed)
        return (image.clamp(0, 1) * 255).round() / 255

    return apply


DAMAGES: dict[str, Damage] = {
    "noise 0.05": chain(("noise", {"sigma": 0.05})),
    "noise 0.15": chain(("noise", {"sigma": 0.15})),
    "poisson 120": chain(("poisson", {"peak": 120.0})),
    "poisson 30": chain(("poisson", {"peak": 30.0})),
    "jpeg 40": chain(("jpeg", {"quality": 40})),
    "jpeg 10, 20, 40": chain(("multiple-jpeg", {})),
    "by 2": chain(("reduce", {"factor": 2})),
    "by 4, noise 0.05": chain(("reduce", {"factor": 4, "noise": 0.05})),
    "blur 1": chain(("blur", {"std": 1.0})),
    "blur 2, noise 0.02": chain(("blur", {"std": 2.0}), ("noise", {"sigma": 0.02})),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--crop", type=int, help="the middle of each, so many pixels wide and high")
    parser.add_argument("--strengths", type=int, nargs="+", default=[50, 100, 200, 300, 400])
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()

    prior = load_prior(arguments.prior)
    every = read_images(arguments.photographs)
    names = list(every)[:: max(1, len(every) // arguments.images)][: arguments.images]
    photographs = [to_unit(middle(every[name], arguments.crop)) for name in names]
    own = {"corrections": 3, "schedule": "none"}
    methods: dict[str, Method | None] = {"0": None, "denoise": Denoise()}
    methods |= {str(tau): DreamClean(tau, **own) for tau in arguments.strengths}  # type: ignore[arg-type]
    methods |= {"strength auto": DreamClean("auto", **own), "method auto": Auto()}  # type: ignore[arg-type]

    def score(image: Tensor, clean: Tensor, method: Method | None) -> float:
        y = to_model(image)
        return psnr(to_unit(y if method is None else method(Problem(y), prior)), clean).item()

    print(f"{len(photographs)} photographs, {' x '.join(map(str, photographs[0].shape[2:]))}, {arguments.prior}")
    print("| damage | " + " | ".join(methods) + " |\n|---|" + "---|" * len(methods))
    fixed = ["0", *map(str, arguments.strengths)]
    gaps: dict[str, list[float]] = {"best fixed": [], "300": [], "denoise or dreamclean": []}
    for damage, apply in DAMAGES.items():
        damaged = [apply(clean, seed) for seed, clean in enumerate(photographs)]
        means = {
            name: sum(score(y, clean, method) for y, clean in zip(damaged, photographs, strict=True)) / len(damaged)
            for name, method in methods.items()
        }
        print(f"| {damage} | " + " | ".join(f"{value:.2f}" for value in means.values()) + " |", flush=True)
        auto = means["strength auto"]
        gaps["best fixed"].append(auto - max(means[name] for name in fixed))
        gaps["300"].append(auto - means.get("300", torch.nan))
        gaps["denoise or dreamclean"].append(means["method auto"] - max(auto, means["denoise"]))
    for name, values in gaps.items():
        print(f"auto over {name}: {sum(values) / len(values):+.2f} dB on average, at worst {min(values):+.2f} dB")
    clean = [score(image, image, Auto()) for image in photographs]
    print(f"undamaged photographs come back at {min(clean):.1f} dB or better, {sum(clean) / len(clean):.1f} on average")


if __name__ == "__main__":
    main()
