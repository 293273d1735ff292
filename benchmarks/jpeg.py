"""Compressed photographs by `--task jpeg` and `auto`: `python -m benchmarks.jpeg FOLDER [--images N] [--lpips FILE]`.

Prints the mean and the least gain in PSNR over the decoded picture, and the mean rise of LPIPS where its weights are
given, which is worse. "From pixels" rows are told nothing, as of a JPEG that was saved as a PNG.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from pellucid.bench.prior import middle, read_images
from pellucid.degradations import multiple_jpeg
from pellucid.errors import PellucidError
from pellucid.images import from_pil
from pellucid.maths.problem import to_unit
from pellucid.metrics import Lpips, psnr
from pellucid.priors import load_prior
from pellucid.restoration.restorer import Restorer

_KNOWN = [(5, "4:2:0"), (10, "4:2:0"), (30, "4:2:0"), (60, "4:2:0"), (80, "4:2:0"), (90, "4:2:0"), (10, "4:4:4"),
          (30, "4:4:4")]  # fmt: skip


def saved(image: Tensor, quality: int, subsampling: str = "4:2:0") -> Image.Image:
    """An opened JPEG of an image, (1, 3, H, W) in [0, 1]."""
    file = io.BytesIO()
    pixels = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(file)


def tensor(image: Image.Image) -> Tensor:
    """What it decodes to."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


def noisy(image: Tensor, level: float) -> Tensor:
    """White noise of a level of 255."""
    return image + level / 255 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))


def text(side: int) -> Tensor:
    """Black on white."""
    page = Image.new("RGB", (side, side), "white")
    for line in range(side // 14):
        ImageDraw.Draw(page).text((4, 14 * line), "The quick brown fox jumps over", fill="black")
    return tensor(page)


def damaged(row: str, image: Tensor) -> Image.Image:
    """A picture of a row; those that are no files of JPEG tell nothing."""
    kind, *words = row.split()
    if kind == "JPEG":
        return saved(image, int(words[0]), words[1])
    if kind == "twice":
        return saved(tensor(saved(image, 30)), 80)
    if kind == "noise":
        return saved(noisy(image, float(words[0])), 92)
    decoded = multiple_jpeg(image) if kind == "three" else tensor(saved(image, int(words[-1])))
    return Image.fromarray((decoded[0] * 255).round().byte().permute(1, 2, 0).numpy())


ROWS = [
    *(f"JPEG {quality} {subsampling}" for quality, subsampling in _KNOWN), "twice 30 80", "three shifted",
    "from pixels 10", "from pixels 30", "from pixels 80", "noise 10 + 92", "noise 25 + 92",
]  # fmt: skip


def measured(restorer: Restorer, row: str, photographs: Sequence[Tensor], lpips: Lpips | None) -> str:
    """A line of the table."""
    gains, rises, refused = [], [], 0
    for image in photographs:
        picture = from_pil(damaged(row, image))
        try:
            restored = restorer.picture(picture, marked=False)[0].tensor()
        except PellucidError:
            restored, refused = picture.tensor(), refused + 1
        gains.append((psnr(restored, image) - psnr(picture.tensor(), image)).item())
        if lpips is not None:
            rises.append((lpips.one(restored, image) - lpips.one(picture.tensor(), image)).mean().item())
    rise = f"{np.mean(rises):+.4f}" if rises else ""
    return f"{np.mean(gains):+.2f} | {min(gains):+.2f} | {rise} | {refused} of {len(gains)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--lpips", type=Path, help="AlexNet's weights")
    parser.add_argument("--by", action="append", choices=["jpeg", "auto"])
    parser.add_argument("--fidelity", type=float, default=0.5)
    parser.add_argument("--row", action="append", choices=[*ROWS, "text"])
    arguments = parser.parse_args()
    lpips = Lpips(arguments.lpips) if arguments.lpips else None
    every = list(read_images(arguments.folder).values())
    photographs = [to_unit(middle(x, arguments.crop)) for x in every[:: -(-len(every) // arguments.images)]]
    prior = load_prior("natural")
    print("| row | by | mean gain | least gain | LPIPS | refused |\n|---|---|---|---|---|---|")
    for row in arguments.row or [*ROWS, "text"]:
        for by in arguments.by or ["jpeg", "auto"]:
            task = "jpeg" if by == "jpeg" else None
            restorer = Restorer(prior=prior, settings={"fidelity": arguments.fidelity}, task=task)
            own = [text(arguments.crop)] if row == "text" else photographs
            for name in ["JPEG 10 4:2:0", "JPEG 50 4:2:0", "JPEG 90 4:4:4"] if row == "text" else [row]:
                label = f"text, {name}" if row == "text" else row
                print(f"| {label} | {by} | {measured(restorer, name, own, lpips)} |", flush=True)


if __name__ == "__main__":
    main()
