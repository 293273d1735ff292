r"""Denoising: removal of noise and compression as in `auto`, or one call of the prior at a given level.

A JPEG's cells tell part of what noise hides, and its blocks look like noise, so its compression is undone, too. A
diffusion prior is a denoiser: `prior(y, sigma)` is the mean of the clean images given y = x + white noise of level
sigma (Tweedie's formula). For white noise of that level, no method has a smaller mean squared error than this call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .. import diagnosis, operators
from ..diagnosis import Diagnosis
from ..diagnosis.content import is_grey
from ..diagnosis.estimate import noise_seen
from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from . import descreen, jpeg, walk
from .measurement import tells
from .method import Method, State
from .onebyone import Run, each, one_by_one
from .plan import Maker, Plan


@dataclass(frozen=True)
class Denoise(Method):
    """Removes noise: white noise of a given level by one evaluation of the prior, or noise that it estimates.

    Costs one evaluation if the level is given, two for a grey picture. Otherwise it costs at most 10 to estimate the
    noise, of large images on a part, and at most 7 to remove it. Compression is undone first, which costs 7 more, or a
    print's dots are removed, which costs 5. An image without any of these stays unchanged.

    Attributes:
        boost: factor of the level: more than 1 smooths more than the noise.
    """

    takes_operator: ClassVar[bool] = True
    takes_noise: ClassVar[bool] = True
    takes_grey_noise: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = False
    diagnoses: ClassVar[bool] = True

    boost: float = 1.0

    def __post_init__(self) -> None:
        self.require(0 < self.boost <= 100, "boost", "above 0, at most 100")

    def nfe(self, prior: Prior) -> int:
        """Largest number of evaluations."""
        return diagnosis.CALLS + max(descreen.CALLS, jpeg.CALLS) + walk.CALLS if tells(prior) else _CALLS + 1

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the `notes` name the removed noise, or `curves` has the estimated "noise" in [-1, 1] units.

        Raises:
            UsageError: another operator than `Denoise`.
        """
        if problem.operator is not None and not isinstance(problem.operator, operators.Denoise):
            raise UsageError("Denoise removes noise and undoes no other degradation: leave the operator out")
        if problem.sigma_y is None and tells(prior):
            yield from one_by_one(problem, rng, each(problem, lambda _, y, known: self._run(prior, y, known)))
            return
        told = None if problem.sigma_y is None else self.boost * problem.sigma_y
        if told and prior.channels > 1 and tells(prior) and any(map(is_grey, problem.y.split(1))):
            runs = [_told(prior, y, told) for y in problem.y.split(1)]
            yield from (replace(state, notes=()) for state in one_by_one(problem, rng, runs))
            return
        counted = Counted(prior)
        if told is not None:
            x0 = counted(problem.y, told)
            yield State(1, 1, 0.0, x0, x0, counted.nfe)
            return
        level = noise_seen(counted, problem.y, _CALLS)
        x0 = counted(problem.y, self.boost * level)
        yield State(1, 1, 0.0, x0, x0, counted.nfe, {"noise": tuple(level.tolist())})

    def _run(self, prior: Prior, y: Tensor, known: Diagnosis) -> Run:
        counted = Counted(prior)
        found = diagnosis.noise_alone(counted, y, known, dots=True)
        plan = Plan.of(found, (jpeg.treatment, self._maker(descreen.treatment), self._maker(walk.treatment)))
        noisy = found.noise is not None or found.screen is not None
        plan = plan if noisy else replace(plan, advice=_ANYWAY)
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, plan.note)

    def _maker(self, maker: Maker) -> Maker:
        """Makes a treatment with this method's strength."""
        return lambda found, _: maker(found, self.boost)


def _told(prior: Prior, y: Tensor, sigma: float) -> Run:
    """Removes noise of a known level. In a grey picture it has the level of its axis: up to 7 dB were lost."""
    channels, grey = y.shape[1], is_grey(y)
    stage = walk.Denoising(walk.white(sigma, channels, grey), grey)
    return Run(lambda y, rng: stage.iterate(y, Counted(prior), rng), 0, "")


_ANYWAY = "to remove noise of 5 of 255 anyway: --noise 5/255"
_CALLS = 8
"""Number of evaluations to estimate the noise of latents."""
