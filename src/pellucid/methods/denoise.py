r"""Denoising: noise removal as in `auto`, or one call of the prior at a given level.

A diffusion prior is a denoiser: `prior(y, sigma)` is the mean of the clean images given y = x + white noise of level
sigma (Tweedie's formula). For white noise of that level, no method has a smaller mean squared error than this call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .. import diagnosis, operators
from ..diagnosis.estimate import noise_seen
from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.denoisers import Blind
from ..priors.prior import Counted, Prior, innermost
from . import descreen, walk
from .method import Method, State
from .onebyone import Run, one_by_one, shared
from .plan import LEFT, Plan


@dataclass(frozen=True)
class Denoise(Method):
    """Removes noise: white noise of a given level by one evaluation of the prior, or noise that it estimates.

    Costs one evaluation if the level is given. Otherwise it costs at most 10 to estimate the noise, of large images on
    a part, and at most 7 to remove it. A print's dots are removed first, which costs 5 more. An image without noise
    stays unchanged.

    Attributes:
        boost: factor of the level: more than 1 smooths more than the noise.
    """

    takes_operator: ClassVar[bool] = True
    takes_noise: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = False

    boost: float = 1.0

    def __post_init__(self) -> None:
        self.require(0 < self.boost <= 100, "boost", "above 0, at most 100")

    def nfe(self, prior: Prior) -> int:
        """Largest number of evaluations."""
        return diagnosis.CALLS + descreen.CALLS + walk.CALLS if tells(prior) else _CALLS + 1

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the `notes` name the removed noise, or `curves` has the estimated "noise" in [-1, 1] units.

        Raises:
            UsageError: another operator than `Denoise`.
        """
        if problem.operator is not None and not isinstance(problem.operator, operators.Denoise):
            raise UsageError("Denoise removes noise and undoes no other degradation: leave the operator out")
        if problem.sigma_y is None and tells(prior):
            yield from one_by_one(problem, rng, shared(problem.y, lambda i: self._run(prior, problem.y[i : i + 1])))
            return
        counted = Counted(prior)
        if problem.sigma_y is not None:
            x0 = counted(problem.y, self.boost * problem.sigma_y)
            yield State(1, 1, 0.0, x0, x0, counted.nfe)
            return
        level = noise_seen(counted, problem.y, _CALLS)
        x0 = counted(problem.y, self.boost * level)
        yield State(1, 1, 0.0, x0, x0, counted.nfe, {"noise": tuple(level.tolist())})

    def _run(self, prior: Prior, y: Tensor) -> Run:
        counted = Counted(prior)
        found = diagnosis.noise_alone(counted, y, dots=True)
        stages = [maker(found, self.boost) for maker in (descreen.treatment, walk.treatment)]
        plan = Plan([stage for stage in stages if stage is not None], frame=found.frame)
        note = plan.note if plan.stages else f"{LEFT}; {_ANYWAY}"
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, note)


def tells(prior: Prior) -> bool:
    """True if a prior can estimate noise of any kind.

    Latents have neither colours nor calm blocks, and a denoiser without a level input has a fixed strength. For these,
    one estimated level describes all noise.
    """
    return prior.channels in _PICTURES and not isinstance(innermost(prior), Blind)


_ANYWAY = "to remove noise of 5 of 255 anyway: --noise 5/255"
_PICTURES = (1, 3)
"""Channels of pictures; images with others are latents."""
_CALLS = 8
"""Number of evaluations to estimate the noise of latents."""
