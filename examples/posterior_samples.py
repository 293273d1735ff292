"""Draws samples of the posterior and maps their spread: `python examples/posterior_samples.py small.png out/`.

The picture is taken for one that was reduced by 2. The script writes the samples, their mean and their standard
deviation, which is bright where the measurement says nothing and the prior decides.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import pellucid
from pellucid import images
from pellucid.operators import AveragePool


def main(source: Path, folder: Path, prior: str = "natural", samples: int = 8) -> torch.Tensor:
    """Writes the pictures and returns the standard deviation of each pixel, (1, C, H, W) in [0, 1] units."""
    folder.mkdir(parents=True, exist_ok=True)
    y = images.read(source).tensor()
    drawn = pellucid.restore(y, "ddrm", prior, AveragePool(2), 0.01, samples=samples)
    for number, one in enumerate(drawn, 1):
        images.write(images.from_tensor(one), folder / f"sample-{number}.png")
    stack = torch.cat(drawn)
    spread = stack.std(0, keepdim=True)
    images.write(images.from_tensor(stack.mean(0, keepdim=True)), folder / "mean.png")
    images.write(images.from_tensor((10 * spread).clamp(0, 1)), folder / "spread.png")  # ten times as bright
    return spread


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
