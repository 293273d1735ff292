"""Noise of many kinds, and pictures without any, through `auto`: `python -m benchmarks.noise FOLDER [--images N]`.

Prints the mean PSNR of the damaged photographs and of what comes back, the mean and the least gain, the share of them
in which noise was found, and the greatest number of evaluations. Undamaged rows say how near to the input it stays.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from pellucid.bench.prior import middle, read_images
from pellucid.degradations import compress, gaussian_blur
from pellucid.methods import Auto
from pellucid.methods.method import last
from pellucid.metrics import psnr
from pellucid.noise import Streams
from pellucid.operators.jpeg import LUMA
from pellucid.priors import load_prior
from pellucid.problem import Problem, to_model, to_unit

Damage = Callable[[Tensor, torch.Generator], Tensor]
GREY = torch.tensor(LUMA).view(1, 3, 1, 1)
_CHROMA = torch.tensor([[0.0, 1.402], [-0.344, -0.714], [1.772, 0.0]])


def white(level: float) -> Damage:
    """Of its own in each channel; level of 255, as everywhere here."""
    return lambda x, rng: x + level / 255 * torch.randn(x.shape, generator=rng)


def same(level: float) -> Damage:
    """One draw for all channels."""
    return lambda x, rng: x + level / 255 * torch.randn(x[:, :1].shape, generator=rng)


def correlated(x: Tensor, sigma: float, rng: torch.Generator) -> Tensor:
    """Gaussian noise of deviation 1, blurred by so many pixels."""
    height, width = x.shape[-2:]
    at = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
    spectrum = torch.fft.rfft2(torch.randn(x[:, :1].shape, generator=rng))
    field: Tensor = torch.fft.irfft2(spectrum * (-2 * (math.pi * sigma * at) ** 2).exp(), s=(height, width))
    return field.div(field.std())


def grain(sigma: float, level: float = 15) -> Damage:
    """In all channels alike."""
    return lambda x, rng: x + level / 255 * correlated(x, sigma, rng)


def enlarged(x: Tensor, rng: torch.Generator) -> Tensor:
    """Half the size, and twice that."""
    small = F.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True)
    return F.interpolate(small, scale_factor=2, mode="bicubic")


def chroma(x: Tensor, rng: torch.Generator) -> Tensor:
    """Blotches of 20 over two pixels in Cb and Cr, and grey noise of 5."""
    axes = torch.cat([correlated(x, 2.0, rng), correlated(x, 2.0, rng)], 1)
    return same(5)(x + 20 / 255 * torch.einsum("dc,bchw->bdhw", _CHROMA, axes), rng)


def poisson(x: Tensor, rng: torch.Generator) -> Tensor:
    """Variance 9 + I."""
    return x + (9 + 255 * x).sqrt() / 255 * torch.randn(x.shape, generator=rng)


def then_jpeg(damage: Damage, quality: int) -> Damage:
    """A damage, and compression after it."""
    return lambda x, rng: compress(damage(x, rng).clamp(0, 1), quality)


def clean(x: Tensor, rng: torch.Generator) -> Tensor:
    """No damage."""
    return x


ROWS: dict[str, tuple[bool, Damage]] = {
    "grey 10": (True, same(10)),
    "grey 25": (True, same(25)),
    "same in all channels 25": (False, same(25)),
    "colour 10 + JPEG 92": (False, then_jpeg(white(10), 92)),
    "colour 25 + JPEG 92": (False, then_jpeg(white(25), 92)),
    "grain 0.7 px": (False, grain(0.7)),
    "grain 1.2 px": (False, grain(1.2)),
    "chroma": (False, chroma),
    "Poisson-Gaussian": (False, poisson),
    "white 5": (False, white(5)),
    "white 10": (False, white(10)),
    "white 25": (False, white(25)),
    "white 50": (False, white(50)),
    "clean": (False, clean),
    "clean, grey": (True, clean),
    "grain 1.0 px, weak": (False, grain(1.0, 8)),
    "colour 5 + JPEG 92": (False, then_jpeg(white(5), 92)),
    "colour 20 + JPEG 70": (False, then_jpeg(white(20), 70)),
    "JPEG 92": (False, then_jpeg(clean, 92)),
    "JPEG 80": (False, then_jpeg(clean, 80)),
    "JPEG 60": (False, then_jpeg(clean, 60)),
    "JPEG 30": (False, then_jpeg(clean, 30)),
    "JPEG 10": (False, then_jpeg(clean, 10)),
    "JPEG 5": (False, then_jpeg(clean, 5)),
    "x2": (False, enlarged),
    "blur 1.2": (False, lambda x, rng: gaussian_blur(x, 1.2)),
}
"""Whether the photographs are made grey first, and the damage."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="one of the rows; may be said again")
    arguments = parser.parse_args()
    prior, method = load_prior(arguments.prior), Auto()
    photographs = list(read_images(arguments.folder).values())[: arguments.images]
    images = [to_unit(middle(x, arguments.crop)) for x in photographs]
    print("| row | damaged | restored | mean gain | least gain | found | NFE |\n|---|---|---|---|---|---|---|")
    for name in arguments.row or ROWS:
        grey, damage = ROWS[name]
        before, after, nfe, found = [], [], 0, 0
        for draw in range(arguments.draws):
            for number, image in enumerate(images):
                truth = ((image * GREY).sum(1, keepdim=True).expand_as(image) if grey else image).mul(255).round() / 255
                rng = torch.Generator().manual_seed(1000 * draw + number + 1)
                damaged = (damage(truth, rng).clamp(0, 1) * 255).round() / 255
                state = last(method.iterate(Problem(to_model(damaged)), prior, Streams([number])))
                restored = to_unit(state.x)
                before.append(min(psnr(damaged, truth).item(), 100.0))
                after.append(min(psnr(restored, truth).item(), 100.0))
                nfe, found = max(nfe, state.nfe), found + ("removed" in state.notes[0])
        gains = [now - then for now, then in zip(after, before, strict=True)]
        many = len(gains)
        print(
            f"| {name} | {sum(before) / many:.2f} | {sum(after) / many:.2f} | {sum(gains) / many:+.2f} | "
            f"{min(gains):+.2f} | {found} of {many} | {nfe} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
