"""What a method is: hyper-parameters, and a loop that yields every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..errors import PellucidError
from ..noise import Streams
from ..priors.prior import Prior
from ..problem import Problem


@dataclass(frozen=True, slots=True)
class State:
    """Where a restoration stands after one step; progress bars, previews and traces read nothing else.

    Attributes:
        step: steps done, from 1 to total.
        total: steps that this run takes in all.
        sigma: noise level of x, in [-1, 1] units.
        x: the iterate, (B, C, H, W), in variance-exploding coordinates.
        x0: the newest estimate of the clean image, (B, C, H, W), in [-1, 1]; not clamped.
        nfe: evaluations of the prior so far.
    """

    step: int
    total: int
    sigma: float
    x: Tensor
    x0: Tensor
    nfe: int


class Method:
    """Base of all methods: a frozen dataclass of hyper-parameters, a pure function of problem, prior and seed.

    A subclass is a frozen dataclass with defaults from its paper, `steps` and `nfe`. It keeps no y and no A, draws
    noise only from `rng`, and never writes into its inputs.
    """

    blind: ClassVar[bool] = True
    """Whether it restores without being told the degradation."""

    def steps(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """Restores, yielding after each step; the last state's x is the result."""
        raise NotImplementedError

    def nfe(self, prior: Prior) -> int:
        """How many evaluations of `prior` a run makes."""
        raise NotImplementedError

    def __call__(self, problem: Problem, prior: Prior, seed: int | Sequence[int] = 0) -> Tensor:
        """Drains `steps`.

        Args:
            problem: what was measured, B images.
            prior: the diffusion prior.
            seed: image i of the batch has seed `seed + i`, or `seed[i]` where a seed is given for each.

        Returns:
            The restored images, (B, C, H, W) in [-1, 1] units, not clamped.
        """
        state = None
        for state in self.steps(problem, prior, Streams.of(seed, len(problem.y))):
            pass
        if state is None:
            raise PellucidError(f"{type(self).__name__} took no step")
        return state.x
