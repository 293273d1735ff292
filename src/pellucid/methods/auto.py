r"""Which of the blind methods to take, and how strong, from the image alone.

White noise that is found is what a denoiser was trained for: one evaluation at its level leaves the smallest squared
error (Tweedie's formula). Where there is a lot, DreamClean from that level is as good and repairs what else there is;
where there is none, it takes DreamClean at the strength that the image asks for, or leaves the image as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..estimate import EVIDENCE, Evidence, evidence
from ..noise import Streams
from ..priors.prior import Counted, Prior
from ..problem import Problem
from .dreamclean import DreamClean
from .method import Method, State
from .onebyone import Run, one_by_one


@dataclass(frozen=True)
class Auto(Method):
    """Restores whatever it is: chooses a method and its strength for each image, and says which.

    Costs 10 evaluations to choose, of large images of a megapixel of theirs, and at most 70 more, 10 to 30 for most
    images; 28 and 4 to 12 if they are shared.

    Attributes:
        fidelity: how near to the image to stay, [0, 1]; 0.5 is nearest to the truth on average, 1 changes nothing.
        shared: whether DreamClean's corrections share evaluations: two a level for five.
    """

    fidelity: float = 0.5
    shared: bool = False

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"fast": {"shared": True}}

    def __post_init__(self) -> None:
        self._require(0 <= self.fidelity <= 1, "fidelity", "from 0 to 1")

    @property
    def dreamclean(self) -> DreamClean:
        """DreamClean as it is used here: large corrections without fresh noise."""
        return DreamClean("auto", corrections=3, schedule="none", fidelity=self.fidelity, shared=self.shared)

    def nfe(self, prior: Prior) -> int:
        """The most evaluations that it makes."""
        return self.dreamclean.nfe(prior)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the states of what was chosen, whose `notes` say it."""
        self._require_blind(problem)
        runs = [self.choose(prior, found) for found in evidence(Counted(prior), problem.y)]
        yield from one_by_one(problem, rng, runs)

    def choose(self, prior: Prior, found: Evidence) -> Run:
        """How to restore an image of which so much is known."""
        method = self.dreamclean
        if not 0 < found.noise < _MUCH or method.chosen(found) is None:
            return method.auto(prior, found)
        level = 2 * (1 - self.fidelity) * found.noise
        return Run(lambda y, _: _denoise(y, Counted(prior), level), EVIDENCE, f"denoised, noise of {level / 2:.3f}")


def _denoise(y: Tensor, prior: Counted, level: float) -> Iterator[State]:
    x0 = prior(y, level)
    yield State(1, 1, 0.0, x0, x0, prior.nfe)


_MUCH = 0.1
