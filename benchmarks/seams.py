"""Whether tiles show: `python -m benchmarks.seams [--width W] [--height H] [--steps N] [--tile T]`.

Restores a large photograph-like image in tiles and compares the gradient energy across the lines where tiles start and
end with that everywhere else, in the direction across those lines; prints the ratio, the wall time and the peak memory.
A seam is a step in intensity along a tile's border: it would raise the ratio above 1.
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
from pellucid.methods.method import last
from pellucid.noise import Streams
from pellucid.priors import load_prior
from pellucid.priors.tiled import OVERLAP, TILE, Tiled, fit
from pellucid.problem import Problem, to_model


def borders(tiled: Tiled, size: int) -> list[int]:
    """Positions p such that a tile starts or ends between pixels p - 1 and p."""
    spans = [span.pixels for span in tiled._spans(size)]
    return sorted({edge for span in spans for edge in (span.start, span.stop)} - {0, size})


def seam_ratio(image: Tensor, tiled: Tiled) -> float:
    """Gradient energy across the tiles' borders relative to everywhere else, worse of both directions."""
    ratios = []
    for axis in (-1, -2):
        at = borders(tiled, image.shape[axis])
        if not at:
            continue
        energy = image.diff(dim=axis).square().movedim(axis, 0).flatten(1).mean(1)  # energy[p - 1] lies across p
        across = torch.zeros(len(energy), dtype=torch.bool)
        across[torch.tensor(at) - 1] = True
        # Next to each border: the same content, off the border, so that only the border differs.
        near = torch.zeros_like(across)
        for p in at:
            near[max(p - 17, 0) : p + 16] = True
        ratios.append((energy[across].mean() / energy[near & ~across].mean()).item())
    return max(ratios, key=lambda r: abs(r - 1))


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
    ready = fit(prior, arguments.tile)
    method = methods.get("dreamclean", steps=arguments.steps)
    problem = Problem(to_model(scene(arguments.width, arguments.height, arguments.photographs)))
    start = time.perf_counter()
    state = last(method.iterate(problem, ready, Streams.of(0, 1)))
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert isinstance(ready.prior, Tiled)
    tiles, ratio = ready.tiles(arguments.height, arguments.width).number, seam_ratio(state.x, ready.prior)
    print(f"{arguments.width}x{arguments.height}, {tiles} tiles of {arguments.tile} sharing {OVERLAP}, NFE {state.nfe}")
    before = seam_ratio(problem.y, ready.prior)
    print(f"gradient energy across tile borders / beside them = {ratio:.4f} (damaged input: {before:.4f})")
    print(f"{took:.0f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
