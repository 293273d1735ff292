"""Photographs made smaller by others' filters, and enlarged: `python -m benchmarks.enlarge FOLDER [--images N]`.

Prints the mean gain in PSNR over PyTorch's bicubic enlargement of Pillow's Lanczos one and of `--task enlarge`, and the
least of the latter.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pellucid.bench.prior import middle, read_images
from pellucid.images import from_pil
from pellucid.maths.problem import to_unit
from pellucid.metrics import psnr
from pellucid.priors import load_prior
from pellucid.restoration import Recipe

_FILTERS = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
_SIDE = 128


def tensor(image: Image.Image) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return from_pil(image).tensor(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int)
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    prior = load_prior(arguments.prior)
    photographs = [to_unit(middle(image, _SIDE)) for image in read_images(arguments.folder).values()]
    print("| smaller by | Lanczos | enlarge, mean | least |\n|---|---|---|---|")
    for by in (2, 4):
        restorer = Recipe(task="enlarge", by=by).restorer(prior)
        for kind in _FILTERS:
            gains = []
            for truth in photographs[: arguments.images]:
                whole = Image.fromarray((truth[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
                small = whole.resize((_SIDE // by, _SIDE // by), kind)
                usual = psnr(F.interpolate(tensor(small), scale_factor=by, mode="bicubic").clamp(0, 1), truth).item()
                lanczos = tensor(small.resize(whole.size, Image.Resampling.LANCZOS))
                enlarged, _ = restorer.picture(from_pil(small), 0, marked=False)
                gains.append([psnr(one, truth).item() - usual for one in (lanczos, enlarged.tensor(3))])
            peer, own = ([gain[i] for gain in gains] for i in (0, 1))
            mean = [sum(one) / len(one) for one in (peer, own)]
            print(f"| {by}, {kind.name.lower()} | {mean[0]:+.2f} | {mean[1]:+.2f} | {min(own):+.2f} |", flush=True)


if __name__ == "__main__":
    main()
