"""Old photographs: `python -m benchmarks.age FOLDER [--images N] [--crop N] [--fill]`.

Fading: PSNR, also with the best gain, before and after `--task unfade`. Enlargement: in how many pictures the factor is
found, by factor and filter. Scratches: how much of a simulated damage is marked, how much of the mask is damage (two
pixels more or less), and what is marked in pictures without. All without a prior, but for
what `--fill` does: PSNR of scratched pictures, with `--yes`, with the proposed mask as it is, with the true mask, and
of clean pictures with `--yes`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pellucid import methods
from pellucid.api import restore
from pellucid.bench.prior import middle, read_images
from pellucid.catalogue import tasks
from pellucid.degradations import faded, scratched
from pellucid.diagnosis import enlarged, exposure, scratches
from pellucid.images import from_pil, from_tensor, to_pil
from pellucid.maths.problem import to_model, to_unit
from pellucid.methods import Unfade
from pellucid.methods.unfade import levels
from pellucid.metrics import psnr
from pellucid.operators import Mask
from pellucid.priors import load_prior

_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
_FACTORS = (1.5, 2.0, 3.0, 4.0)
_SEEN = 0.06


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--fill", action="store_true", help="fill scratches, too, and nothing else")
    arguments = parser.parse_args()
    every = read_images(arguments.folder)
    names = list(every)[:: max(1, len(every) // arguments.images)][: arguments.images]
    pictures = [to_unit(middle(every[name], arguments.crop)) for name in names]
    if arguments.fill:
        _fill(pictures, arguments.prior)
        return
    _fading(pictures)
    for factor in _FACTORS:
        found = [sum(_finds(picture, factor, way) for picture in pictures) for way in _FILTERS]
        by_filter = ", ".join(f"{way.name.lower()} {count}" for way, count in zip(_FILTERS, found, strict=True))
        print(f"enlarged {factor:g} times, found of {len(pictures)}: {by_filter}")
    _scratches(pictures)


def _rounded(image: Tensor) -> Tensor:
    return (image * 255).round() / 255


def _gained(image: Tensor, truth: Tensor) -> float:
    """PSNR with the gain that is best for it."""
    return psnr(image * (image * truth).sum() / image.square().sum(), truth).item()


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _fading(pictures: Sequence[Tensor]) -> None:
    usual, rows = Unfade(), []
    for truth in pictures:
        y = _rounded(faded(truth))
        x = to_unit(levels(to_model(y), usual.black, usual.white, usual.balance, usual.gain))
        rows.append((psnr(y, truth).item(), psnr(x, truth).item(), _gained(y, truth), _gained(x, truth)))
    before, after, fitted, stretched = (_mean(column) for column in zip(*rows, strict=True))
    found = [light for truth in pictures if (light := exposure.estimate(to_model(faded(truth)))) and light.faded]
    print(f"faded: {before:.2f} -> {after:.2f} dB, with the best gain {fitted:.2f} -> {stretched:.2f}")
    print(f"  below the input {sum(b < a for a, b, *_ in rows)}, with the best gain {sum(b < a for *_, a, b in rows)}")
    worst = min(b - a for a, b, *_ in rows), min(b - a for *_, a, b in rows)
    print(f"  least gain {worst[0]:.2f}, with the best gain {worst[1]:.2f}; found in {len(found)} of {len(pictures)}")


def _finds(picture: Tensor, factor: float, way: Image.Resampling) -> bool:
    whole = to_pil(from_tensor(picture))
    small = whole.resize((round(whole.width / factor), round(whole.height / factor)), Image.Resampling.BICUBIC)
    found = enlarged.estimate(to_model(from_pil(small.resize(whole.size, way)).tensor()))
    return found is not None and found.factor == factor


def _scratches(pictures: Sequence[Tensor]) -> None:
    rows, sure = [], 0
    for number, truth in enumerate(pictures):
        y = _rounded(scratched(truth, seed=number))
        there = (y - truth).abs().amax(1)[0] > _SEEN
        near = F.max_pool2d(there.float()[None], 5, 1, 2)[0] > 0
        marked, falsely = scratches.propose(to_model(y)), scratches.propose(to_model(truth))
        hit = (marked & near).sum().item() / max(1, int(marked.sum()))
        share = (marked & there).sum().item() / int(there.sum())
        rows.append((share, hit, there.float().mean().item(), falsely.float().mean().item()))
        sure += scratches.measure(to_model(y)).sure
    part, right, damaged, wrong = (_mean(column) for column in zip(*rows, strict=True))
    print(f"scratched, {damaged:.1%} of the pixels: {part:.0%} of them marked, {right:.0%} of the mask is damage")
    print(f"  from {min(row[0] for row in rows):.0%} to {max(row[0] for row in rows):.0%}; clean pictures: {wrong:.1%}")
    print(f"  a finding in {sure} of {len(pictures)}")


def _fill(pictures: Sequence[Tensor], prior: str) -> None:
    loaded, task = load_prior(prior), tasks.find("scratches")
    method = methods.get(task.method, **task.settings)

    def filled(image: Tensor, marked: Tensor) -> Tensor:
        return restore(image, method, loaded, Mask(~marked), noise=0.0) if marked.any() else image

    for number, truth in enumerate(pictures):
        y = _rounded(scratched(truth, 4, seed=number))
        there = (y - truth).abs().amax(1)[0] > _SEEN / 3
        own, marked = scratches.propose(to_model(y), scratches.SURE), scratches.propose(to_model(y))
        results = (y, filled(y, own), filled(y, marked), filled(y, there))
        clean = scratches.propose(to_model(truth), scratches.SURE)
        left = f"{psnr(filled(truth, clean), truth):.1f}" if clean.any() else "as it was"
        print(
            "scratched {:.2f}, yes {:.2f}, proposed {:.2f}, true mask {:.2f}".format(
                *(psnr(x, truth) for x in results)
            ),
            end="",
        )
        print(f"; clean with --yes {left}", flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
