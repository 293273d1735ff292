r"""Removal of a print's dots: a walk down to the picture, in which only the waves of the dots are unknown.

The dots are noise of a few frequencies and of known power, so DDRM's walk for such noise applies
(`pellucid.diagnosis.noise.stationary`). All other frequencies stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..diagnosis import Diagnosis, Screen
from ..diagnosis.noise.stationary import Observed, from_opponent, to_opponent, walk
from ..diagnosis.screen import narrowed, widened
from ..maths.noise import Streams
from ..priors.prior import Counted, Padded
from .dpir import geometric
from .method import State
from .plan import Framing

CALLS = 5
"""Evaluations of a walk."""

_LOWEST = 3 / 255


@dataclass(frozen=True)
class Descreening:
    """Removes the dots of a print; see `plan.Treatment`.

    Attributes:
        screen: the finding.
        grey: whether the picture is grey and must stay grey.
        strength: factor of the assumed amplitude of the dots.
    """

    frame: ClassVar[Framing] = "left out"

    screen: Screen
    grey: bool = False
    strength: float = 1.0

    @property
    def note(self) -> str:
        """Note on the removed dots."""
        return f"{self.screen.text}, removed"

    @property
    def nfe(self) -> int:
        """`CALLS`."""
        return CALLS

    @torch.no_grad()
    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`."""
        dots, wide = self.screen.scaled(self.strength), widened(y)
        size = (wide.shape[-2], wide.shape[-1])
        observed = torch.fft.rfft2(to_opponent(wide))
        # Where the dots are fainter than the last level, the picture itself tells more than the prior.
        doubt = (dots.deviation(*size).to(y) / _LOWEST).clamp_max(1)
        levels = geometric(max(dots.top, _LOWEST), _LOWEST, CALLS)
        for step, (level, x0) in enumerate(walk(Padded(prior), Observed.of(wide, rng), dots, levels), 1):
            change = doubt * (torch.fft.rfft2(to_opponent(x0)) - observed)
            x = narrowed(from_opponent(torch.fft.irfft2(observed + change, s=size)), y)
            x = x.mean(1, keepdim=True).expand_as(x).contiguous() if self.grey else x
            yield State(step, CALLS, level if step < CALLS else 0.0, x, narrowed(x0, y), prior.nfe)


def treatment(diagnosis: Diagnosis, strength: float) -> Descreening | None:
    """Removal of diagnosed dots; see `plan.Maker`."""
    if diagnosis.screen is None:
        return None
    return Descreening(diagnosis.screen, diagnosis.inner.grey, strength)
