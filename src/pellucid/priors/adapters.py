r"""Networks as priors.

`VENetwork` is for networks in the library's coordinates. `VPNetwork` is for variance-preserving models such as DDPM:
the network takes `x_vp = sqrt(abar_t) x` and a training step t. It predicts one of three quantities, from which the
posterior mean follows, with `abar = 1 / (1 + sigma^2)`:

- the noise, epsilon (Ho et al. 2020, eq. 15): `x0 = x - sigma epsilon`;
- v = sqrt(abar) epsilon - sqrt(1 - abar) x0 (Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, section 4):
  `x0 = sqrt(abar) x_vp - sqrt(1 - abar) v`;
- x0 itself.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import UsageError

Prediction = Literal["epsilon", "v", "x0"]


class VENetwork:
    """Makes a prior of a network that estimates x0 in the library's coordinates.

    Args:
        network: `network(x, sigma) -> x0`, x (B, C, H, W) in variance-exploding coordinates, sigma (B,).
        sigmas: its training ladder, ascending, (T,).
        channels: image channels.
        multiple: H and W must divide by this.

    Example:
        >>> prior = priors.VENetwork(lambda x, sigma: 0 * x, noise.linear_ladder())
        >>> prior(torch.ones(1, 3, 8, 8), 0.5).abs().max().item()
        0.0
    """

    def __init__(self, network: Callable[..., Tensor], sigmas: Tensor, *, channels: int = 3, multiple: int = 1) -> None:
        self.network = network
        self.sigmas = sigmas.to("cpu", torch.float64)
        self.channels = channels
        self.multiple = multiple

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`; UsageError for images that do not suit the network."""
        check_images(x, self.channels, self.multiple)
        # Of a number, at a quarter of the cost of `as_tensor`, which small images would feel.
        level = sigma.to(x).expand(len(x)) if isinstance(sigma, Tensor) else x.new_full(x.shape[:1], sigma)
        return evaluate(self.estimate, x, level)

    def estimate(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Calls the network, with x (B, C, H, W) and sigma (B,)."""
        return self.network(x, sigma)


class VPNetwork:
    """A variance-preserving network as a prior.

    Args:
        network: `network(x_vp, t) -> prediction`, x_vp (B, C, H, W), t (B,) float. A result with twice the channels
            carries a learned variance in its second half, which a posterior mean does not need; see `learned`.
        sigmas: its training ladder, ascending, (T,); `sigmas[t]` is the level of training step t.
        prediction: predicted quantity.
        channels: image channels.
        multiple: H and W must divide by this.
        timesteps: conversion of a noise level to a step: "continuous" interpolates t in log sigma, for levels between
            those of training; "nearest" takes the nearest training step, as in implementations that only use these.
            Levels outside the ladder get its first or last step.
        ranged: whether a learned variance is a position in its range; see `learned`. Another kind is ignored.

    Raises:
        UsageError: an unknown prediction or timesteps, or a ladder that does not ascend.

    Example:
        >>> prior = priors.VPNetwork(lambda x, t: 0 * x, noise.linear_ladder())
        >>> prior(torch.ones(1, 3, 8, 8), 0.5).mean().item()
        1.0
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        sigmas: Tensor,
        prediction: Prediction = "epsilon",
        *,
        channels: int = 3,
        multiple: int = 1,
        timesteps: Literal["continuous", "nearest"] = "continuous",
        ranged: bool = True,
    ) -> None:
        if prediction not in ("epsilon", "v", "x0"):
            raise UsageError(f"a network predicts epsilon, v or x0, not {prediction!r}")
        if timesteps not in ("continuous", "nearest"):
            raise UsageError(f"timesteps are continuous or nearest, not {timesteps!r}")
        check_ladder(sigmas)
        self.network = network
        self.sigmas = sigmas.to("cpu", torch.float64)
        self.prediction = prediction
        self.channels = channels
        self.multiple = multiple
        self.timesteps = timesteps
        self.ranged = ranged
        self._log_sigmas: list[float] = self.sigmas.log().tolist()

    def time_of(self, sigma: float) -> float:
        """Training step of a noise level, a whole number at the ladder's levels."""
        ladder, level = self._log_sigmas, math.log(max(sigma, 1e-12))
        if level <= ladder[0]:
            return 0.0
        if level >= ladder[-1]:
            return float(len(ladder) - 1)
        after = bisect.bisect_left(ladder, level)
        share = (level - ladder[after - 1]) / (ladder[after] - ladder[after - 1])
        return float(after - 1 + (round(share) if self.timesteps == "nearest" else share))

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`; UsageError for images that do not suit the network."""
        return self._predict(x, sigma)[0]

    def learned(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Estimates the clean images and the learned variance of a step in one evaluation.

        The network's v in [-1, 1] is the position of the variance between its two bounds on a logarithmic scale
        (Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672, eq. 15): with w = (v + 1) / 2,
        `log Sigma = w log beta + (1 - w) log beta~`.

        Args:
            x: (B, C, H, W) in variance-exploding coordinates.
            sigma: noise level, one for all or (B,).

        Returns:
            x0 followed by w, 0 for the posterior's variance and 1 for beta, not clamped, (B, 2 C, H, W).

        Raises:
            UsageError: the network has no learned variance, or not as a share of its range.
        """
        if not self.ranged:
            raise UsageError(
                "this prior's network has learnt a variance by itself (variance_type learned), not where it lies in "
                "its range (learned_range): take the posterior's, or beta"
            )
        x0, v = self._predict(x, sigma)
        if v.shape != x0.shape:
            raise UsageError("this prior's network has no learned variance: take the posterior's, or beta")
        return torch.cat([x0, (v + 1) / 2], 1)

    def _predict(self, x: Tensor, sigma: float | Tensor) -> tuple[Tensor, Tensor]:
        """Returns the estimate, and further channels of the network's output."""
        check_images(x, self.channels, self.multiple)
        if isinstance(sigma, Tensor) and sigma.ndim:
            t = torch.tensor([self.time_of(level) for level in sigma.tolist()], device=x.device)
            sigma = sigma.to(x).view(-1, 1, 1, 1)
            scale: float | Tensor = (1 + sigma**2).rsqrt()
        else:
            sigma = float(sigma)
            t = torch.full((len(x),), self.time_of(sigma), device=x.device)
            scale = 1 / math.sqrt(1 + sigma * sigma)
        made = evaluate(self.network, x * scale, t)
        predicted, rest = made[:, : self.channels], made[:, self.channels :]
        if self.prediction == "epsilon":
            return x - sigma * predicted, rest
        if self.prediction == "v":
            return scale * scale * x - sigma * scale * predicted, rest
        return predicted, rest


def check_ladder(sigmas: Tensor) -> None:
    """Rejects an invalid training ladder.

    Raises:
        UsageError: the ladder is not (T,) with at least two ascending levels above 0.
    """
    if sigmas.ndim != 1 or len(sigmas) < 2 or not (sigmas.diff() > 0).all() or sigmas[0] <= 0:
        raise UsageError("a training ladder is at least two positive sigmas, ascending")


def check_images(x: Tensor, channels: int, multiple: int) -> None:
    """Rejects images (B, C, H, W) that do not suit a network.

    Raises:
        UsageError: the number of channels differs, or a side does not divide by `multiple`.
    """
    found, height, width = x.shape[-3:]
    if found != channels:
        raise UsageError(f"this prior takes images of {channels} channels, not of {found}")
    if height % multiple or width % multiple:
        raise UsageError(
            f"this prior takes images whose sides divide by {multiple}, not {height} x {width}: "
            "pellucid.priors.Padded makes it take any"
        )


_PRECISION: ContextVar[torch.dtype | None] = ContextVar("precision", default=None)


@contextmanager
def computing_in(precision: torch.dtype) -> Iterator[None]:
    """Lets networks compute convolutions and matrix products at a precision other than float32."""
    token = _PRECISION.set(precision)
    try:
        yield
    finally:
        _PRECISION.reset(token)


def evaluate(network: Callable[[Tensor, Tensor], Tensor], x: Tensor, level: Tensor) -> Tensor:
    """Calls a network so that an image's result depends neither on the rest of its batch nor on the caller.

    On a CPU, the order of sums in convolutions and matrix products depends on the batch's size, and so do the last bits
    of the result. Image by image they do not, at hardly any cost, since one image keeps all cores busy. A caller's
    `torch.autocast` would silently change the result; only the named precision counts
    (`backends.Autocast`). Images in float64 are converted to float32 for a network with other weights.
    """
    if x.dtype == torch.float64 and not _takes_doubles(network):
        return evaluate(network, x.float(), level.float()).to(x)
    with alone(x.device.type, _PRECISION.get()):
        if x.shape[0] == 1 or x.device.type != "cpu":
            return network(x, level)
        return torch.cat([network(x[i : i + 1], level[i : i + 1]) for i in range(len(x))])


def _takes_doubles(network: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """True if a network, or its wrapper, computes in float64; a plain function takes any type."""
    owner = getattr(network, "__self__", network)
    module = owner if isinstance(owner, nn.Module) else getattr(owner, "network", None)
    weights = module.parameters() if isinstance(module, nn.Module) else ()
    return all(weight.dtype == torch.float64 for weight in weights if weight.is_floating_point())


@contextmanager
def alone(device: str = "cpu", precision: torch.dtype | None = None) -> Iterator[None]:
    """Disables a caller's `torch.autocast` on a kind of device, and sets a precision if one is given."""
    if precision is None and (device == "meta" or not torch.is_autocast_enabled(device)):
        yield
        return
    with torch.autocast(device, precision, enabled=precision is not None):
        yield
