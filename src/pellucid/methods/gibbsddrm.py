r"""GibbsDDRM: DDRM for a blur with an unknown kernel, which is redrawn between its steps.

Given the kernel, a step of DDRM draws an image. Given the image's estimate, Langevin steps draw the kernel from its
posterior (algorithm 1):

.. math:: k \leftarrow k - \tfrac{h}{2} P \nabla_k \left[\frac{\| y - k * \hat x_0 \|^2}{2 \sigma_y^2}
          + \lambda \| k \|_1\right] + \sqrt{h}\, P^{1/2} n

and the step of DDRM is drawn again with the new kernel. The authors' P is the identity with a tiny h and hundreds of
steps, too few for parts of the kernel that the image hardly determines. Here the curvature of the bracket, which is
quadratic except for its last term, is known. With its inverse as P a few steps suffice. A ridge, a Gaussian prior of
the kernel's numbers, holds the parts that the image hardly determines.

A convolution has its decomposition in Fourier space only with a circular border. So the image is extended beyond its
edges by linear interpolation to the opposite ones. (The authors fill in the blurred estimate there; at the first
levels, where it is no image yet, that spoils a deconvolution.)

References:
    Murata et al., "GibbsDDRM: A Partially Collapsed Gibbs Sampler for Solving Blind Inverse Problems with Denoising
        Diffusion Restoration", ICML 2023. https://arxiv.org/abs/2301.12686
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import EllipsisType
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..diagnosis.estimate import noise_level
from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Blur
from ..operators.blur import convolve
from ..operators.unknown import Kernel
from ..priors.prior import Counted, Prior
from .method import Method, State, Stepper
from .spectral import Measured

Inside = tuple[EllipsisType, slice, slice]


@dataclass(frozen=True)
class GibbsDDRM(Stepper):
    """Undoes a blur with an unknown kernel (Murata et al., ICML 2023).

    Costs `steps` evaluations, and `repeats` more for each level with a draw of the kernel: 310 at the defaults on a
    ladder of 1,000 levels. The noise level is estimated from the image.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder: 4 for 3 of 1,000.
        eta: share of fresh noise where the measurement is blind.
        eta_y: share of fresh noise where it is noisier than the latent.
        eta_b: share of the measurement where it is less noisy.
        begin: share of the ladder below which the kernel is drawn.
        repeats: draws of the kernel, each with a draw of the image, at each level.
        langevin: steps of a draw of the kernel. The authors take 500, not preconditioned.
        size: h. The authors' is 1e-11 where P is the identity, for images of 256x256.
        preconditioned: whether P is the inverse of the curvature, not the identity.
        doubt: additional noise, in [-1, 1] units, for the residual of an inexact kernel.
        ridge: prior precision of the kernel's numbers, in units of the data term's mean curvature.
        sparsity: lambda; 1,000 in the authors' code.
        kernel: side of the kernel in pixels, odd.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The authors' code, for images of 256x256.
        "paper": {"langevin": 500, "preconditioned": False, "size": 1e-11}
    }

    steps: int = 100
    eta: float = 0.8
    eta_y: float = 0.6
    eta_b: float = 0.9
    begin: float = 0.7
    repeats: int = 3
    langevin: int = 10
    size: float = 0.5
    preconditioned: bool = True
    doubt: float = 0.05
    ridge: float = 0.05
    sparsity: float = 1000.0
    kernel: int = 33

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        for name in ("eta", "eta_y", "eta_b", "begin"):
            self.require(0 <= getattr(self, name) <= 1, name, "from 0 to 1")
        self.require(self.repeats >= 1, "repeats", "at least 1")
        self.require(self.langevin >= 1, "langevin", "at least 1")
        self.require(0 < self.size < math.inf, "size", "above 0")
        self.require(0 <= self.sparsity < math.inf, "sparsity", "0 or more")
        self.require(0 < self.doubt < math.inf, "doubt", "above 0")
        self.require(0 < self.ridge < math.inf, "ridge", "above 0")
        self.require(self.kernel >= 1 and self.kernel % 2 == 1, "kernel", "odd")

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; always rejected, since a blur of pixels is no blur of latents."""
        super().in_latents(known_operator)
        raise UsageError("GibbsDDRM looks for a blur of pixels, not of latents: take gdp with degradation=kernel")

    def nfe(self, prior: Prior) -> int:
        """One evaluation a level, and `repeats` more for each draw of the kernel."""
        ladder = self.ladder(prior.sigmas)
        return len(ladder) - 1 + self.repeats * sum(self._draws(ladder, after) for after in ladder.tolist()[1:])

    def _draws(self, ladder: Tensor, sigma_next: float) -> bool:
        """True if the kernel is drawn after the step to a level."""
        return 0 < sigma_next <= ladder[math.floor((1 - self.begin) * (len(ladder) - 1))].item()

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level, with the "noise" estimated. `found` has the "kernel"."""
        self.require_blind(problem)
        y, counted = problem.y, Counted(prior)
        ladder = self.ladder(prior.sigmas)
        levels = [math.hypot(noise_level(one[None]), self.doubt) for one in y]
        edge = self.kernel // 2
        # As wide as the kernel at least, and a size that the prior takes.
        room = [2 * edge + (-side - 2 * edge) % prior.multiple for side in y.shape[2:]]
        whole = _around(_around(y, room[1]).mT, room[0]).mT.roll((edge, edge), (-2, -1))
        family = Kernel(self.kernel)
        kernel = family.kernel(family.start(y, prior.channels, rng))
        measured = _Each(whole, kernel, levels)
        inside = (..., slice(edge, edge + y.shape[2]), slice(edge, edge + y.shape[3]))
        x = measured.start(ladder[0].item(), rng.like(whole))
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder.tolist()), 1):
            x0 = counted(x, sigma)
            moved = self._step(measured, x, x0, sigma, sigma_next, rng)
            if self._draws(ladder, sigma_next):
                for _ in range(self.repeats):
                    kernel = self.draw(kernel, counted(moved, sigma_next), whole, inside, levels, rng)
                    measured = _Each(whole, kernel, levels)
                    moved = self._step(measured, x, x0, sigma, sigma_next, rng)
            x = moved
            yield State(
                step, len(ladder) - 1, sigma_next, x[inside], x0[inside], counted.nfe,
                {"noise": tuple(levels)}, found={"kernel": kernel},
            )  # fmt: skip

    def _step(self, measured: _Each, x: Tensor, x0: Tensor, sigma: float, sigma_next: float, rng: Streams) -> Tensor:
        return measured.step(x, x0, sigma, sigma_next, rng.like(x), self.eta, self.eta_b, self.eta_y)

    def draw(self, kernel: Tensor, x0: Tensor, y: Tensor, inside: Inside, levels: list[float], rng: Streams) -> Tensor:
        """Draws kernels by Langevin steps, non-negative and with sum 1, (B, 1, h, w).

        Args:
            kernel: before them.
            x0: estimates of the images, (B, C, H, W).
            y: measurements on the same canvas.
            inside: mask of the measured pixels on the canvas.
            levels: noise levels of the images, in [-1, 1] units.
            rng: each image's random stream.
        """
        noise = [rng.like(kernel) for _ in range(self.langevin)]
        drawn = []
        for i, level in enumerate(levels):
            k = before = kernel[i].flatten().double()
            image, measured = x0[i].double(), y[i].double()
            # P = (L L^T)^-1; noise of covariance P is L^-T n.
            factor, held = torch.eye(len(k)).to(k), 0.0
            if self.preconditioned:
                curvature = normal_matrix(image, self.kernel) / level**2
                held = self.ridge * curvature.diagonal().mean().item()
                factor = torch.linalg.cholesky(curvature.add_(factor, alpha=held))
            for n in noise:
                slope = (
                    data_slope(k, image, measured, inside) / level**2 + self.sparsity * k.sign() + held * (k - before)
                )
                half = torch.linalg.solve_triangular(factor, slope[:, None], upper=False)[:, 0]
                move = math.sqrt(self.size) * n[i].flatten().double() - self.size / 2 * half
                k = k + torch.linalg.solve_triangular(factor.mT, move[:, None], upper=True)[:, 0]
            k = k.clamp_min(0)
            # Where nothing positive is left, or an estimate was no number, nothing was learnt.
            k = k / k.sum() if 0 < k.sum() < math.inf else before
            drawn.append(k.view_as(kernel[i]).to(kernel))
        return torch.stack(drawn)


def data_slope(kernel: Tensor, x: Tensor, y: Tensor, inside: Inside) -> Tensor:
    """Gradient of `|y - k * x|^2 / 2` on measured pixels with respect to the kernel, (size^2,).

    Args:
        kernel: (size^2,).
        x: an image on its canvas, (C, H, W), no smaller than the kernel.
        y: its measurement, the same shape.
        inside: where it was measured.
    """
    size = math.isqrt(len(kernel))
    made = convolve(x[None], kernel.view(1, 1, size, size), "circular")[0]
    residual = torch.zeros_like(made)
    residual[inside] = made[inside] - y[inside]
    return _correlation(x, residual)[_places(x, size)]


def normal_matrix(x: Tensor, size: int) -> Tensor:
    """H of `|k * x|^2 = k^T H k` for circular convolution with kernels (size, size), (size^2, size^2)."""
    apart = torch.arange(1 - size, size)
    found = _correlation(x, x)[(apart % x.shape[-2])[:, None], apart % x.shape[-1]]
    # From pixel j to pixel i of a kernel is i - j: a window of all differences for each i, read from its end.
    return found.unfold(0, size, 1).unfold(1, size, 1).flip(2, 3).reshape(size**2, size**2)


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """`sum_p x(p) y(p + d)` for each shift d, circular, over all channels, (H, W)."""
    found: Tensor = torch.fft.irfft2((torch.fft.rfft2(x).conj() * torch.fft.rfft2(y)).sum(0), s=x.shape[-2:])
    return found


def _places(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of a kernel's numbers on the canvas, with its middle at the first pixel."""
    place = torch.arange(size) - size // 2
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    return rows.flatten() % x.shape[-2], columns.flatten() % x.shape[-1]


def _around(y: Tensor, room: int) -> Tensor:
    """Extends an image after the last column by so many more, linearly to the first one."""
    share = (torch.arange(room).to(y) + 1) / (room + 1)
    return torch.cat([y, torch.lerp(y[..., -1:], y[..., :1], share)], -1)


class _Each:
    """Arithmetic of DDRM for images with a kernel and a noise level each."""

    def __init__(self, y: Tensor, kernel: Tensor, levels: list[float]) -> None:
        blurs = [Blur(k[0]) for k in kernel]
        self._parts = [
            Measured(Problem(y[i : i + 1]), blur, level, "GibbsDDRM")
            for i, (blur, level) in enumerate(zip(blurs, levels, strict=True))
        ]

    def start(self, sigma: float, n: Tensor) -> Tensor:
        return torch.cat([part.V(part.start(sigma, n[i : i + 1])) for i, part in enumerate(self._parts)])

    def step(
        self, x: Tensor, x0: Tensor, sigma: float, sigma_next: float, n: Tensor, eta: float, eta_b: float, eta_y: float
    ) -> Tensor:
        moved = []
        for i, part in enumerate(self._parts):
            z, z0 = part.Vt(x[i : i + 1]), part.Vt(x0[i : i + 1])
            moved.append(part.V(part.step(z, z0, sigma, sigma_next, n[i : i + 1], eta, eta_b, eta_y)))
        return torch.cat(moved)
