r"""JPEG as it is: the prior and the quantisation, split, and the result within the cells that the file leaves open.

With q the file's coefficients and A the linear part of the encoder (`operators.Quantised`), the prior's estimate x0 and
the image x of the measurement are two variables, held together by a penalty that grows (half-quadratic splitting):

.. math::
    x_0 = D(x, g), \qquad x = \arg\min_x 12\, |q - A x|^2 + \frac{\lambda}{g^2} |x - x_0|^2

Rounding has the variance 1/12. With A = U s V^T the second line is exact in spectral coordinates:

.. math:: V^T x = \frac{12\, s\, U^T q + (\lambda / g^2)\, V^T x_0}{12\, s^2 + \lambda / g^2}

g falls geometrically. The last estimate is moved into the cells |q - A x| <= 1/2, where the original lies.

References:
    Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021: the splitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..diagnosis import Diagnosis
from ..diagnosis.compression import MILD, Compression, clear_share
from ..errors import UsageError
from ..noise import Streams
from ..operators import Jpeg, Quantised
from ..operators.quantised import SIGMA
from ..priors.prior import Counted, Prior
from ..problem import Problem
from .dpir import geometric
from .method import Method, State
from .onebyone import Run, left_alone, one_by_one
from .plan import LEFT, Plan

CALLS, WEIGHT = 6, 0.2
"""Evaluations, and lambda: chosen for the least squared error on training photographs."""

_LEVELS = (0.2, 0.02)

_OLD = 70
"""From this quality on, compression that the pixels alone tell of is left as it is."""

_ONES = 0.45
"""Least share of 1 among coefficients of 1 to 5: 0.50 or more after one compression, 0.35 or less after two."""


@dataclass(frozen=True)
class Decompression:
    """Undoes one compression; see `plan.Treatment`.

    Attributes:
        compression: the finding.
        steps: evaluations.
        weight: lambda.
        grey: whether the picture is grey, and stays so.
    """

    compression: Compression
    steps: int = CALLS
    weight: float = WEIGHT
    grey: bool = False

    @property
    def note(self) -> str:
        """The compression that is undone."""
        return f"{self.compression.text} undone"

    @property
    def nfe(self) -> int:
        """One evaluation a step."""
        return self.steps

    @torch.no_grad()
    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`; draws nothing."""
        operator = Quantised(self.compression.coding, tuple(y.shape[1:]))
        q = operator.coefficients(y)
        if self.compression.quality >= MILD and ones(q) < _ONES:
            # The damage is that of a coarser compression before, whose cells this file does not tell.
            note = f"{self.compression.text}, compressed more before, left as it is"
            yield State(1, 1, 0.0, y, y, prior.nfe, notes=(note,))
            return
        x = y
        for step, level in enumerate(geometric(*_LEVELS, self.steps), 1):
            x0 = prior(x, level)
            x0 = x0.mean(1, keepdim=True).expand_as(x0).contiguous() if self.grey else x0
            done = step == self.steps
            x = operator.within(x0, q) if done else operator.nearest(x0, q, self.weight * (SIGMA / level) ** 2)
            yield State(step, self.steps, 0.0 if done else level, x, x0, prior.nfe)


def ones(q: Tensor) -> float:
    """The share of 1 among the coefficients whose size is 1 to 5; 1 where there are none.

    Steps of a coarser compression before leave gaps among the small ones.
    """
    size = q.round().abs()
    small = ((size >= 1) & (size <= 5)).sum().item()
    return (size == 1).sum().item() / small if small else 1.0


def treatment(diagnosis: Diagnosis, strength: float) -> Decompression | None:
    """Decompression where it lost enough; see `plan.Maker`."""
    found = diagnosis.compression
    if found is None or not found.harmful:
        return None
    if not found.told and found.quality >= _OLD:
        # A picture that was a fine JPEG long ago is what its owner takes for the clean one: only a file asks for more.
        return None
    if (diagnosis.noise is not None or diagnosis.blur is not None) and found.quality >= MILD:
        # What such a file lost is far below the noise, and its cells hold the noise, or the blur, again.
        return None
    grey = diagnosis.content is not None and diagnosis.content.grey
    return Decompression(found, weight=strength * WEIGHT, grey=grey)


@dataclass(frozen=True)
class JPEG(Method):
    """Undoes JPEG compression whose tables are known, by splitting; the result is one that the file may be of.

    Costs `steps` evaluations; deterministic. Takes a `Jpeg` operator, with which y is the decoded image. Above quality
    93 nothing that a prior knows is lost, and the image is left as it is.

    Attributes:
        steps: evaluations, 6 gain what 12 do but for 0.04 dB.
        weight: lambda, which trades the file's numbers against the prior.
        fidelity: how near to the image to stay, [0, 1]; 0.5 has the least squared error, 1 changes nothing.
    """

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    takes_decoded: ClassVar[bool] = True

    steps: int = CALLS
    weight: float = WEIGHT
    fidelity: float = 0.5

    def __post_init__(self) -> None:
        self._require(self.steps >= 1, "steps", "at least 1")
        self._require(0 < self.weight <= 100, "weight", "above 0, at most 100")
        self._require(0 <= self.fidelity <= 1, "fidelity", "from 0 to 1")

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step."""
        return self.steps

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a step of each image, whose `notes` say the file's quality.

        Raises:
            UsageError: another operator than `Jpeg`.
        """
        operator = self._operator(problem)
        if not isinstance(operator, Jpeg):
            raise UsageError(f"JPEG undoes Jpeg, not {type(operator).__name__}")
        told = Compression(operator.coding, told=True)
        founds = [replace(told, clear=clear_share(one[None], operator.coding)) for one in problem.y]
        pairs = zip(founds, problem.y, strict=True)
        yield from one_by_one(problem, rng, [self._run(prior, found, one[None]) for found, one in pairs])

    def _run(self, prior: Prior, found: Compression, y: Tensor) -> Run:
        strength = 2 * (1 - self.fidelity)
        if not strength or not found.harmful:
            return left_alone(LEFT if not strength else f"{found.text}, left as it is", 0)
        grey = bool((y == y[:, :1]).all())
        plan = Plan([Decompression(found, self.steps, max(strength, 1.0) * self.weight, grey)], min(strength, 1.0))
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), 0, plan.note)
