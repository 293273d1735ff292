r"""Colours for a grey picture: the mean of several samples, with colours smoother than the brightness.

A single sample of the posterior has patches of colour that a small prior invents. The mean of samples has the least
squared error (it is the posterior's mean). Its remaining patches are finer than colours in photographs. So the part
outside the measurement is smoothed:

.. math:: \bar{x} = \frac{1}{K} \sum_k x_k, \qquad x = A^+ A \bar{x} + G * (\bar{x} - A^+ A \bar{x})

G is the same for all channels, so A x does not change: the brightness of a noiseless picture is kept exactly.

References:
    Kawar et al., "Denoising Diffusion Restoration Models" (DDRM), NeurIPS 2022: the samples.
        https://arxiv.org/abs/2201.11793
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Blur, Grayscale
from ..operators.blur import gaussian
from ..priors.prior import Prior
from .ddrm import DDRM
from .method import Method, State


@dataclass(frozen=True)
class Colorize(Method):
    """Colours a grey image by the mean of DDRM's samples with smoothed colours.

    Costs `draws` times `steps` evaluations. Takes the operator `Grayscale`.

    Attributes:
        draws: number of samples in the mean.
        steps: levels in each walk.
        smooth: standard deviation in pixels of the colours' smoothing; 0 for none.
    """

    blind: ClassVar[bool] = False

    draws: int = 4
    steps: int = 20
    smooth: float = 4.0

    def __post_init__(self) -> None:
        self.require(self.draws >= 1, "draws", "at least 1")
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.smooth <= 100, "smooth", "from 0 to 100")

    def nfe(self, prior: Prior) -> int:
        """The evaluations of all samples."""
        return self.draws * DDRM(self.steps).nfe(prior)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the states of one sample after the other, the last one is the result.

        Raises:
            UsageError: another operator than `Grayscale`.
        """
        operator, _ = self.operator_and_noise(problem)
        if not isinstance(operator, Grayscale):
            raise UsageError(f"Colorize undoes Grayscale, not {type(operator).__name__}")
        total, nfe = torch.zeros(()).to(problem.y), 0
        for number in range(self.draws):
            state = None
            for state in DDRM(self.steps).iterate(problem, prior, rng):
                step, steps = number * state.total + state.step, self.draws * state.total
                if step < steps:
                    yield replace(state, step=step, total=steps, nfe=nfe + state.nfe)
            assert state is not None
            total, nfe = total + state.x, nfe + state.nfe
        mean = total / self.draws
        seen = operator.pinv(operator.A(mean))
        colours = mean - seen
        if self.smooth:
            colours = Blur(gaussian(self.smooth), "replicate").A(colours)
        x = seen + colours
        yield State(steps, steps, 0.0, x, x, nfe)
