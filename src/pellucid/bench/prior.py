"""Measurements of a prior alone: the noise it removes, its samples, the time of a call."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import images
from ..diagnosis import estimate
from ..errors import PellucidError, UsageError
from ..maths.noise import Streams, derive_seed, karras_ladder, renoise
from ..maths.problem import to_model, to_unit
from ..metrics import psnr
from ..priors import load_prior
from ..priors.backends import computed_elsewhere
from ..priors.latent import latent_of
from ..priors.prior import Padded, Prior, device_of
from ..support.devices import find_device

LEVELS = (15, 25, 50, 100)
"""The noise levels of denoising papers, standard deviations in steps of 8 bits."""


def load(named: str, device: str | None = None, **options: Any) -> Prior:
    """Loads a prior of pixels to measure.

    Args:
        named: argument of `load_prior`.
        device: device to use; None for a GPU if there is one.
        options: of `load_prior`: label, offline, backend, precision.

    Raises:
        UsageError: unknown prior or impossible options, or a prior of latents, which does not suit these images.
        PellucidError: the prior cannot be loaded.
    """
    prior = load_prior(named, find_device(device), **options)
    if latent_of(prior) is not None:
        raise UsageError(f"{named}: is a prior of latents; what is measured here is one of pixels")
    return prior


def read_images(folder: Path, channels: int = 3) -> dict[str, Tensor]:
    """Reads all images of a folder.

    Args:
        folder: folder of the images; subfolders are ignored.
        channels: 3 for RGB, 1 for grey.

    Returns:
        Each image by file name, (1, channels, H, W) in [-1, 1].

    Raises:
        PellucidError: the folder is missing, has no image, or has a damaged one.
    """
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in images.SUFFIXES)
    except OSError as error:
        raise PellucidError(f"{folder}: cannot be read ({error.strerror or error})") from None
    if not paths:
        raise PellucidError(f"{folder}: there are no images")
    return {path.name: to_model(images.read(path).tensor(channels)) for path in paths}


def middle(image: Tensor, side: int | None) -> Tensor:
    """Cuts the middle of an image (..., H, W), at most so many pixels wide and high; all of it for None."""
    return image if side is None else estimate.middle(image, side)


def denoising(
    prior: Prior, photographs: Mapping[str, Tensor], levels: Sequence[int] = LEVELS, seed: int = 0
) -> dict[int, dict[str, float]]:
    """Measures the PSNR to which one call of the prior removes white Gaussian noise of known strength.

    Args:
        prior: the prior to measure; any `f(x, sigma) -> x0`.
        photographs: clean images by name, (1, C, H, W) in [-1, 1], of any size.
        levels: standard deviations of the noise, over 255.
        seed: of the noise; each image has its own, the same at all levels.

    Returns:
        For each level, the PSNR in dB of each image.
    """
    return {
        level: {
            name: psnr(denoised(prior, image, level, derive_seed(seed, name)), to_unit(image)).item()
            for name, image in photographs.items()
        }
        for level in levels
    }


def averages(table: Mapping[int, Mapping[str, float]]) -> dict[int, float]:
    """The mean over the images of `denoising`'s result, in dB, by level."""
    return {level: fmean(values.values()) for level, values in table.items()}


def denoised(prior: Prior, image: Tensor, level: int, seed: int) -> Tensor:
    """An image under noise of a level over 255, denoised by one call: (1, C, H, W) in [0, 1]."""
    sigma = 2 * level / 255
    with torch.no_grad():
        noisy = image + sigma * Streams.of(seed, 1).like(image)
        return to_unit(Padded(prior)(noisy.to(device_of(prior)), sigma)).cpu()


def dream(prior: Prior, count: int = 16, size: int = 128, steps: int = 50, seed: int = 0) -> Tensor:
    """Samples images from pure noise, with DDIM on EDM's ladder from sigma 80.

    Args:
        prior: the prior to sample from.
        count: number of images.
        size: their height and width.
        steps: evaluations of the prior for each.
        seed: image i has seed + i.

    Returns:
        (count, C, size, size), clamped to [-1, 1].
    """
    ladder = karras_ladder(steps, sigma_min=0.01).tolist()
    rng = Streams.of(seed, count)
    with torch.no_grad():
        x: Tensor = ladder[0] * rng.like(torch.empty(count, prior.channels, size, size, device=device_of(prior)))
        for sigma, sigma_next in pairwise(ladder):
            x = renoise(x, Padded(prior)(x, sigma), sigma, sigma_next)
    return x.clamp(-1, 1).cpu()


def sheet(samples: Tensor, columns: int = 4, gap: int = 4) -> Image.Image:
    """Arranges images (B, C, H, W) in [-1, 1] on one picture, left to right, then down."""
    count, channels, height, width = samples.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    page = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    pixels = ((samples + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    for index, pixel in enumerate(pixels):
        picture = Image.fromarray(pixel if channels == 3 else pixel[:, :, 0])
        row, column = divmod(index, columns)
        page.paste(picture, (column * (width + gap), row * (height + gap)))
    return page


@dataclass(frozen=True)
class Cost:
    """Cost of one call of a prior.

    Attributes:
        size: height and width of the image.
        gflop: floating-point operations, in 1e9, a multiplication and an addition counting as two.
        seconds: median time of three calls after a warm-up call.
        threads: number of processor threads.
    """

    size: int
    gflop: float
    seconds: float
    threads: int


def cost(prior: Prior, size: int = 256) -> Cost:
    """Measures one call at `size` x `size`, one image."""
    operations = gflop(prior, size)
    whole = Padded(prior)
    x = torch.zeros(1, prior.channels, size, size, device=device_of(prior))
    times = []
    with torch.no_grad():
        for _ in range(3):
            start = time.perf_counter()
            # Reading one number waits for devices that compute behind one's back.
            whole(x, 0.5)[0, 0, 0, 0].item()
            times.append(time.perf_counter() - start)
    return Cost(size, operations, median(times), torch.get_num_threads())


def gflop(prior: Prior, size: int = 256) -> float:
    """Counts the operations of one call at `size` x `size`, one image, in 1e9; on "meta" nothing is computed.

    For a prior of latents, the call is at the latents of such an image; the autoencoder is not counted.
    """
    from torch.utils.flop_counter import FlopCounterMode

    latent = latent_of(prior)
    sides = (size, size) if latent is None else latent.latent_size(size, size)
    x = torch.zeros(1, prior.channels, *sides, device=device_of(prior))
    # What torch does not compute is not seen; where there is a gradient, it computes the same network.
    gradient = computed_elsewhere(prior)
    with torch.set_grad_enabled(gradient), FlopCounterMode(display=False) as counter:
        Padded(prior)(x.requires_grad_(gradient), 0.5)
    return float(counter.get_total_flops() / 1e9)
