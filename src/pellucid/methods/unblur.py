"""Unblur: the blur's family and size from the spectrum, then splitting on a canvas larger than the picture.

The kernel is one of a few numbers (`diagnosis.blur`), found without the prior. The picture's border is unknown, not
made up: the image that is solved for is larger than the picture by half a kernel on each side (`operators.window`).
A picture whose spectrum does not ask clearly for a blur comes back as it is, and so does one whose result, blurred
again, does not explain it.

References:
    Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021: the splitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diagnosis.blur import Blur, estimate
from ..estimate import noise_level
from ..noise import Streams
from ..operators.window import Window
from ..priors.prior import Counted, Prior
from ..problem import Problem
from .dpir import DataStep, geometric, turned
from .method import Method, State
from .onebyone import Run, left_alone, one_by_one

_LEAST = 0.5 / 127.5
"""Noise that is taken for granted: half a step of 8 bits, in [-1, 1] units."""


@dataclass(frozen=True)
class Unblur(Method):
    """Undoes a Gaussian, lens or straight motion blur that it finds by itself, or leaves the picture alone.

    Costs `steps` evaluations, none where there is no blur; deterministic.

    Attributes:
        steps: of the splitting.
        strength: level of the denoiser at first, in [0, 1] units.
        weight: what trades the measurement against the prior; see `DPIR`.
        inner: conjugate gradients a step.
        doubt: the most that the result, blurred again, may differ from the picture, over the noise; else left alone.
    """

    steps: int = 8
    strength: float = 49 / 255
    weight: float = 0.23
    inner: int = 8
    doubt: float = 3.0

    def __post_init__(self) -> None:
        self._require(self.steps >= 1, "steps", "at least 1")
        self._require(self.inner >= 1, "inner", "at least 1")
        for name in ("strength", "weight", "doubt"):
            self._require(getattr(self, name) > 0, name, "above 0")

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step, at most."""
        return self.steps

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; `notes` say which blur was found. `found` has the "kernel" of an image by itself."""
        self._require_blind(problem)
        yield from one_by_one(problem, rng, [self.choose(prior, one[None]) for one in problem.y])

    def choose(self, prior: Prior, y: Tensor) -> Run:
        """How to restore one image, (1, C, H, W)."""
        blur = estimate(y)
        if blur is None:
            return left_alone("no blur found: left alone", 0)
        return Run(lambda y, _: self.undo(blur, y, Counted(prior)), 0, f"{blur.text}: undone")

    def undo(self, blur: Blur, y: Tensor, prior: Counted) -> Iterator[State]:
        """The states of the splitting for one picture, (1, C, H, W); the last is the picture where it was in vain."""
        kernel = blur.shape.kernel()
        window = Window(kernel.to(y.device))
        found = {"kernel": kernel[None, None].to(y)}
        noise = max(noise_level(y), _LEAST)
        step, z = DataStep(window, y, self.inner), window.around(y)
        levels = geometric(max(2 * self.strength, noise), max(noise, 0.01), self.steps)
        for done, sigma in enumerate(levels, 1):
            x = step(z, self.weight * noise**2 / sigma**2)
            z = turned(prior, x, sigma, done - 1)
            if done < self.steps:
                yield State(done, self.steps, sigma, window.inside(x), window.inside(z), prior.nfe, found=found)
        left = (y - window.A(z)).square().mean().sqrt().item()
        result = window.inside(z) if left <= self.doubt * max(noise, 2 * _LEAST) else y
        yield State(self.steps, self.steps, 0.0, result, result, prior.nfe, found=found)
