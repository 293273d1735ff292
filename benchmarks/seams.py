"""Whether tiles show: `python -m benchmarks.seams [--width W] [--height H] [--steps N] [--tile T]`.

Restores a large image twice, with tiles that start and end at different places, and compares the gradient energy
across the borders of the first run's tiles with that across the same lines of the second image, where no tile ends. A
seam is a step in intensity along a border: it would raise the ratio above 1. Prints the ratio, and the wall time and
peak memory of the first run.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pellucid import methods
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model
from pellucid.methods.method import last
from pellucid.priors import load_prior
from pellucid.priors.tiled import TILE, Tiled, fit


def borders(tiled: Tiled, size: int) -> list[int]:
    """Positions p such that a tile starts or ends between pixels p - 1 and p."""
    spans = [span.pixels for span in tiled._spans(size)]
    return sorted({edge for span in spans for edge in (span.start, span.stop)} - {0, size})


def seam_ratio(image: Tensor, tiled: Tiled, other: Tensor, elsewhere: Tiled) -> float:
    """Gradient energy across tile borders relative to the same lines of `other`, the direction that is farther from 1.

    Lines are compared with themselves, since they differ: the network's own grid, on which all tiles start, has more
    energy than the pixels between its lines in an image that was never cut, too.
    """
    ratios = []
    for axis in (-1, -2):
        size = image.shape[axis]
        lines = sorted(set(borders(tiled, size)) - set(borders(elsewhere, size)))
        if lines:
            ratios.append(energy(image, axis, lines) / energy(other, axis, lines))
    return max(ratios, key=lambda r: abs(r - 1))


def energy(image: Tensor, axis: int, lines: list[int]) -> float:
    """Mean squared step from pixel p - 1 to p, over the lines p."""
    return image.diff(dim=axis).index_select(axis, torch.tensor(lines) - 1).square().mean().item()


def scene(width: int, height: int, photographs: Path | None) -> Tensor:
    """A damaged image of this size, (1, 3, H, W) in [0, 1]: a photograph, enlarged, or a random field."""
    rng = torch.Generator().manual_seed(0)
    if photographs is not None:
        files = sorted(p for p in photographs.iterdir() if p.suffix.lower() in {".png", ".jpg", ".jpeg"})
        with Image.open(files[0]) as first:
            base = torch.from_numpy(np.array(first.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        clean = torch.nn.functional.interpolate(base, (height, width), mode="bicubic", antialias=True)
    else:
        # Amplitudes fall as 1 / frequency, as those of photographs do, and no place is like another by construction:
        # content with a grid of its own would have more or less energy where tiles happen to start.
        rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
        spectrum = torch.fft.rfft2(torch.randn(1, 3, height, width, generator=rng))
        field = torch.fft.irfft2(spectrum / (rows**2 + columns**2).sqrt().clamp_min(1 / 512), s=(height, width))
        clean = 0.5 + 0.2 * field / field.std()
    return (clean + 0.05 * torch.randn(clean.shape, generator=rng)).clamp(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--tile", type=int, default=TILE)
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--photographs", type=Path, help="take the first photograph of this folder as the scene")
    arguments = parser.parse_args()

    prior = load_prior(arguments.prior)
    method = methods.get("dreamclean", steps=arguments.steps)
    problem = Problem(to_model(scene(arguments.width, arguments.height, arguments.photographs)))

    def restore(tile: int) -> tuple[Tensor, Tiled]:
        ready = fit(prior, tile)
        assert isinstance(ready.prior, Tiled)
        return last(method.iterate(problem, ready, Streams.of(0, 1))).x, ready.prior

    start = time.perf_counter()
    image, tiled = restore(arguments.tile)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    number = tiled.tiles(arguments.height, arguments.width).number
    print(f"{arguments.width}x{arguments.height}, {number} tiles of {tiled.tile} sharing {tiled.overlap}, ", end="")
    print(f"NFE {method.nfe(prior)}, {took:.0f} s, peak memory {peak:.2f} GiB")
    other, elsewhere = restore(tiled.tile + 3 * tiled.multiple)
    ratio = seam_ratio(image, tiled, other, elsewhere)
    print(f"gradient energy across tile borders / across the same lines with tiles elsewhere = {ratio:.4f}")
    print(f"largest difference of the two images = {(image - other).abs().max().item() / 2:.5f} of the range")


if __name__ == "__main__":
    main()
