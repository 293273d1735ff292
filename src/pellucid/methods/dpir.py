r"""DPIR: a denoiser plugged into half-quadratic splitting, and the exact data step for other methods.

The image z of the prior and the image x of the measurement are two variables, coupled by a growing penalty:

.. math::
    x_k = \arg\min_x \|A x - y\|^2 + w_k \|x - z_{k-1}\|^2, \qquad w_k = \lambda\, \sigma_y^2 / \sigma_k^2 \\
    z_k = D(x_k, \sigma_k)

(eq. 6). The level of the denoiser falls geometrically from `strength` to the noise level. The first line is a linear
least-squares problem; `DataStep` solves it exactly if the operator has a decomposition, and by conjugate gradients
otherwise.

References:
    Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021.
        https://arxiv.org/abs/2008.13751
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import AveragePool, Bicubic, Operator
from ..operators.operator import conjugate_gradients
from ..priors.prior import Counted, Prior
from .method import PAPERS, Method, State


class DataStep:
    """Computes the image that agrees with a measurement and stays near another image.

    Args:
        operator: A, linear.
        y: the measurement, (B, ...) in [-1, 1] units.
        iterations: conjugate gradients if A has no decomposition; each costs one `A` and one `At`.

    Attributes:
        shape: of the images, (B, C, H, W).

    Raises:
        UsageError: A is not linear.
    """

    def __init__(self, operator: Operator, y: Tensor, iterations: int = 8) -> None:
        if not operator.linear:
            raise UsageError(f"a data step needs a linear operator; {type(operator).__name__} is not: use DPS or GDP")
        self._operator, self._y, self._iterations = operator, y, iterations
        self.shape = operator.image_shape(tuple(y.shape))
        self._svd = operator.svd(self.shape)
        if self._svd is not None:
            self._s = self._svd.s.to(y)
            self._seen = self._s * self._svd.Ut(y)

    def __call__(self, x0: Tensor, weight: float) -> Tensor:
        r"""Minimises `|A x - y|^2 + weight |x - x0|^2` over x.

        With A = U s V^T this is :math:`x_0 + V \frac{s U^T y - s^2 V^T x_0}{s^2 + w}`. Without a decomposition the
        conjugate gradients start from `x0`, so that unreached components keep its values.

        Args:
            x0: (B, C, H, W).
            weight: w, 0 or more; 0 gives the image nearest to `x0` among the best fits to `y`.

        Returns:
            x, (B, C, H, W).
        """
        if self._svd is not None:
            power = self._s.square()
            # With w = 0 the null space would be 0 / 0; there nothing is to be changed.
            share = torch.where(power > 0, 1 / (power + weight).clamp_min(torch.finfo(power.dtype).tiny), 0)
            return x0 + self._svd.V(share * (self._seen - power * self._svd.Vt(x0)))
        operator = self._operator

        def product(v: Tensor) -> Tensor:
            return operator.At(operator.A(v)) + weight * v

        return x0 + conjugate_gradients(product, operator.At(self._y - operator.A(x0)), self._iterations)

    def start(self) -> Tensor:
        """Initial image: the measurement if it has the image's size, else its pseudo-inverse.

        For a reduction it is the small image enlarged by a cubic filter, as in the paper: the pseudo-inverse of block
        means has steps between blocks, which a denoiser would keep.
        """
        if tuple(self._y.shape) == tuple(self.shape):
            return self._y
        if isinstance(self._operator, AveragePool | Bicubic):
            return F.interpolate(self._y, self.shape[-2:], mode="bicubic")
        return self._operator.pinv(self._y)


def geometric(first: float, last: float, steps: int) -> list[float]:
    """Levels from first to last with a constant ratio."""
    levels: list[float] = torch.linspace(math.log(first), math.log(last), steps, dtype=torch.float64).exp().tolist()
    return levels


@dataclass(frozen=True)
class DPIR(Method):
    """Restores a known linear degradation by splitting it from a denoiser (Zhang et al., TPAMI 2021).

    Costs `steps` evaluations; deterministic. Needs the noise level, which may be 0.

    Attributes:
        steps: data steps, each with one evaluation after it; 8 is the paper's for blur, 24 for reduction.
        strength: first level of the denoiser, in [0, 1] units; the paper's is 49 / 255.
        weight: lambda, the weight of the prior against the measurement.
        least: least assumed noise and least last level of the denoiser, in [0, 1] units.
        inner: conjugate gradients for a data step, if the operator has no decomposition.
        ensemble: whether the denoiser gets the image in a different orientation at each step.
        ends: "prior" gives the last denoised image, as published; "data" makes one more data step, after which the
            result agrees with the measurement as well as its noise allows.
    """

    blind: ClassVar[bool] = False
    presets = PAPERS

    steps: int = 8
    strength: float = 49 / 255
    weight: float = 0.23
    least: float = 0.255 / 255
    inner: int = 8
    ensemble: bool = True
    ends: Literal["prior", "data"] = "prior"

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 < self.strength < math.inf, "strength", "above 0")
        self.require(0 < self.weight < math.inf, "weight", "above 0")
        self.require(0 < self.least < math.inf, "least", "above 0")
        self.require(self.inner >= 1, "inner", "at least 1")
        self.require(self.ends in ("prior", "data"), "ends", "prior or data")

    def levels(self, sigma_y: float) -> list[float]:
        """Levels of the denoiser in [-1, 1] units, from `strength` down to the noise."""
        last = max(sigma_y, 2 * self.least)
        return geometric(max(2 * self.strength, last), last, self.steps)

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step."""
        return self.steps

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a step."""
        operator, sigma_y = self.operator_and_noise(problem)
        step, prior = DataStep(operator, problem.y, self.inner), Counted(prior)
        z, noise = step.start(), max(sigma_y, 2 * self.least)
        for done, sigma in enumerate(self.levels(sigma_y), 1):
            weight = self.weight * noise**2 / sigma**2
            x = step(z, weight)
            z = turned(prior, x, sigma, done - 1 if self.ensemble else 0)
            last = done == self.steps
            result = step(z, weight) if last and self.ends == "data" else z
            yield State(done, self.steps, 0.0 if last else sigma, result if last else x, z, prior.nfe)


def turned(prior: Prior, x: Tensor, sigma: float, way: int) -> Tensor:
    """Evaluates the prior on an image in one of eight orientations and turns the estimate back.

    Args:
        prior: the prior.
        x: (B, C, H, W) at level sigma.
        sigma: its level.
        way: 0 as it is; bit 0 swaps the axes, bits 1 and 2 mirror one each; counted modulo 8.
    """

    def there(image: Tensor) -> Tensor:
        axes = [axis for axis, bit in ((-1, 2), (-2, 4)) if way & bit]
        return image.flip(axes) if axes else image

    if way & 1:
        return there(prior(there(x).mT.contiguous(), sigma).mT)
    return there(prior(there(x), sigma))
