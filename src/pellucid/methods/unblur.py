"""Unblur: family and size of the blur from the spectrum, then splitting on a canvas larger than the picture.

The kernel has a few parameters (`diagnosis.kernels`), estimated without the prior. The picture's surroundings are
unknowns: the solution is larger than the picture by half a kernel on each side (`operators.window`). A picture without
a clear blur in its spectrum stays unchanged. So does a picture that differs from its result, blurred again.

References:
    Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021: the splitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diagnosis import Diagnosis, noise_alone
from ..diagnosis.blur import Blur, estimate
from ..diagnosis.content import Content
from ..diagnosis.content import estimate as content_of
from ..diagnosis.kernels import NONE
from ..diagnosis.noise import LEAST
from ..maths.noise import Streams, axis_level
from ..maths.problem import Problem
from ..operators.window import Window
from ..priors.prior import Counted, Padded, Prior
from . import walk
from .dpir import DataStep, geometric, turned
from .method import Method, State
from .onebyone import Run, each, firsts, left_alone, one_by_one
from .plan import Framing, Plan

_ROUNDED, _COMPRESSED = 0.3 / 127.5, 2 / 127.5
"""Assumed noise in [-1, 1] units: of 8 bits (0.29), and of a fine JPEG."""

_SHOWN = 0.8
"""Assumed part of the noise that the blur itself shows; a prior finds too little noise in what is soft and textured.

Training crops with a Gaussian, lens or motion blur and noise of 1.5 to 3 of 255, none of it found, gain 1.6 dB without
this in the mean of seven, and -1.9 at worst; 4.4 with a factor of 0.7 or 1, and 1.3 at worst. With noise of 1 a small
Gaussian gains 0.2 dB less with 1.
"""

_AXIS = axis_level(1.0, 3)
"""Noise on the axis of a grey picture over that of a channel.

18 grey training crops with a lens or Gaussian blur and noise of 1.5 of 255, which is not found, gain 4.5 dB with this
factor in the mean, and 1.9 at least; 1.4 and -4.9 without it; -2.3 and -11.6 with no noise assumed.
"""

_LEAST_LEFT = 2 / 127.5
"""Tolerance between a noiseless picture and its result, blurred again, over `doubt`; bright points leave 5/255."""

_LEFT = 0.5
"""Assumed level after the removal of noise that is not white, relative to its level.

On 8 blurred training crops, noise of 18 before JPEG 92 gains 2.6 dB, with none assumed -0.1, with three quarters 2.5,
with the removal alone 1.5. Chroma noise gains 3.6, 3.2, 3.5 and 2.9.
"""

_PART = 8
"""Side of the windows in which a result must explain the picture."""

CALLS = 8
"""Default number of evaluations of the splitting."""


@dataclass(frozen=True)
class Unblur(Method):
    """Undoes a Gaussian, lens or straight motion blur that it estimates itself, or leaves the picture alone.

    Costs `steps` evaluations, up to 10 to estimate the noise, and up to 7 to remove noise that is not white first; none
    without a blur.

    Attributes:
        steps: of the splitting.
        strength: first level of the denoiser, in [0, 1] units.
        weight: weight of the prior against the measurement; see `DPIR`.
        inner: conjugate gradients for a step.
        doubt: largest difference, relative to the noise, between the picture and its result, blurred again, in any 8x8
            window; above it the picture is left alone.
    """

    diagnoses: ClassVar[bool] = True

    steps: int = CALLS
    strength: float = 49 / 255
    weight: float = 0.23
    inner: int = 8
    doubt: float = 4.0

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(self.inner >= 1, "inner", "at least 1")
        for name in ("strength", "weight", "doubt"):
            self.require(getattr(self, name) > 0, name, "above 0")

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step, plus at most those for the noise."""
        from ..diagnosis import CALLS as LOOKS

        return LOOKS + walk.CALLS + self.steps

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; `notes` say which blur was found, `found` has each "kernel", a point where there is none."""
        self.require_blind(problem)
        images, first = problem.y.split(1), firsts(problem.y)
        kinds = {i: content_of(images[i]) for i in dict.fromkeys(first)}
        blurs = {i: _seen(images[i], kind) for i, kind in kinds.items()}
        shown = [blurs[i] for i in first]
        runs = each(problem, lambda i, y, known: self._run(prior, y, replace(known, content=kinds[first[i]]), shown[i]))
        shapes = [blur.shape if blur else NONE for blur in shown]
        kernels = _side_by_side([shape.kernel() for shape in shapes]).to(problem.y)
        for state in one_by_one(problem, rng, runs):
            yield replace(state, found={"kernel": kernels})

    def _run(self, prior: Prior, y: Tensor, known: Diagnosis, blur: Blur | None) -> Run:
        if blur is None:
            return left_alone("no blur found, left unchanged", 0)
        counted = Counted(prior)
        found = replace(noise_alone(counted, y, known), blur=blur)
        plan = Plan.of(found, (noise_treatment, lambda diagnosis, _: Unblurring.of(diagnosis, blur, self)))
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, plan.note)


def _seen(y: Tensor, content: Content) -> Blur | None:
    inside, kind = content.inside(y)
    return estimate(inside, kind.drawn)


@dataclass(frozen=True)
class Unblurring:
    """Undoes a diagnosed blur; see `plan.Treatment`.

    Attributes:
        blur: the finding.
        noise: standard deviation of the picture's noise on each colour axis, in [-1, 1] units: on the grey axis, equal
            noise of all channels adds up.
        grey: whether the picture is grey and must stay grey.
        how: the hyper-parameters.
    """

    frame: ClassVar[Framing] = "left out"

    blur: Blur
    noise: float
    grey: bool = False
    how: Unblur = Unblur()

    @classmethod
    def of(cls, diagnosis: Diagnosis, blur: Blur, how: Unblur, strength: float = 1.0) -> Unblurring:
        """Makes the treatment of a blur, with the diagnosed noise."""
        least = _COMPRESSED if blur.compressed else _ROUNDED
        grey = diagnosis.inner.grey
        # To a prior, noise of a grey picture has the level of its axis: with a channel's up to 4.7 dB were lost.
        if diagnosis.noise is not None:
            noise = diagnosis.noise.white or _LEFT * diagnosis.noise.level
        else:
            # Noise too weak to be found, or hidden by texture, is shown where the blur leaves nothing else.
            noise = _SHOWN * blur.noise * (_AXIS if grey else 1.0)
        return cls(blur, max(strength * noise, least), grey, how)

    @property
    def note(self) -> str:
        """Note on the blur."""
        noise = f" with noise of {self._seen * 127.5:.1f}" if self._seen >= LEAST else ""
        return f"{self.blur.text}{noise} undone"

    @property
    def nfe(self) -> int:
        """One evaluation a step."""
        return self.how.steps

    @property
    def _seen(self) -> float:
        """Standard deviation of the noise of a channel."""
        return self.noise / _AXIS if self.grey else self.noise

    @torch.no_grad()
    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`."""
        how, padded = self.how, Padded(prior)
        window = Window(self.blur.shape.kernel())
        step, z = DataStep(window, y, how.inner), window.around(y)
        levels = geometric(max(2 * how.strength, self.noise), max(self.noise, 0.01), how.steps)
        for done, sigma in enumerate(levels, 1):
            x = step(z, how.weight * self.noise**2 / sigma**2)
            z = turned(padded, x, sigma, done - 1)
            if done < how.steps:
                yield State(done, how.steps, sigma, window.inside(x), window.inside(z), prior.nfe)
        result, note, left = window.inside(z), self.note, _unexplained(y, window.A(z.clamp(-1, 1)))
        if left > how.doubt * max(self._seen, _LEAST_LEFT):
            result, note = y, f"{self.blur.text} does not explain the picture, left unchanged"
        elif self.grey:
            result = result.mean(1, keepdim=True).expand_as(result)
        yield State(how.steps, how.steps, 0.0, result, result, prior.nfe, notes=(note,))


def _unexplained(y: Tensor, again: Tensor) -> float:
    """Largest difference, root mean square over a small window, between a picture and its result, blurred again.

    A sharp caption, date or edge of a frame in a blurred picture makes the result swing all around, but its mean
    difference is small. A result that is darker than black or brighter than white explains nothing, either.
    """
    power = (y - again).square().mean(1, keepdim=True)
    side = min(_PART, *power.shape[-2:])
    return F.avg_pool2d(power, side, max(side // 2, 1)).amax().sqrt().item()


def _side_by_side(kernels: list[Tensor]) -> Tensor:
    """Kernels of odd sides as a batch, (B, 1, h, w); smaller ones are padded with zeros."""
    height, width = (max(kernel.shape[axis] for kernel in kernels) for axis in (0, 1))

    def framed(kernel: Tensor) -> Tensor:
        top, left = (height - kernel.shape[0]) // 2, (width - kernel.shape[1]) // 2
        return F.pad(kernel, (left, left, top, top))

    return torch.stack([framed(kernel) for kernel in kernels])[:, None]


def treatment(diagnosis: Diagnosis, strength: float) -> Unblurring | None:
    """Unblurring of a diagnosed blur; see `plan.Maker`. Other noise than white has been removed before."""
    return None if diagnosis.blur is None else Unblurring.of(diagnosis, diagnosis.blur, Unblur(), strength)


def noise_treatment(diagnosis: Diagnosis, strength: float) -> walk.Denoising | None:
    """Denoising, but white noise of a blurred picture is left to `treatment`, which loses less detail."""
    if diagnosis.blur is not None and diagnosis.noise is not None and diagnosis.noise.white:
        return None
    return walk.treatment(diagnosis, strength)
