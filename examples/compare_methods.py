"""Compares ten methods on your own images, masked at random: `python examples/compare_methods.py photographs/`.

All methods get the same prior, measurement and seed. Printed are the mean PSNR and the evaluations of the prior.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import pellucid
from pellucid import images, methods
from pellucid.maths.noise import Streams
from pellucid.maths.problem import to_model, to_unit
from pellucid.metrics import psnr
from pellucid.operators import Mask

NAMES = ("ddrm", "ddnm", "diffpir", "dpir", "dreamclean-known", "red", "pigdm", "mmps", "repaint", "snips")
NOISE = 0.02  # in [0, 1] units


def main(folder: Path, prior: str = "natural", side: int = 128, fast: bool = False) -> dict[str, float]:
    """Prints and returns the mean PSNR of each method; `fast` takes few steps, to try the script out."""
    clean = []
    for path in sorted(folder.glob("*")):
        image = images.read(path).tensor()
        top, left = ((size - side) // 2 for size in image.shape[-2:])
        clean.append(to_model(image[..., top : top + side, left : left + side]))
    x = torch.cat(clean)
    mask = Mask.random(side, side, seed=0)
    loaded, rng = pellucid.load_prior(prior), Streams.of(1, len(x))
    measured = mask.A(x)
    y = measured + 2 * NOISE * rng.like(measured)  # noise in [-1, 1] units is twice as much
    results = {}
    for name in NAMES:
        method = methods.get(name)
        if fast:
            few = {"steps": 4, "iterations": 2, "levels": 4, "repeats": 1, "travel_length": 1, "travel_repeat": 1}
            fields = methods.describe(name)["hyper_parameters"]
            method = methods.get(name, **{key: value for key, value in few.items() if key in fields})
        restored = method(pellucid.Problem(y, mask, 2 * NOISE), loaded, seed=0)
        results[name] = psnr(to_unit(restored), to_unit(x)).mean().item()
        print(f"{name:18}{results[name]:7.2f} dB{method.nfe(loaded):6} NFE", flush=True)
    return results


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
