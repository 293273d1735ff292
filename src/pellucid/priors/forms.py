r"""Parametrisations of networks for clean images, in this library's coordinates.

With `x = x0 + sigma n`, nearly every parametrisation is a network F with five numbers for a noise level ([EDM], table
1):

.. math:: D(x, \sigma) = c_{skip} x + c_{out} F(c_{in} x + c_{shift}, t)

With s the spread of the data, r = sqrt(sigma^2 + s^2), d = sigma - least and u = sigma / (1 + sigma):

| form | c_in | c_shift | c_skip | c_out | t |
|---|---|---|---|---|---|
| `Edm` | 1 / r | 0 | s^2 / r^2 | +- sigma s / r | ln(sigma) / 4 |
| `Score`, of images in [0, 1] | 1/2 | 1/2 | 1 | sigma^2 / 2 | sigma / 2 |
| `Continuous`, of noise | 1 / sqrt(1 + sigma^2) | 0 | 1 | -sigma | 999 t(sigma) |
| `Consistency` | 1 / r | 0 | s^2 / (d^2 + s^2) | d s / r | 250 ln(sigma) |
| `Flow` | 1 / (1 + sigma) | 0 | 1 / (1 + sigma) | -u | T u |

Some models begin with pure noise: zero terminal SNR, flow matching. Their last level would be infinite, which no image
`x0 + sigma n` has. `INFINITE` stands for it: there x0 is below the rounding of n in single precision, and the network
gets its step for pure noise.

References:
    [EDM] Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022.
        https://arxiv.org/abs/2206.00364
    [SDE] Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", 2021, appendix C.
        https://arxiv.org/abs/2011.13456
    [CM] Song et al., "Consistency Models", 2023, appendix C. https://arxiv.org/abs/2303.01469
    [FM] Lipman et al., "Flow Matching for Generative Modeling", 2023. https://arxiv.org/abs/2210.02747
    [SNR] Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2024.
        https://arxiv.org/abs/2305.08891
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import PellucidError, UsageError
from .adapters import check_images, check_ladder, evaluate

INFINITE = 2.0**20
"""The noise level that stands for an infinite one."""


class Coefficients(NamedTuple):
    """The numbers for one noise level; see the module's page."""

    into: float
    shift: float
    skip: float
    out: float
    time: float


class Form(Protocol):
    """A parametrisation of a network.

    Attributes:
        schedule: kind of its noise levels, for people.
        predicts: quantity that its network predicts, for people.
    """

    @property
    def schedule(self) -> str: ...  # noqa: D102 - described above

    @property
    def predicts(self) -> str: ...  # noqa: D102

    def at(self, sigma: float, known: float) -> Coefficients:
        """Returns the numbers for a noise level.

        Args:
            sigma: the level, 0 or more.
            known: the nearest level of the network's training, whose time it gets.
        """
        ...


@dataclass(frozen=True)
class Edm:
    """[EDM], table 1. A network for v has the opposite sign.

    Attributes:
        sigma_data: spread of the data.
        v: whether the network predicts v.
    """

    sigma_data: float = 0.5
    v: bool = False
    schedule = "EDM"

    @property
    def predicts(self) -> str:
        """See `Form`."""
        return "v" if self.v else "epsilon"

    def at(self, sigma: float, known: float) -> Coefficients:
        """See `Form`."""
        spread = self.sigma_data
        total = math.hypot(sigma, spread)
        out = sigma * spread / total
        return Coefficients(1 / total, 0, (spread / total) ** 2, -out if self.v else out, math.log(known) / 4)


@dataclass(frozen=True)
class Score:
    """Gradient of the log density of images in [0, 1], from the variance-exploding networks of [SDE]."""

    schedule = "variance exploding"
    predicts = "the score"

    def at(self, sigma: float, known: float) -> Coefficients:
        """See `Form`."""
        return Coefficients(0.5, 0.5, 1, sigma * sigma / 2, known / 2)


@dataclass(frozen=True)
class Continuous:
    r"""The variance-preserving networks of [SDE] in continuous time, `sigma^2 = exp(B(t)) - 1`.

    .. math:: B(t) = t \beta_{min} + t^2 (\beta_{max} - \beta_{min}) / 2

    Attributes:
        beta_min: at time 0.
        beta_max: at time 1.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    schedule = "variance preserving, continuous"
    predicts = "epsilon"

    def sigma(self, t: Tensor) -> Tensor:
        """Noise levels of times from 0 to 1."""
        return torch.expm1(t * self.beta_min + t * t * (self.beta_max - self.beta_min) / 2).sqrt()

    def at(self, sigma: float, known: float) -> Coefficients:
        """See `Form`; networks get 999 t, as in the code of [SDE]."""
        slope, grown = self.beta_max - self.beta_min, math.log1p(known * known)
        # The root of slope t^2 / 2 + beta_min t = grown, written so that a slope of 0 is none to divide by.
        t = 2 * grown / (self.beta_min + math.sqrt(self.beta_min**2 + 2 * slope * grown))
        return Coefficients(1 / math.hypot(1, sigma), 0, 1, -sigma, 999 * t)


@dataclass(frozen=True)
class Consistency:
    """[CM], appendix C: an image on the path through x, not the mean of all images behind it.

    Attributes:
        least: the level of clean images.
        sigma_data: spread of the data.
    """

    least: float = 0.002
    sigma_data: float = 0.5
    schedule = "consistency"
    predicts = "the end of the path"

    def at(self, sigma: float, known: float) -> Coefficients:
        """See `Form`."""
        spread, above = self.sigma_data, max(sigma - self.least, 0.0)
        total = math.hypot(sigma, spread)
        skip = (spread / math.hypot(above, spread)) ** 2
        return Coefficients(1 / total, 0, skip, above * spread / total, 250 * math.log(known))


@dataclass(frozen=True)
class Flow:
    """Flow matching along straight lines, `x_u = (1 - u) x0 + u n` ([FM]); the network gives `n - x0`.

    Attributes:
        steps: the network's time for pure noise; T above.
    """

    steps: float = 1000.0
    schedule = "flow matching"
    predicts = "the velocity"

    def at(self, sigma: float, known: float) -> Coefficients:
        """See `Form`."""
        told = 1.0 if known >= INFINITE else known / (1 + known)
        kept = 1 / (1 + sigma)
        return Coefficients(kept, 0, kept, -sigma * kept, self.steps * told)


class Formed:
    """A network in one of these parametrisations as a prior.

    Args:
        network: `network(x, t) -> F`, x (B, C, H, W), t (B,) float. Channels after the image's are ignored.
        form: its parametrisation.
        sigmas: its training ladder, ascending, (T,).
        channels: image channels.
        multiple: H and W must divide by this.

    Raises:
        UsageError: the ladder does not ascend.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        form: Form,
        sigmas: Tensor,
        *,
        channels: int = 3,
        multiple: int = 1,
    ) -> None:
        check_ladder(sigmas)
        self.network, self.form = network, form
        self.sigmas = sigmas.to("cpu", torch.float64)
        self.channels, self.multiple = channels, multiple
        self._least, self._most = self.sigmas[0].item(), self.sigmas[-1].item()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`; UsageError for images that do not suit the network."""
        check_images(x, self.channels, self.multiple)
        levels = sigma.flatten().tolist() if isinstance(sigma, Tensor) else [sigma]
        each = [self.form.at(level, min(max(level, self._least), self._most)) for level in levels]
        if len(each) == 1:
            into, shift, skip, out, _ = each[0]
            made = self._made(x * into + shift, _times(x, [each[0].time] * len(x)))
            return skip * x + out * made
        columns = (x.new_tensor(part).view(-1, 1, 1, 1) for part in list(zip(*each, strict=True))[:4])
        wide_into, wide_shift, wide_skip, wide_out = columns
        made = self._made(x * wide_into + wide_shift, _times(x, [one.time for one in each]))
        return wide_skip * x + wide_out * made

    def _made(self, x: Tensor, t: Tensor) -> Tensor:
        made = evaluate(self.network, x, t)[:, : self.channels]
        if made.shape != x.shape:
            raise PellucidError(f"the network makes {tuple(made.shape)} of images {tuple(x.shape)}")
        return made


def _times(x: Tensor, times: list[float]) -> Tensor:
    """Excludes times from conversion, since half precision would merge neighbouring ones."""
    return torch.tensor(times, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)


def zero_terminal(abar: Tensor) -> Tensor:
    """Stretches signal shares, (T,), so that the last is 0 and the first stays ([SNR], algorithm 1)."""
    root = abar.sqrt()
    first, last = root[0], root[-1]
    return ((root - last) * (first / (first - last))) ** 2


def levels_of(abar: Tensor) -> Tensor:
    """Noise levels of signal shares, descending, (T,); `INFINITE` for a share of 0.

    Raises:
        UsageError: the last level but one is not below `INFINITE`.
    """
    sigmas = ((1 - abar) / abar).sqrt()
    sigmas = torch.where(abar <= 0, sigmas.new_tensor(INFINITE), sigmas)
    if (sigmas > INFINITE).any():
        raise UsageError(f"a noise level lies above {INFINITE:.0f}, which stands for an infinite one")
    return sigmas
