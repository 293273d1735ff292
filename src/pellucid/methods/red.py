r"""RED: a denoiser as the regulariser of a least-squares problem.

.. math:: E(x) = \frac{1}{2 \sigma_y^2} \|A x - y\|^2 + \frac{\lambda}{2} x^T (x - D(x, \sigma))

whose gradient, for a denoiser with a symmetric derivative, is A^T (A x - y) / sigma_y^2 + lambda (x - D(x)) (section
3). `solver="fixed-point"` sets it to zero with D(x) held from the last iterate (eq. 28), exactly, in the spectral
coordinates of A: z = (s^2 y + lambda sigma_y^2 d) / (s^2 + lambda sigma_y^2). `solver="gradient"` steps along it (eq.
23) and needs no decomposition.

The denoiser's level falls geometrically from `strength` to `final` over the iterations: a strong prior for the large
errors at first, a weak one for the small errors at the end. Equal values are the paper's constant level.

References:
    Romano, Elad and Milanfar, "The Little Engine That Could: Regularization by Denoising (RED)", SIAM J. Imaging
        Sciences 10(4), 2017. https://arxiv.org/abs/1611.02862
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Operator
from ..operators.operator import conjugate_gradients
from ..priors.prior import Counted, Prior
from .method import Method, State
from .spectral import Measured

_INNER = 10
"""Conjugate gradients for an iteration; each starts where the last ended, so few suffice."""


@dataclass(frozen=True)
class RED(Method):
    """Restoration of a known linear degradation by regularisation with the prior as a denoiser (Romano et al., 2017).

    Costs `iterations` evaluations; deterministic. Needs the noise level, above 0.

    Attributes:
        iterations: of the solver.
        weight: lambda, for images from 0 to 255 as in the paper, which uses 0.008 to 0.02.
        strength: first level of the denoiser, in thousandths of the training ladder, (0, 1000].
        final: its last level, likewise.
        solver: "fixed-point" solves for each iterate, by conjugate gradients without a singular value decomposition;
            "gradient" makes one step.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The fixed-point solver for a uniform blur: sigma_f is 3.25 of 255, here the ladder's fifth level.
        "paper": {"iterations": 200, "weight": 0.02, "strength": 4, "final": 4}
    }

    blind: ClassVar[bool] = False

    iterations: int = 50
    weight: float = 0.02
    strength: float = 200
    final: float = 10
    solver: Literal["fixed-point", "gradient"] = "fixed-point"

    def __post_init__(self) -> None:
        self.require(self.iterations >= 1, "iterations", "at least 1")
        self.require(0 < self.weight < math.inf, "weight", "above 0")
        self.require(0 < self.strength <= 1000, "strength", "above 0, at most 1000")
        self.require(0 < self.final <= 1000, "final", "above 0, at most 1000")
        self.require(self.solver in ("fixed-point", "gradient"), "solver", "fixed-point or gradient")

    def levels(self, sigmas: Tensor) -> list[float]:
        """Levels of the denoiser by iteration."""
        ends = (min(round(at / 1000 * len(sigmas)), len(sigmas) - 1) for at in (self.strength, self.final))
        first, last = (sigmas[index].log().item() for index in ends)
        levels: list[float] = torch.linspace(first, last, self.iterations, dtype=torch.float64).exp().tolist()
        return levels

    def nfe(self, prior: Prior) -> int:
        """One evaluation an iteration."""
        return self.iterations

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state an iteration. It starts from the adjoint of y, scaled to fit y best."""
        operator, sigma_y = self.operator_and_noise(problem)
        if not operator.linear or not sigma_y:
            raise UsageError("RED needs a linear operator and a noise level above 0")
        prior = Counted(prior)
        # lambda sigma_y^2 has no unit; lambda is given for steps of 1/255, images here go from -1 to 1.
        weight = self.weight * 127.5**2 * sigma_y**2
        solve = self._fixed_point if self.solver == "fixed-point" else self._gradient
        step, x = solve(problem, operator, sigma_y, weight), self._start(problem, operator)
        for done, sigma in enumerate(self.levels(prior.sigmas), 1):
            x0 = prior(x, sigma)
            x = step(x, x0)
            yield State(done, self.iterations, 0.0, x, x0, prior.nfe)

    def _start(self, problem: Problem, operator: Operator) -> Tensor:
        x = operator.At(problem.y)
        seen = operator.A(x).flatten(1)
        scale = (seen * problem.y.flatten(1)).sum(1) / seen.square().sum(1).clamp_min(torch.finfo(x.dtype).tiny)
        return x * scale.view(-1, 1, 1, 1)

    def _fixed_point(
        self, problem: Problem, operator: Operator, sigma_y: float, weight: float
    ) -> Callable[[Tensor, Tensor], Tensor]:
        if operator.svd(operator.image_shape(tuple(problem.y.shape))) is None:
            return self._iterative(problem, operator, weight)
        measured = Measured(problem, operator, sigma_y, "RED")
        # sigma_y / level is s, and 0 where the level is infinite.
        power = (sigma_y / measured.level).square()

        def step(x: Tensor, x0: Tensor) -> Tensor:
            return measured.V((power * measured.y + weight * measured.Vt(x0)) / (power + weight))

        return step

    def _iterative(self, problem: Problem, operator: Operator, weight: float) -> Callable[[Tensor, Tensor], Tensor]:
        def product(v: Tensor) -> Tensor:
            return operator.At(operator.A(v)) + weight * v

        measured = operator.At(problem.y)

        def step(x: Tensor, x0: Tensor) -> Tensor:
            # From where x is, only what changed since the last iteration is left to be solved.
            return x + conjugate_gradients(product, measured + weight * x0 - product(x), _INNER)

        return step

    def _gradient(
        self, problem: Problem, operator: Operator, sigma_y: float, weight: float
    ) -> Callable[[Tensor, Tensor], Tensor]:
        # The paper's step 2 / (1 / sigma_y^2 + lambda) is stable for |A| <= 1; half of it never oscillates.
        rate = 1 / (_norm(operator, problem.y) ** 2 + weight)

        def step(x: Tensor, x0: Tensor) -> Tensor:
            return x - rate * (operator.At(operator.A(x) - problem.y) + weight * (x - x0))

        return step


def _norm(operator: Operator, y: Tensor, iterations: int = 20) -> float:
    """Approximate largest singular value, by power iteration on the first measurement of a batch."""
    v = operator.At(y[:1].new_ones(y[:1].shape))
    # A measurement of ones may lie outside the range; a little noise does not, and the seed is fixed.
    v = v + 0.1 * torch.randn(v.shape, generator=torch.Generator().manual_seed(0), dtype=v.dtype).to(v.device)
    for _ in range(iterations):
        v = operator.At(operator.A(v / v.norm()))
    return math.sqrt(v.norm().item())
