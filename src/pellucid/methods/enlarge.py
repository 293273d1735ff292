"""Enlarge: a small picture made larger, near to the truth or crisp.

The small picture is taken for the larger one after an antialiasing cubic filter (`operators.Bicubic`), which all usual
programs' filters resemble. Its noise is never taken from its texture, which in a small picture is as fine as noise: it
is white noise that the diagnosis finds, and that is removed first. Else there is none but rounding, or what JPEG left.

References:
    Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021: the faithful finish.
    Xiao et al., "DreamClean: Restoring Clean Image Using Deep Diffusion Prior", ICLR 2024: the crisp one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..diagnosis import CALLS as LOOKS
from ..diagnosis import noise_alone
from ..diagnosis.blur import compressed
from ..noise import Streams
from ..priors.prior import Counted, Padded, Prior
from ..problem import Problem
from . import walk
from .dpir import DPIR
from .dreamclean_known import DreamCleanKnown
from .method import Method, State

_CLEAN, _COMPRESSED = 0.004, 0.06
"""Noise of a small picture, in [-1, 1] units: where none is found, and where JPEG's blocks are."""


@dataclass(frozen=True)
class Enlarge(Method):
    """Makes a picture larger, faithfully by splitting (DPIR), or crisply by sampling (DreamClean).

    Costs 8 evaluations of the large picture, or 60 to be crisp; before, of the small one, at most 10 to find its noise
    and 5 to remove it. Needs an operator that reduces, which the task brings. Noise that is told is not looked for.

    Attributes:
        finish: "faithful", the smallest error; "crisp", sharp details, some of them invented.
    """

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    presets = {"faithful": {}, "crisp": {"finish": "crisp"}}  # noqa: RUF012 - as of all methods

    finish: Literal["faithful", "crisp"] = "faithful"

    def __post_init__(self) -> None:
        self._require(self.finish in ("faithful", "crisp"), "finish", "faithful or crisp")

    @property
    def method(self) -> Method:
        """The method of the finish."""
        # Large corrections: the small prior's estimates err alike from level to level, which fresh noise averages out.
        return DPIR() if self.finish == "faithful" else DreamCleanKnown(gamma=0.5)

    def nfe(self, prior: Prior) -> int:
        """The most evaluations that it makes."""
        return LOOKS + walk.CALLS + self.method.nfe(prior)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a step of the finish, whose `notes` say which noise was removed before."""
        operator = self._operator(problem)
        runs: list[Iterator[State]] = []
        before, notes = 0, list[str]()
        for i, (y, own) in enumerate(zip(problem.y.split(1), rng.split(), strict=True)):
            counted = Counted(prior)
            small, noise, note = (y, problem.sigma_y, "") if problem.sigma_y is not None else _cleaned(counted, y, own)
            before, notes = max(before, counted.nfe), [*notes, note]
            runs.append(self.method.iterate(Problem(small, operator.alone(i), noise), Padded(prior), own))
        for states in zip(*runs, strict=True):
            x, x0 = (torch.cat([getattr(state, name) for state in states]) for name in ("x", "x0"))
            yield replace(states[0], x=x, x0=x0, nfe=before + states[0].nfe, notes=tuple(notes) if any(notes) else ())


def _cleaned(prior: Counted, y: Tensor, rng: Streams) -> tuple[Tensor, float, str]:
    """A small picture without the noise that is found in it, the noise that may be left, and what was done."""
    # Texture of a small picture looks like grain, and is found to be some in a quarter of them; it is never white.
    stage = walk.treatment(noise_alone(prior, y), 1.0)
    if stage is None or not stage.noise.white:
        return y, _COMPRESSED if compressed(y) else _CLEAN, ""
    *_, state = stage.iterate(y, prior, rng)
    return state.x, _CLEAN, stage.note
