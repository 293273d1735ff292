"""Photographs with real noise, before and after `auto`: `python -m benchmarks.real_noise FOLDER SHEET.jpg`.

Prints the finest grain of each one (`noise_level` of the mean of the channels, of 255) and what was found, and writes
one image of the middles of all pairs, the picture as it was on the left.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from PIL import Image

from pellucid import images
from pellucid.bench.prior import middle
from pellucid.diagnosis.estimate import noise_level
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto
from pellucid.methods.method import last
from pellucid.priors import Padded, load_prior

_COLUMNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--crop", type=int, default=160, help="side of the middles on the sheet, in pixels")
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    prior, method, pairs, halved = Padded(load_prior(arguments.prior)), Auto(), [], 0
    files = sorted(arguments.folder.glob("*.png"))
    print("| photograph | grain before | after | said |\n|---|---|---|---|")
    for number, path in enumerate(files):
        before = images.read(path).tensor(3)
        state = last(method.iterate(Problem(to_model(before)), prior, Streams([number])))
        after = to_unit(state.x)
        pairs.append(torch.cat([middle(one, arguments.crop) for one in (before, after)], 3))
        old, new = (255 * noise_level(one.mean(1, keepdim=True)) for one in (before, after))
        halved += new <= old / 2
        print(f"| {path.stem.replace('_', ' ')} | {old:.1f} | {new:.1f} | {state.notes[0]} |", flush=True)
    print(f"\nAt least halved in {halved} of {len(files)}.")
    rows = math.ceil(len(pairs) / _COLUMNS)
    pairs += [torch.ones_like(pairs[0])] * (rows * _COLUMNS - len(pairs))
    sheet = torch.cat([torch.cat(pairs[i * _COLUMNS : (i + 1) * _COLUMNS], 3) for i in range(rows)], 2)
    levels = (sheet[0].permute(1, 2, 0) * 255).round().to(torch.uint8)
    Image.fromarray(levels.numpy()).save(arguments.sheet, quality=88)


if __name__ == "__main__":
    main()
