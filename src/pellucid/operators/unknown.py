r"""Degradations with unknown parameters, which a method estimates during the restoration.

Each is a family `A_theta` with separate parameters theta for each image. A method's states report the estimates.

References:
    Fei et al., "Generative Diffusion Prior for Unified Image Restoration and Enhancement", CVPR 2023, section 4.3:
        y = f x + M. https://arxiv.org/abs/2304.01247
    Chihaoui et al., "Blind Image Restoration via Fast Diffusion Inversion" (BIRD), NeurIPS 2024: a kernel that is
        learnt with the image. https://arxiv.org/abs/2405.19572
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import to_model, to_zero_one
from .blur import convolve
from .cosine import dct2, idct2
from .decoder import Decoder
from .operator import Operator

Theta = dict[str, Tensor]
"""Parameters by name, each (B, ...)."""


class Unknown:
    """Base of families of degradations."""

    def image_shape(self, measured: tuple[int, ...], channels: int) -> tuple[int, ...]:
        """Shape of the images whose measurements have the shape `measured`.

        Args:
            measured: (B, ...).
            channels: the prior's.
        """
        return measured

    def start(self, y: Tensor, channels: int, rng: Streams) -> Theta:
        """Initial parameters.

        Args:
            y: measurements, (B, ...) in [-1, 1].
            channels: the prior's.
            rng: each image's random stream.
        """
        return {}

    def A(self, x: Tensor, theta: Theta, y: Tensor) -> Tensor:  # noqa: N802
        """Degrades images, differentiable in x and theta.

        Args:
            x: (B, C, H, W) in [-1, 1].
            theta: parameters.
            y: the measurement; a clipped value lies beyond the range, so any value beyond the range agrees with it.
        """
        raise NotImplementedError

    def optimiser(self, theta: Theta) -> torch.optim.Optimizer | None:
        """Optimiser of the parameters; None without parameters."""
        return None

    def found(self, theta: Theta, y: Tensor) -> dict[str, Tensor]:
        """Parameters in a form for people, by name, (B, ...)."""
        return {}


@dataclass(frozen=True)
class Known(Unknown):
    """A degradation without unknown parameters.

    Attributes:
        operator: the degradation.
    """

    operator: Operator

    def image_shape(self, measured: tuple[int, ...], channels: int) -> tuple[int, ...]:
        """See `Unknown`."""
        return self.operator.image_shape(measured)

    def A(self, x: Tensor, theta: Theta, y: Tensor) -> Tensor:  # noqa: N802
        """See `Unknown`."""
        return self.operator.A(x)


@dataclass(frozen=True)
class After(Unknown):
    """A family of degradations of the decoded image of latents.

    Attributes:
        family: the unknown degradation.
        operator: decodes the image.
    """

    family: Unknown
    operator: Decoder

    def image_shape(self, measured: tuple[int, ...], channels: int) -> tuple[int, ...]:
        """See `Unknown`."""
        return self.operator.image_shape(self.family.image_shape(measured, self.operator.channels))

    def start(self, y: Tensor, channels: int, rng: Streams) -> Theta:
        """See `Unknown`."""
        return self.family.start(y, self.operator.channels, rng)

    def A(self, x: Tensor, theta: Theta, y: Tensor) -> Tensor:  # noqa: N802
        """See `Unknown`."""
        return self.family.A(self.operator.A(x), theta, y)

    def optimiser(self, theta: Theta) -> torch.optim.Optimizer | None:
        """See `Unknown`."""
        return self.family.optimiser(theta)

    def found(self, theta: Theta, y: Tensor) -> dict[str, Tensor]:
        """See `Unknown`."""
        return self.family.found(theta, y)


@dataclass(frozen=True)
class Light(Unknown):
    """A change of light, y = f x + M in [0, 1] units: a factor, and a map for all colours of a pixel.

    A measurement of several exposures, one after the other along its channels, has a factor and a map for each.

    Attributes:
        rate: of gradient descent on f.
        map_rate: rate of M, for the loss of a single pixel; 0 leaves M at 0. The released code has the rate 1 for the
            mean over all pixels, 1 / (C H W) for one of them, at which M hardly moves.
        cell: side in pixels of a cell with one number of M, with bilinear interpolation. Light changes slowly; with a
            number for each pixel, as published, M learns the image's noise.
        per_channel: whether each colour has a separate factor.
        smooth: weight of M's smoothness in the loss; steps of M are damped accordingly.
    """

    rate: float = 1.0
    map_rate: float = 0.1
    cell: int = 16
    per_channel: bool = False
    smooth: float = 0.0

    def image_shape(self, measured: tuple[int, ...], channels: int) -> tuple[int, ...]:
        """See `Unknown`.

        Raises:
            UsageError: the measurement has an incomplete exposure.
        """
        if measured[1] % channels:
            raise UsageError(f"exposures of {channels} channels each are expected, not {measured[1]} in all")
        return (measured[0], channels, *measured[2:])

    def start(self, y: Tensor, channels: int, rng: Streams) -> Theta:
        """See `Unknown`; f ~ N(0, 0.01^2), as in the released code, and M = 0."""
        exposures = y.shape[1] // channels
        factors = y.new_empty(len(y), exposures, channels if self.per_channel else 1, 1, 1)
        cells = [math.ceil(side / self.cell) for side in y.shape[2:]]
        return {"gain": 0.01 * rng.like(factors), "map": y.new_zeros(len(y), exposures, *cells)}

    def A(self, x: Tensor, theta: Theta, y: Tensor) -> Tensor:  # noqa: N802
        """See `Unknown`."""
        made = (theta["gain"] * to_zero_one(x)[:, None] + self.map(theta, y)[:, :, None]).flatten(1, 2)
        measured = to_zero_one(y)
        beyond = ((measured >= 1) & (made > measured)) | ((measured <= 0) & (made < measured))
        return to_model(torch.where(beyond, measured, made))

    def optimiser(self, theta: Theta) -> torch.optim.Optimizer:
        """See `Unknown`; gradient descent, whose step of M is implicit in the smoothness (`damped`)."""
        # The gradient of a mean has as many parts as there are cells.
        one_pixel = self.map_rate * theta["map"][0].numel()
        return _Damped(
            [{"params": [theta["gain"]], "lr": self.rate}, {"params": [theta["map"]], "lr": one_pixel}],
            {theta["map"]: self.damped},
        )

    def damped(self, move: Tensor) -> Tensor:
        r"""Damps a gradient of M, (B, n, h, w), so that a step of `map_rate` is stable for any cell.

        .. math:: P g, \quad P = (\max(1, l)\, I + 4 l w L / c^2)^{-1}

        with l the rate, w the weight of the smoothness, c the cell's side and L the Laplacian of the grid of cells.
        4 w L / c^2 bounds the curvature of the smoothness, in units where a cell's loss has at most 2. So a step
        multiplies no error by less than -1. P is positive definite, so the fixed point is that of plain descent. It is
        diagonal in cosines, and nearly 1 for a smooth M.
        """
        weight = 4 * self.map_rate * self.smooth / self.cell**2
        if not weight or move.shape[-2:] == (1, 1):
            return move / max(1.0, self.map_rate)
        down, across = (
            2 - 2 * torch.cos(torch.arange(side, dtype=torch.float64) * (math.pi / side)) for side in move.shape[-2:]
        )
        damping = max(1.0, self.map_rate) + weight * (down[:, None] + across)
        return idct2(dct2(move) / damping.to(move))

    def found(self, theta: Theta, y: Tensor) -> dict[str, Tensor]:
        """See `Unknown`; "gain", (B, n, 1 or C, 1, 1), and "map", (B, n, H, W), for n exposures."""
        return {"gain": theta["gain"].detach().clone(), "map": self.map(theta, y).detach()}

    def map(self, theta: Theta, y: Tensor) -> Tensor:
        """Map M of each exposure at the measurement's size, (B, n, H, W), in [0, 1] units."""
        return F.interpolate(theta["map"], y.shape[2:], mode="bilinear")


class _Damped(torch.optim.SGD):
    """Gradient descent with some gradients changed before each step."""

    def __init__(self, groups: list[dict[str, Any]], damping: dict[Tensor, Callable[[Tensor], Tensor]]) -> None:
        super().__init__(groups)
        self._damping = damping

    def step(self, closure: Any = None) -> Any:
        for parameter, damped in self._damping.items():
            if parameter.grad is not None:
                parameter.grad = damped(parameter.grad)
        return super().step(closure)


@dataclass(frozen=True)
class Kernel(Unknown):
    """Convolution with an unknown kernel of non-negative numbers with sum 1, equal in all places and colours.

    The kernel is the softmax of numbers that Adam optimises; edges are replicated.

    Attributes:
        size: the kernel's side in pixels, odd.
        rate: Adam's learning rate.
        spread: standard deviation of the initial Gaussian, in pixels.
    """

    size: int = 41
    rate: float = 0.05
    spread: float = 1.0

    def start(self, y: Tensor, channels: int, rng: Streams) -> Theta:
        """See `Unknown`."""
        # The logarithm itself, not the kernel's: far from the middle that one is rounded to 0.
        place = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        logits = -0.5 * (place[:, None] ** 2 + place**2) / self.spread**2
        # So far down that nothing comes back from there, a kernel would stay as small as it began.
        return {"logits": logits.clamp_min(_FAINTEST).to(y).expand(len(y), 1, -1, -1).clone()}

    def A(self, x: Tensor, theta: Theta, y: Tensor) -> Tensor:  # noqa: N802
        """See `Unknown`."""
        return convolve(x, self.kernel(theta))

    def kernel(self, theta: Theta) -> Tensor:
        """Kernels, (B, 1, size, size)."""
        return theta["logits"].flatten(1).softmax(1).view_as(theta["logits"])

    def optimiser(self, theta: Theta) -> torch.optim.Optimizer:
        """See `Unknown`."""
        return torch.optim.Adam([theta["logits"]], lr=self.rate)

    def found(self, theta: Theta, y: Tensor) -> dict[str, Tensor]:
        """See `Unknown`; the "kernel"."""
        return {"kernel": self.kernel(theta).detach()}


def family_of(operator: Operator | None, otherwise: Unknown) -> Unknown:
    """Estimate of the degradation.

    Args:
        operator: the known degradation.
        otherwise: model of the unknown part, if any: all of it, or the damage of a decoded image.
    """
    if operator is None:
        return otherwise
    return After(otherwise, operator) if isinstance(operator, Decoder) and operator.partial else Known(operator)


_FAINTEST = -6.0
