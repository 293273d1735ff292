r"""BIRD: the noise whose image, degraded, is the measurement; and the degradation, if it is unknown.

Like DIIP, BIRD inverts a frozen generator g, here with the degradation after it (algorithm 1). Adam optimises z and the
parameters theta of the degradation, and z is projected onto the sphere of Gaussian noise:

.. math:: \min_{z, \theta} \| A_\theta(g(z)) - y \|^2, \qquad \| z \| = \sqrt{C H W}

The authors' code clips each estimate and generates its kernel by a small network. Here nothing is clipped, and the
kernel is the softmax of directly optimised numbers.

References:
    Chihaoui, Lemkhenter, Favaro, "Blind Image Restoration via Fast Diffusion Inversion", NeurIPS 2024.
        https://arxiv.org/abs/2405.19572
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Denoise
from ..operators.unknown import Kernel, Known, Light, Unknown, family_of
from ..priors.prior import Prior
from .generator import Generator, to_sphere
from .method import PAPERS, Effective, State, with_gradients


@dataclass(frozen=True)
class BIRD(Generator):
    """Restoration by optimising the noise of a frozen generator, and the degradation (Chihaoui et al., NeurIPS 2024).

    Costs `steps` evaluations an iteration; with exact gradients each is computed once more and differentiated.

    Attributes:
        steps: DDIM steps of the generator.
        rate: Adam's learning rate for z. The authors use 0.003 for blur, 0.01 for noise and inpainting and 0.001 for
            super-resolution by 8.
        iterations: number of iterations; the authors use 100, and 200 for noise and inpainting.
        degradation: model of an unknown operator: "kernel", a convolution; "light", y = f x + M; or "none", for damage
            that early stopping leaves out.
        kernel: side of the kernel in pixels, odd.
        kernel_rate: Adam's learning rate for the kernel's logarithm.
        gradient: "straight-through", as if the predicted noise did not depend on the latent, as in the authors' code;
            or "exact", through all steps.
    """

    presets = PAPERS

    takes_operator: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True

    effective: ClassVar[Effective] = {
        "degradation": ("an unknown operator", lambda self, known: not known),
        **{
            name: (
                "an unknown operator and degradation kernel",
                lambda self, known: self.degradation == "kernel" and not known,
            )
            for name in ("kernel", "kernel_rate")
        },
    }

    steps: int = 10
    rate: float = 0.003
    iterations: int = 100
    degradation: Literal["kernel", "light", "none"] = "kernel"
    kernel: int = 41
    kernel_rate: float = 0.05
    gradient: Literal["exact", "straight-through"] = "straight-through"

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 < self.rate < math.inf, "rate", "above 0")
        self.require(self.iterations >= 1, "iterations", "at least 1")
        self.require(self.degradation in ("kernel", "light", "none"), "degradation", "kernel, light or none")
        self.require(self.kernel >= 1 and self.kernel % 2 == 1, "kernel", "odd")
        self.require(0 <= self.kernel_rate < math.inf, "kernel_rate", "0 or more")
        self.require(self.gradient in ("exact", "straight-through"), "gradient", "exact or straight-through")

    @property
    def through_network(self) -> bool:
        """True if the gradient is exact."""
        return self.gradient == "exact"

    def nfe(self, prior: Prior) -> int:
        """Makes `steps` evaluations an iteration."""
        return super().nfe(prior) * self.iterations

    def family(self, problem: Problem) -> Unknown:
        """Family of degradations to fit."""
        if self.degradation == "kernel":
            return family_of(problem.operator, Kernel(self.kernel, self.kernel_rate))
        return family_of(problem.operator, Light() if self.degradation == "light" else Known(Denoise()))

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state an iteration, with the "loss", in [-1, 1] units. `found` has the "kernel"."""
        family, y = self.family(problem), problem.y
        prior = self.counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        z = rng.like(y.new_empty(family.image_shape(tuple(y.shape), prior.channels))).requires_grad_()
        theta = family.start(y, prior.channels, rng)
        adam, other = torch.optim.Adam([z], lr=self.rate), family.optimiser(theta)
        for value in theta.values():
            value.requires_grad_()
        for step in range(1, self.iterations + 1):
            with torch.enable_grad():
                x = self.generate(prior, z, ladder)
                error = (family.A(x, theta, y) - y).square().flatten(1)
            losses = {"loss": tuple(error.detach().mean(1).tolist())}
            yield State(
                step, self.iterations, 0.0, x.detach(), x.detach(), prior.nfe, losses, found=family.found(theta, y)
            )
            # Of a mean, as the rates are made for; Adam does not care, plain descent does.
            z.grad, *moves = torch.autograd.grad(error.mean(1).sum(), [z, *theta.values()])
            for value, move in zip(theta.values(), moves, strict=True):
                value.grad = move
            adam.step()
            if other is not None:
                other.step()
            to_sphere(z)
