r"""DDRM: diffusion in the spectral coordinates of the degradation.

In the singular vectors of A = U diag(s) V^T the measurement is a noisy copy of some components of the image:
component i of y / s has noise of level sigma_y / s_i. So each component follows its own diffusion (eq. 7 and 8; see
`Measured.step`). Where A measures nothing it starts from noise and follows the prior. Elsewhere it is the measurement
with the noise that is missing to the latent's level, and below the measurement's level it follows the prior, too.

References:
    Kawar et al., "Denoising Diffusion Restoration Models", NeurIPS 2022. https://arxiv.org/abs/2201.11793
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch

from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from .method import PAPERS, State, Stepper
from .spectral import Measured


@dataclass(frozen=True)
class DDRM(Stepper):
    """Restoration with a known linear degradation in its spectral coordinates (Kawar et al., NeurIPS 2022).

    Costs `steps` evaluations if steps divides the training ladder's length. Needs an operator with a singular value
    decomposition, and the noise level. Without noise the result agrees with the measurement exactly.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        eta: share of fresh noise in components without a measurement, or with one noisier than the latent, [0, 1].
        eta_b: share of the measurement in all other components, [0, 1].
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    measured: ClassVar[type[Measured]] = Measured

    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.eta <= 1, "eta", "from 0 to 1")
        self.require(0 <= self.eta_b <= 1, "eta_b", "from 0 to 1")

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level."""
        measured = self.measured(problem, *self.operator_and_noise(problem), "DDRM")
        prior = Counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        z = measured.start(ladder[0], rng.like(measured.y))
        x = measured.V(z)
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            x0 = prior(x, sigma)
            n = rng.like(x)
            z = measured.step(z, measured.Vt(x0), sigma, sigma_next, n, self.eta, self.eta_b)
            x = measured.V(z)
            yield State(step, len(ladder) - 1, sigma_next, x, x0, prior.nfe)
