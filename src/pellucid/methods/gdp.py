r"""GDP: an unconditional chain, guided by a loss on its estimate, with a degradation that may be learnt on the way.

At each ancestral step the mean moves against the gradient of the difference between the measurement and the degraded
estimate (algorithm 2), in [0, 1] units. The gradient is with respect to the estimate x0, not through the network:

.. math:: x' \sim N(\mu - \zeta \nabla_{x_0} [L(A_\theta(x_0), y) + Q(x_0)],\ \Sigma), \quad
          \theta \leftarrow \theta - l \nabla_\theta [L + Q], \quad
          L(a, y) = \mathrm{mean}\left((a_{01} - y_{01})^2\right)

for variance-preserving latents. As in the released code, the guidance is not multiplied by Sigma; its scales assume
that, and they are large since the loss is a mean. `guide="xt"` uses the latent itself as the estimate (algorithm 1).
This is less accurate, since the latent has noise of its level and the measurement has none.

An unknown degradation is y = f x + M with a factor f and a map M (algorithm 2), or a convolution; the measurement may
be several exposures of one image. Q are Zero-DCE's losses, which need no clean image.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement", CVPR 2023.
        https://arxiv.org/abs/2304.01247
    Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020: the quality losses.
        https://arxiv.org/abs/2001.06826
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PellucidError, UsageError
from ..maths.noise import Streams, renoise
from ..maths.problem import Problem, to_zero_one
from ..operators.unknown import After, Kernel, Known, Light, Theta, Unknown, family_of
from ..priors.prior import Counted, Padded, Prior, learned
from .losses import colour_constancy, exposure, illumination_smoothness, ssim_loss
from .method import Effective, Method, State, Stepper, ancestral_spread, with_gradients


@dataclass(frozen=True)
class GDP(Stepper):
    """Restoration by guided sampling, with a known or learnt degradation (Fei et al., CVPR 2023).

    Costs `steps` evaluations, without gradients, and as many again for a preceding small image. The noise level is
    not used. A measurement of several exposures, (B, n C, H, W), gives one image.

    Attributes:
        steps: levels walked, or a few more if they do not divide the training ladder; 250 is the paper's shorter
            setting.
        scale: zeta. The released code has 2,000 for super-resolution by 4, 4,000 for inpainting, 6,000 for deblurring
            and colours and 160,000 for low light, at 1,000 steps of 256x256 images; for other sizes it is scaled so
            that each pixel moves as much. None is 2,000. For learnt light, None is 160,000 at 1,000 steps, and
            proportionally more for fewer steps.
        guide: "x0" or "xt", the quantity that the loss compares with the measurement.
        loss: "mse", "l1" or "ssim" (1 - SSIM), a mean over the measurement.
        variance: variance of an ancestral step. "posterior", of x' given x and x0, and "beta", of the forward step, are
            its bounds (DDPM, section 3.2). "learned" lies between them, pixel by pixel, and comes from the network
            (Improved DDPM, eq. 15; the released code) without further evaluations. guided-diffusion's networks with six
            output channels have learnt it.
        clip: whether estimates are clipped to [-1, 1], as in the released code.
        degradation: model of an unknown operator: "light", y = f x + M, or "kernel", a convolution.
        per_channel: whether each colour has an f of its own.
        rate: learning rate of f by gradient descent on the loss, or of the kernel's logarithm by Adam.
        map_rate: learning rate of M, on the loss of a single pixel; 0 leaves M out. None is 0.5 / `steps`, by which M
            comes as far in few steps as in many. The released code has 1 on the mean over all values.
        cell: side in pixels of a cell with one number of M; the paper's is 1, a number for each pixel.
        kernel: side of the kernel in pixels, odd.
        bright: weight of exposure control, whose mean brightness is `level`.
        level: see `bright`; in [0, 1].
        colour: weight of colour constancy.
        smooth: weight of the illumination map's smoothness.
        first: side in pixels of a reduced image that is restored first and guides the whole one (the paper's
            hierarchical guidance). The whole one starts with its learnt degradation. 0 for none.
        hold: weight of the mean squared difference to that small image.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"cell": 1, "map_rate": 1 / (3 * 256**2)}}

    takes_operator: ClassVar[bool] = True
    takes_exposures: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = False
    by_gradient: ClassVar[bool] = True

    effective: ClassVar[Effective] = {
        **{name: ("an unknown operator", lambda self, known: not known) for name in ("degradation", "rate")},
        "kernel": (
            "an unknown operator and degradation kernel",
            lambda self, known: self.degradation == "kernel" and not known,
        ),
        **{
            name: (
                "an unknown operator and degradation light",
                lambda self, known: self.degradation == "light" and not known,
            )
            for name in ("per_channel", "map_rate", "cell", "smooth")
        },
        "level": ("bright above 0", lambda self, _: self.bright > 0),
        "hold": ("first above 0", lambda self, _: self.first > 0),
    }

    steps: int = 1000
    scale: float | None = None
    guide: Literal["x0", "xt"] = "x0"
    loss: Literal["mse", "l1", "ssim"] = "mse"
    variance: Literal["posterior", "beta", "learned"] = "posterior"
    clip: bool = True
    degradation: Literal["light", "kernel"] = "light"
    per_channel: bool = False
    rate: float = 1.0
    map_rate: float | None = None
    cell: int = 16
    kernel: int = 41
    bright: float = 0.0
    level: float = 0.6
    colour: float = 0.0
    smooth: float = 1.0
    first: int = 0
    hold: float = 1.0

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(self.guide in ("x0", "xt"), "guide", "x0 or xt")
        self.require(self.loss in ("mse", "l1", "ssim"), "loss", "mse, l1 or ssim")
        self.require(self.variance in ("posterior", "beta", "learned"), "variance", "posterior, beta or learned")
        self.require(self.degradation in ("light", "kernel"), "degradation", "light or kernel")
        self.require(self.kernel >= 1 and self.kernel % 2 == 1, "kernel", "odd")
        self.require(self.cell >= 1, "cell", "at least 1")
        self.require(0 <= self.level <= 1, "level", "from 0 to 1")
        self.require(self.first >= 0, "first", "0 or more")
        self.require(self.scale is None or 0 <= self.scale < math.inf, "scale", "0 or more")
        self.require(self.map_rate is None or 0 <= self.map_rate < math.inf, "map_rate", "0 or more")
        for name in ("rate", "bright", "colour", "smooth", "hold"):
            self.require(0 <= getattr(self, name) < math.inf, name, "0 or more")

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; latents are not within [-1, 1] and have no brightness."""
        for field in ("first", "bright", "colour"):
            if getattr(self, field):
                raise UsageError(f"GDP: {field} is for pixels: in latents leave it at 0")
        return replace(self, clip=False), ""

    def nfe(self, prior: Prior) -> int:
        """One evaluation a level, and those of the small image, which is skipped if the whole one is no larger."""
        return super().nfe(prior) * (2 if self.first else 1)

    def family(self, problem: Problem) -> Unknown:
        """Family of degradations to fit."""
        if self.degradation == "kernel":
            return family_of(problem.operator, Kernel(self.kernel, self.rate))
        light = Light(self.rate, self.rate_of_map(), self.cell, self.per_channel, self.smooth)
        return family_of(problem.operator, light)

    def zeta(self, family: Unknown) -> float:
        """The `scale`, or its default for None."""
        if self.scale is not None:
            return self.scale
        learnt = family.family if isinstance(family, After) else family
        return 160_000 * max(1.0, 1000 / max(self.steps, 50)) if isinstance(learnt, Light) else 2000

    def rate_of_map(self) -> float:
        """The `map_rate`, or its default for None."""
        return 0.5 / self.steps if self.map_rate is None else self.map_rate

    @with_gradients
    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a level, first of the small image. `found` has "gain" and "map", or the "kernel"."""
        # The small image's size is this method's own, whatever sizes the prior takes.
        family, y, counted = self.family(problem), problem.y, Counted(Padded(prior) if self.first else prior)
        done, small, theta = 0, None, family.start(y, prior.channels, rng)
        levels = super().nfe(prior)
        ratio = self.first / max(y.shape[2:])
        if 0 < ratio < 1 and not isinstance(family, Known):
            size = [max(1, round(side * ratio)) for side in y.shape[2:]]
            reduced = F.interpolate(y, size, mode="area")
            whole, theta = theta, family.start(reduced, prior.channels, rng)
            for state in self._walk(family, reduced, counted, rng, theta, None, (0, 2 * levels)):
                yield state
                small = state.x
            done = levels
            if "map" in theta:
                # M is an image, too.
                theta["map"] = F.interpolate(theta["map"], whole["map"].shape[2:], mode="bilinear")
        yield from self._walk(family, y, counted, rng, theta, small, (done, done + levels))

    def _walk(
        self,
        family: Unknown,
        y: Tensor,
        prior: Counted,
        rng: Streams,
        theta: Theta,
        small: Tensor | None,
        count: tuple[int, int],
    ) -> Iterator[State]:
        """Samples one image and moves theta; `count` is the number of finished and of all steps."""
        ladder = self.ladder(prior.sigmas).tolist()
        optimiser = family.optimiser(theta)
        x = ladder[0] * rng.like(y.new_empty(family.image_shape(tuple(y.shape), prior.channels)))
        # The slope of a mean is the smaller, the larger the image; the scales are made for 256 x 256.
        strength = self.zeta(family) * x[0, 0].numel() / 256**2
        evaluate = learned(prior) if self.variance == "learned" else prior
        for step, (sigma, sigma_next) in enumerate(pairwise(ladder), count[0] + 1):
            x0, *share = evaluate(x, sigma).split(x.shape[1], 1)
            if self.clip:
                x0 = x0.clamp(-1, 1)
            # The variance-preserving latent is what "the latent" means to the authors.
            compared = x0 if self.guide == "x0" else x / math.sqrt(1 + sigma**2)
            losses, slope = self.gradients(family, compared, y, theta, small)
            if optimiser is not None:
                optimiser.step()
                self._check(theta)
            push = strength * math.sqrt(1 + sigma_next**2) * slope
            # The posterior's mean, mu, on which no noise is left that is not fresh.
            mean = renoise(x, x0, sigma, sigma_next**2 / sigma)
            x = mean - push + self.spread(sigma, sigma_next, *share) * rng.like(x)
            yield State(step, count[1], sigma_next, x, x0, prior.nfe, {"loss": losses}, found=family.found(theta, y))

    def _check(self, theta: Theta) -> None:
        """Rejects learnt light that diverges out of the range of images."""
        light = ("gain", "the factor f", "rate", self.rate), ("map", "the map M", "map_rate", self.rate_of_map())
        for name, what, rate, value in light:
            if name in theta and not theta[name].abs().max() < _ABSURD:
                largest = theta[name].abs().max().item()
                limit = f"{rate} below {value:g}"
                raise PellucidError(f"GDP: {what} of the light has grown to {largest:.3g}, it diverges: take a {limit}")

    def gradients(
        self, family: Unknown, x: Tensor, y: Tensor, theta: Theta, small: Tensor | None = None
    ) -> tuple[tuple[float, ...], Tensor]:
        """Loss of each image, and its gradient at x, (B, C, H, W); the gradient of theta is left in theta."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            for value in theta.values():
                value.requires_grad_()
            losses = self._disagreement(family.A(x, theta, y), y)
            if self.bright:
                losses = losses + self.bright * exposure(to_zero_one(x), self.level)
            if self.colour:
                losses = losses + self.colour * colour_constancy(to_zero_one(x))
            learnt = family.family if isinstance(family, After) else family
            if self.smooth and isinstance(learnt, Light):
                losses = losses + self.smooth * illumination_smoothness(learnt.map(theta, y))
            if small is not None:
                reduced = F.interpolate(x, small.shape[2:], mode="area")
                losses = losses + self.hold * _mean(to_zero_one(reduced) - to_zero_one(small))
            slope, *moves = torch.autograd.grad(losses.sum(), [x, *theta.values()])
        for value, move in zip(theta.values(), moves, strict=True):
            value.grad = move
            value.requires_grad_(False)
        return tuple(losses.tolist()), slope

    def _disagreement(self, made: Tensor, y: Tensor) -> Tensor:
        """The loss L of each image, (B,)."""
        made, y = to_zero_one(made), to_zero_one(y)
        if self.loss == "ssim":
            return ssim_loss(made, y)
        return _mean(made - y) if self.loss == "mse" else (made - y).abs().flatten(1).mean(1)

    def spread(self, sigma: float, sigma_next: float, share: Tensor | None = None) -> float | Tensor:
        """Fresh noise of a step's standard deviation; 0 at the last step. See `ancestral_spread`."""
        return ancestral_spread(sigma, sigma_next, self.variance, share)


_ABSURD = 1e4
"""Bound in [0, 1] units that no light exceeds."""


def _mean(difference: Tensor) -> Tensor:
    """Mean square of each image, (B,)."""
    return difference.square().flatten(1).mean(1)
