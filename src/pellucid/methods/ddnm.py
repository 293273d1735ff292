r"""DDNM and DDNM+: the range space from the measurement, the null space from the prior.

Every image is `pinv(A) A x + (I - pinv(A) A) x`: a measured part and an unmeasured part. Without noise each estimate
gets the measured part (eq. 13),

.. math:: x_0 \leftarrow x_0 + A^\dagger (y - A x_0),

and the result agrees with y exactly. With noise (DDNM+, eq. 17-19) component i is corrected by lambda_i and gets less
fresh noise, so that the noise of y takes its place: for any noise of y, the latent's level stays sigma. In spectral
coordinates that is DDRM's step with eta_b = 1 (`Measured.step`).

References:
    Wang et al., "Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model", ICLR 2023.
        https://arxiv.org/abs/2212.00490
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators import Operator
from ..priors.prior import Counted, Prior
from .method import PAPERS, Effective, State, Stepper
from .spectral import Measured

Step = Callable[[Tensor, Tensor, float, float], Tensor]


def journey(levels: int, length: int, repeat: int) -> list[int]:
    """Positions on a ladder of `levels` moves in the order of their visits, with journeys back.

    Args:
        levels: moves of the ladder.
        length: number of moves of a journey back.
        repeat: number of walks over each stretch of that length; 1 is without journeys.
    """
    left = dict.fromkeys(range(levels - 1, length - 1, -length), repeat - 1)
    position, path = 0, [0]
    while position < levels:
        position += 1
        path.append(position)
        if left.get(position, 0) > 0:
            left[position] -= 1
            position -= length
            path.append(position)
    return path


@dataclass(frozen=True)
class DDNM(Stepper):
    """Restoration with a known linear degradation by null-space sampling (Wang et al., ICLR 2023).

    Costs one evaluation a step, 100 at the defaults; time travel multiplies it by about `travel_repeat`. Without noise
    the operator needs a pseudo-inverse; with noise (DDNM+), a singular value decomposition.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        eta: share of fresh noise, [0, 1].
        travel_length: number of steps of a journey back in time (algorithm 2).
        travel_repeat: number of walks over each stretch of that length; 1 is without time travel.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    measured: ClassVar[type[Measured]] = Measured

    effective: ClassVar[Effective] = {
        "travel_length": ("travel_repeat 2 or more", lambda self, _: self.travel_repeat > 1)
    }

    steps: int = 100
    eta: float = 0.85
    travel_length: int = 1
    travel_repeat: int = 1

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.eta <= 1, "eta", "from 0 to 1")
        self.require(self.travel_length >= 1, "travel_length", "at least 1")
        self.require(self.travel_repeat >= 1, "travel_repeat", "at least 1")

    def path(self, levels: int) -> list[int]:
        """See `journey`."""
        return journey(levels, self.travel_length, self.travel_repeat)

    def nfe(self, prior: Prior) -> int:
        """One evaluation for each move down."""
        path = self.path(len(self.ladder(prior.sigmas)) - 1)
        return sum(after > before for before, after in pairwise(path))

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state for each move down."""
        operator, sigma_y = self.operator_and_noise(problem)
        ladder = self.ladder(prior.sigmas).tolist()
        prior, total = Counted(prior), self.nfe(prior)
        step = self._noisy(problem, operator, sigma_y, rng) if sigma_y else self._noiseless(problem, operator, rng)
        shape = operator.image_shape(tuple(problem.y.shape))
        x = ladder[0] * rng.like(problem.y.new_empty(shape))
        x0 = x
        path = self.path(len(ladder) - 1)
        for before, after in pairwise(path):
            if after < before:
                # Back up: the last estimate, as the prior gave it, with all of its noise fresh.
                x = x0 + ladder[after] * rng.like(x)
                continue
            x0 = prior(x, ladder[before])
            x = step(x, x0, ladder[before], ladder[after])
            yield State(prior.nfe, total, ladder[after], x, x0, prior.nfe)

    def _noiseless(self, problem: Problem, operator: Operator, rng: Streams) -> Step:
        def step(x: Tensor, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
            # The noise kept is that of the prior's own estimate; only then the measured part takes its place.
            return renoise(x, x0, sigma, sigma_next, self.eta, rng) + operator.pinv(problem.y - operator.A(x0))

        return step

    def _noisy(self, problem: Problem, operator: Operator, sigma_y: float, rng: Streams) -> Step:
        measured = self.measured(problem, operator, sigma_y, "DDNM with noise")

        def step(x: Tensor, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
            n = rng.like(x)
            return measured.V(measured.step(measured.Vt(x), measured.Vt(x0), sigma, sigma_next, n, self.eta))

        return step
