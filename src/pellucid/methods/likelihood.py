r"""Latents beside the clean image: log q(x_t | x_0), and pictures of them (DreamClean, Figures 5, 6 and A2).

With x_t = sqrt(abar) x_0 + sqrt(1 - abar) n the density of a latent of N values, in nats a value, is

.. math:: \tfrac1N \log q(x_t | x_0) = -\tfrac12 \log\big(2 \pi (1 - \bar\alpha)\big)
    - \frac{\|x_t - \sqrt{\bar\alpha}\, x_0\|^2}{2 N (1 - \bar\alpha)}

and in this library's coordinates the last fraction is the squared distance to x_0 over 2 N sigma^2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ..maths.noise import abar_of
from .method import State

_SIDE = 256
"""Longest side of a picture of a latent, in pixels."""


class Levels(NamedTuple):
    """One noise level of a walk: sigma, the training step t, and densities by name, of the first image."""

    sigma: float
    t: int
    densities: dict[str, float]


def log_q(x: Tensor, truth: Tensor, sigma: float) -> float:
    """The density log q(x_t | x_0) / N in nats a value, see above.

    Args:
        x: a latent in variance-exploding coordinates.
        truth: the clean image, in [-1, 1], of its shape.
        sigma: the latent's noise level.
    """
    distance = (x - truth).double().square().mean().item()
    return -0.5 * math.log(2 * math.pi * _spread(sigma)) - distance / (2 * sigma**2)


def expected(sigma: float) -> float:
    """Expected density of a latent drawn from q itself: that of the clean image's latents."""
    return -0.5 * math.log(2 * math.pi * math.e * _spread(sigma))


def _spread(sigma: float) -> float:
    return 1 - abar_of(torch.tensor(sigma, dtype=torch.float64)).item()


class Beside:
    """Watches a walk's states beside the clean image.

    On the way up, latents belong to the damaged image. On the way down, each level has a latent before and one after
    Variance Preservation Sampling.

    Args:
        truth: the clean image, (1, C, H, W) in [-1, 1].
        sigmas: the prior's training ladder, (T,).

    Attributes:
        up: levels on the way up.
        down: levels on the way down.
    """

    def __init__(self, truth: Tensor, sigmas: Tensor) -> None:
        self._truth, self._sigmas = truth, sigmas
        self.up: list[Levels] = []
        self.down: list[Levels] = []
        self._pictures: list[list[Image.Image]] = []

    def see(self, state: State) -> None:
        """Takes in a state; keeps numbers and small pictures. Latents of another shape than the truth are skipped."""
        truth = self._truth.to(state.x)
        if state.x[:1].shape != truth.shape:
            return
        if state.corrected is None:
            # An image that comes with noise waits at its own level until the ladder has reached that.
            waits = "noise" in state.found and state.found["noise"][0].item() > state.sigma
            if state.sigma > 0 and not self.down and not waits:
                found = log_q(state.x[:1], truth, state.sigma)
                self.up.append(self._level(state.sigma, {"damaged": found}))
            return
        level, before, after = state.corrected
        sigma = float(level.flatten()[0]) if isinstance(level, Tensor) else level
        densities = {"before": log_q(before[:1], truth, sigma), "after": log_q(after[:1], truth, sigma)}
        self.down.append(self._level(sigma, densities))
        scale = 1 / math.sqrt(1 + sigma**2)
        self._pictures.append([_small(image[:1]) for image in (before * scale, after * scale, state.x0)])

    def _level(self, sigma: float, densities: dict[str, float]) -> Levels:
        return Levels(sigma, int((self._sigmas - sigma).abs().argmin()), {"clean": expected(sigma), **densities})

    def sheet(self, most: int = 5) -> Image.Image | None:
        """Latents of evenly spread levels, the highest above: before correction, after it, the estimate of x_0.

        Latents are shown as x_t, variance-preserving; each row has its t. None without a correction.
        """
        if not self._pictures:
            return None
        last = len(self._pictures) - 1
        chosen = sorted({round(last * i / max(most - 1, 1)) for i in range(most)})
        wide, high = (max(side, least) for side, least in zip(self._pictures[0][0].size, _CELL, strict=True))
        page = Image.new("RGB", (_LEFT + 3 * (wide + _GAP) - _GAP, _TOP + len(chosen) * (high + _GAP) - _GAP), "white")
        pen = ImageDraw.Draw(page)
        for column, head in enumerate(("before", "after", "x0")):
            pen.text((_LEFT + column * (wide + _GAP), 0), head, fill="black")
        for row, index in enumerate(chosen):
            top = _TOP + row * (high + _GAP)
            pen.text((0, top), f"t {self.down[index].t}", fill="black")
            for column, picture in enumerate(self._pictures[index]):
                page.paste(picture, (_LEFT + column * (wide + _GAP), top))
        return page


_GAP = 4
_LEFT, _TOP = 36, 14
"""Space for each row's t, and for the heads of the columns."""
_CELL = (40, 12)
"""Least size of a cell, of its head and its t, for images of a few pixels."""


def _small(image: Tensor) -> Image.Image:
    longest = max(image.shape[-2:])
    if longest > _SIDE:
        high, wide = (max(1, round(side * _SIDE / longest)) for side in image.shape[-2:])
        image = F.adaptive_avg_pool2d(image, (high, wide))
    pixels = ((image[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
