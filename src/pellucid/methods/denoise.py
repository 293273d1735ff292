r"""One call of the prior, at the noise level that the prior finds in the image: the baseline of all blind methods.

A diffusion prior is a denoiser, `prior(y, sigma)` the mean of all clean images that may have become y by noise of level
sigma (Tweedie's formula). If the damage is white noise, nothing has a smaller mean squared error than this call at the
right level; if it is something else, this is what a method has to be better than.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..estimate import noise_seen
from ..noise import Streams
from ..priors.prior import Counted, Prior
from ..problem import Problem
from .method import Method, State


@dataclass(frozen=True)
class Denoise(Method):
    """Removes white noise of an unknown level by one evaluation of the prior, after it has found the level.

    Costs `calls` evaluations to find the level, of large images of a megapixel of theirs, and one to remove the noise,
    9 at the defaults; deterministic. Damage other than noise stays.

    Attributes:
        calls: evaluations to find the noise level with; 8 find it to 2 %.
        boost: what the level found is multiplied by: more than 1 smooths more than the noise.
    """

    calls: int = 8
    boost: float = 1.0

    def __post_init__(self) -> None:
        self._require(self.calls >= 1, "calls", "at least 1")
        self._require(0 < self.boost <= 100, "boost", "above 0, at most 100")

    def nfe(self, prior: Prior) -> int:
        """Makes `calls` + 1."""
        return self.calls + 1

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state, whose `curves` has the "noise" found in each image, in [-1, 1] units."""
        self._require_blind(problem)
        prior = Counted(prior)
        level = noise_seen(prior, problem.y, self.calls)
        x0 = prior(problem.y, self.boost * level)
        yield State(1, 1, 0.0, x0, x0, prior.nfe, {"noise": tuple(level.tolist())})
