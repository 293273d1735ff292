r"""Noise alone: found and taken away as `auto` does it, or one call of the prior at a level that is told.

A diffusion prior is a denoiser, `prior(y, sigma)` the mean of all clean images that may have become y by white noise of
level sigma (Tweedie's formula). If the damage is white noise, nothing has a smaller mean squared error than this call
at the right level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .. import diagnosis, operators
from ..errors import UsageError
from ..estimate import noise_seen
from ..noise import Streams
from ..priors.denoisers import Blind
from ..priors.prior import Counted, Prior, innermost
from ..problem import Problem
from . import walk
from .method import Method, State
from .onebyone import Run, one_by_one, shared
from .plan import Plan


@dataclass(frozen=True)
class Denoise(Method):
    """Removes noise: white noise of a level that is told by one evaluation of the prior, or the noise that it finds.

    Costs one evaluation where the level is told. Otherwise it costs at most 10 to find the noise, of large images of a
    megapixel of theirs, and at most 5 to remove it; an image without noise comes back as it was.

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
        """The most evaluations that it makes."""
        return diagnosis.CALLS + walk.CALLS if tells(prior) else _CALLS + 1

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the `notes` say which noise was removed, or `curves` has the "noise" found, in [-1, 1] units.

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
        stage = walk.treatment(diagnosis.noise_alone(counted, y), self.boost)
        plan = Plan([stage] if stage else [])
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, plan.note)


def tells(prior: Prior) -> bool:
    """Whether a prior can tell noise of all kinds.

    Latents have neither colours nor calm blocks, and a denoiser that is told no level takes what it takes: of these,
    the level that is found stands for all of the noise.
    """
    return prior.channels in _PICTURES and not isinstance(innermost(prior), Blind)


_PICTURES = (1, 3)
"""Channels of pictures; images of others are latents."""
_CALLS = 8
"""Evaluations to find the noise of latents with."""
