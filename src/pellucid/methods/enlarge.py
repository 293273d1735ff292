"""Enlargement of a small picture, faithful or crisp.

The program that made the small picture is unknown. The model is a filter between the mean of blocks and an antialiasing
cubic filter (`operators.Thumbnail`), which is accurate enough for either. The noise is never estimated from texture,
which in a small picture is as fine as noise. White noise in the diagnosis is removed first, and so is other noise
beyond doubt; otherwise only rounding counts as noise. Compression is undone, and leaves some noise.

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
from ..diagnosis import Diagnosis, noise_alone
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Padded, Prior
from . import jpeg, walk
from .dpir import DPIR
from .dreamclean_known import DreamCleanKnown
from .measurement import undoubted
from .method import Method, State
from .sidebyside import side_by_side

_CLEAN, _COMPRESSED = 0.004, 0.06
"""Noise of a small picture, in [-1, 1] units: without any finding, and after compression, undone or not."""

FAITHFUL = DPIR(steps=12, weight=0.1, least=0.01, ends="data")
"""The splitting, chosen on training photographs.

Below level 0.02 the prior's estimates lose more than they gain. Over 8 steps and DPIR's weight, 12 and this one gain
0.04 dB at x2 and 0.10 at x4 where blocks were averaged, 0.12 and 0.15 where a cubic filter reduced.
"""


@dataclass(frozen=True)
class Enlarge(Method):
    """Enlarges a picture, faithfully by splitting (DPIR) or crisply by sampling (DreamClean).

    Costs 12 evaluations of the large picture, or 60 to be crisp; before, of the small one, at most 10 to find its noise
    and 7 to remove that or undo its compression. Needs an operator that reduces, which the task brings. Noise that is
    told is not looked for.

    Attributes:
        finish: "faithful", the smallest error; "crisp", sharp details, some of them invented.
    """

    blind: ClassVar[bool] = False
    diagnoses: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = False
    presets = {"faithful": {}, "crisp": {"finish": "crisp"}}  # noqa: RUF012 - as of all methods

    finish: Literal["faithful", "crisp"] = "faithful"

    def __post_init__(self) -> None:
        self.require(self.finish in ("faithful", "crisp"), "finish", "faithful or crisp")

    @property
    def method(self) -> Method:
        """Method of the finish."""
        # Large corrections: the small prior's estimates err alike from level to level, which fresh noise averages out.
        return FAITHFUL if self.finish == "faithful" else DreamCleanKnown(gamma=0.5)

    def nfe(self, prior: Prior) -> int:
        """Largest number of evaluations."""
        return LOOKS + max(walk.CALLS, jpeg.CALLS) + self.method.nfe(prior)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a step of the finish, whose `notes` say what was done to the small picture before."""
        operator = self.operator_of(problem)
        runs: list[Iterator[State]] = []
        before, notes = 0, list[str]()
        knowns = problem.known or (Diagnosis(),) * len(problem.y)
        for i, (y, own, known) in enumerate(zip(problem.y.split(1), rng.split(), knowns, strict=True)):
            counted = Counted(prior)
            told = problem.sigma_y
            small, noise, note = (y, told, "") if told is not None else _cleaned(counted, y, own, known)
            before, notes = max(before, counted.nfe), [*notes, note]
            runs.append(self.method.iterate(Problem(small, operator.alone(i), noise), Padded(prior), own))
        for state in side_by_side(runs):
            yield replace(state, nfe=before + state.nfe, notes=tuple(notes) if any(notes) else ())


def _cleaned(prior: Counted, y: Tensor, rng: Streams, known: Diagnosis) -> tuple[Tensor, float, str]:
    """Removes the diagnosed noise from a small picture; returns it, its assumed remaining noise, and a note."""
    seen = noise_alone(prior, y, known)
    denoising = walk.treatment(seen, 1.0)
    if denoising is not None and undoubted(denoising.noise):
        *_, state = denoising.iterate(y, prior, rng)
        return state.x, _CLEAN, denoising.note
    found = seen.compression
    if found is None or not found.harmful:
        return y, _CLEAN, ""
    undoing = jpeg.treatment(Diagnosis(seen.content, compression=found), 1.0)
    if undoing is None:
        return y, _COMPRESSED, ""
    *_, state = undoing.iterate(y, prior, rng)
    return state.x, _COMPRESSED, ", then ".join(state.notes) or undoing.note
