r"""PSLD: posterior sampling in latents, with a second guidance that joins invented and measured parts.

After each DDIM step the latent moves against two gradients through the network (algorithm 2). One is of the distance
between the measurement and the decoded estimate, as in DPS. The other is of the distance between the estimate and an
encoding: that of the decoded image with its measured part corrected:

.. math::
    z' \leftarrow z' - \eta \nabla_z \|y - A(\mathcal D(\hat z_0))\|
    - \gamma \nabla_z \|\hat z_0 - \mathcal E(A^+ y + (I - A^+ A) \mathcal D(\hat z_0))\|

The second keeps the estimate where encoder and decoder are inverse to each other. The paper writes A^T under the
assumption that A A^T = I, under which it equals the pseudo-inverse. Distances are norms, for which the published scales
are made; `squared` uses their squares.

References:
    Rout et al., "Solving Linear Inverse Problems Provably via Posterior Sampling with Latent Diffusion Models",
        NeurIPS 2023. https://arxiv.org/abs/2307.00563
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams, renoise
from ..maths.problem import Problem
from ..operators.decoder import Decoder
from ..priors.prior import Counted, Prior
from .method import PAPERS, Method, State, Stepper, with_gradients


def decoder_of(method: Method, problem: Problem) -> Decoder:
    """Operator of a problem in latents.

    Raises:
        UsageError: the problem is in pixels.
    """
    if not isinstance(problem.operator, Decoder):
        raise UsageError(f"{type(method).__name__} works in latents: take a latent prior, or dps for pixels")
    return problem.operator


@dataclass(frozen=True)
class PSLD(Stepper):
    """Restores a known degradation in the latents of a latent prior (Rout et al., NeurIPS 2023).

    Costs `steps` evaluations of the prior with their gradients, and as many of decoder and encoder. Needs an operator
    with a pseudo-inverse.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        scale: eta, the guidance by the measurement; 1 in the authors' code.
        glue: gamma, the second guidance; 0.1 in the authors' code. 0 is DPS in latents.
        squared: whether distances are squared.
        eta: share of an ancestral step's noise, 0 in the authors' code.
    """

    presets = PAPERS

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True
    latents_only: ClassVar[bool] = True

    steps: int = 1000
    scale: float = 1.0
    glue: float = 0.1
    squared: bool = False
    eta: float = 0.0

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.scale < math.inf, "scale", "0 or more")
        self.require(0 <= self.glue < math.inf, "glue", "0 or more")
        self.require(0 <= self.eta <= 1, "eta", "from 0 to 1")

    @property
    def through_network(self) -> bool:
        """Always true."""
        return True

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level, of latents."""
        operator, y = decoder_of(self, problem), problem.y
        prior, ladder = Counted(prior), self.ladder(prior.sigmas).tolist()
        z = ladder[0] * rng.like(y.new_empty(operator.image_shape(tuple(y.shape))))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), 1):
            with torch.enable_grad():
                z = z.detach().requires_grad_()
                z0 = prior(z, sigma)
                (pull,) = torch.autograd.grad(self.distance(operator, y, z0), z)
            z0 = z0.detach()
            eta = self.eta * math.sqrt(1 - (sigma_next / sigma) ** 2)
            z = renoise(z.detach(), z0, sigma, sigma_next, eta, rng)
            # The gradient at a variance-preserving latent, as in DPS. Where all fits exactly a norm has none.
            z = z - math.sqrt((1 + sigma**2) * (1 + sigma_next**2)) * pull.nan_to_num(0.0)
            yield State(step, len(ladder) - 1, sigma_next, z, z0, prior.nfe)

    def distance(self, operator: Decoder, y: Tensor, z0: Tensor) -> Tensor:
        """Weighted distances of estimated latents, summed over the batch."""
        image = operator.decode(z0)
        residual = y - operator.pixels.A(image)
        pulls = [(self.scale, residual)]
        if self.glue and operator.encode is not None:
            pulls.append((self.glue, z0 - operator.encode(image + operator.pixels.pinv(residual))))
        power = 2 if self.squared else 1
        return sum((weight * one.norm() ** power for weight, part in pulls for one in part), z0.new_zeros(()))
