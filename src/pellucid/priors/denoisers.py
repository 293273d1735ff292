r"""Denoisers as Python objects: networks of k-diffusion and EDM, any function, and denoisers without a level.

A denoiser D(x, sigma) trained on squared errors is the posterior mean ([EDM], appendix B.3), and so a prior. A denoiser
of the image alone, f(x), has learnt to infer the level. On images of its training distribution it is the posterior mean
at any level, and so serves as a prior ([Implicit], section 2). It ignores a given level, so `estimate.noise_seen`
returns |x - f(x)| / 0.95.

References:
    [EDM] Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022.
        https://arxiv.org/abs/2206.00364. Its networks: https://github.com/NVlabs/edm
    [k-diffusion] Crowson, whose `Denoiser`s have the same arguments. https://github.com/crowsonkb/k-diffusion
    [Implicit] Kadkhodaie and Simoncelli, "Stochastic Solutions for Linear Inverse Problems using the Prior Implicit in
        a Denoiser", 2021. https://arxiv.org/abs/2007.13640
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError
from ..maths.noise import linear_ladder
from ..maths.problem import to_model, to_zero_one
from .adapters import VENetwork, check_ladder
from .forms import INFINITE
from .prior import Prior


class EDM(VENetwork):
    """Makes a prior of a denoiser `D(x, sigma) -> x0`: a network of EDM or k-diffusion, or any function.

    A module's weights are used without a copy, frozen and in inference mode; the module itself does not change.

    Args:
        network: the denoiser; x (B, C, H, W) with images in [-1, 1], sigma (B,). A batch comes image by image on a CPU.
        sigmas: its training ladder, ascending, (T,), the basis of the methods' steps. None for the network's `sigmas`,
            as in k-diffusion, else DDPM's, from 0.01 to 157, within `sigma_min` and `sigma_max`.
        channels: image channels; None for the network's `img_channels` or `channels`, else 3.
        multiple: divisor of H and W; None for the network's `multiple`, or the value in the names of an EDM network's
            levels, else 1.
        label: the class of the images, from 0, for a network of `label_dim` classes, which takes it as its third
            argument. None leaves it out, which such networks accept.

    Raises:
        UsageError: the network cannot be called, or the ladder does not ascend.
        PellucidError: the network has no such class, or cannot be copied.

    Example:
        >>> prior = priors.EDM(lambda x, sigma: x / (1 + sigma.view(-1, 1, 1, 1) ** 2))
        >>> prior(torch.ones(1, 3, 8, 8), 1.0).mean().item()
        0.5
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        *,
        sigmas: Tensor | None = None,
        channels: int | None = None,
        multiple: int | None = None,
        label: int | None = None,
    ) -> None:
        sigmas = _ladder(network) if sigmas is None else sigmas
        _check(network, sigmas, channels, multiple)
        super().__init__(
            frozen(network),
            sigmas,
            channels=channels or _whole(network, 3, "img_channels", "channels"),
            multiple=multiple or _whole(network, _multiple(network), "multiple"),
        )
        self.classes = _whole(network, 0, "label_dim")
        if label is not None and not 0 <= label < self.classes:
            known = f"0 to {self.classes - 1}" if self.classes else "none"
            raise PellucidError(f"the network has no class {label}: there are {known}")
        self.label = label

    def estimate(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Calls the network, with x (B, C, H, W) and sigma (B,)."""
        if self.label is None:
            return _checked(self.network(x, sigma), x)
        chosen = torch.zeros(len(x), self.classes, dtype=x.dtype, device=x.device)
        chosen[:, self.label] = 1
        return _checked(self.network(x, sigma, chosen), x)


class Blind(VENetwork):
    """Makes a prior of a denoiser without a noise level, `f(x) -> x0`; see the module's page.

    With it `denoise` and `red` work as with any prior, at all levels of its training; DreamClean works at strengths
    within these levels.

    Args:
        network: the denoiser, of (B, C, H, W); a batch comes image by image on a CPU. A module is used as in `EDM`.
        range: value range of its images: "symmetric" is [-1, 1], "unit" is [0, 1], which is usual for such denoisers.
        sigmas: as in `EDM`.
        channels: as in `EDM`.
        multiple: as in `EDM`.

    Raises:
        UsageError: the network cannot be called, the ladder does not ascend, or the range is unknown.
        PellucidError: it cannot be copied.

    Example:
        >>> prior = priors.Blind(lambda x: 0.5 * x, range="symmetric")
        >>> prior(torch.ones(1, 3, 8, 8), 1.0).mean().item()
        0.5
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        *,
        range: Literal["symmetric", "unit"] = "symmetric",
        sigmas: Tensor | None = None,
        channels: int | None = None,
        multiple: int | None = None,
    ) -> None:
        sigmas = linear_ladder() if sigmas is None else sigmas
        _check(network, sigmas, channels, multiple)
        if range not in ("symmetric", "unit"):
            raise UsageError(f"images have the range symmetric or unit, not {range!r}")
        super().__init__(
            frozen(network),
            sigmas,
            channels=channels or _whole(network, 3, "channels"),
            multiple=multiple or _whole(network, 1, "multiple"),
        )
        self.range = range

    def estimate(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Calls the network with x, (B, C, H, W), at any level."""
        if self.range == "unit":
            return to_model(_checked(self.network(to_zero_one(x)), x))
        return _checked(self.network(x), x)


class Scheduled(VENetwork):
    r"""Makes a prior of a denoiser in other coordinates, as in azula.

    It takes :math:`x_t = \alpha_t x_0 + \sigma_t n` and a time t from 0 to 1, and returns the mean of x0, or an object
    with the attribute `mean`; its `schedule(t)` returns both factors. The level here is :math:`\sigma_t / \alpha_t`; a
    search inverts it to the time.

    Args:
        network: the denoiser; a module is used as in `EDM`.
        steps: levels of the training ladder, equally spaced in time.
        channels: as in `EDM`.
        multiple: as in `EDM`.

    Raises:
        UsageError: the network cannot be called, or its levels do not ascend with time.
        PellucidError: it cannot be copied.
    """

    def __init__(
        self,
        network: Any,
        *,
        steps: int = 1000,
        channels: int | None = None,
        multiple: int | None = None,
    ) -> None:
        self._schedule = frozen(network.schedule) if isinstance(network.schedule, nn.Module) else network.schedule
        _, levels = self._factors(torch.linspace(0, 1, steps + 1, dtype=torch.float64))
        levels = levels[levels > 0]
        _check(network, levels, channels, multiple)
        super().__init__(
            frozen(network),
            levels,
            channels=channels or _whole(network, 3, "channels"),
            multiple=multiple or _whole(network, 1, "multiple"),
        )

    def _factors(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of images and levels at times, (n,)."""
        with torch.no_grad():
            alpha, sigma = (part.flatten().expand(len(t)).to("cpu", torch.float64) for part in self._schedule(t))
        return alpha, torch.where(alpha > sigma / INFINITE, sigma / alpha, INFINITE)

    def _time(self, sigma: float) -> float:
        """Time of a level, by bisection; the first or the last one outside the schedule."""
        low, high = 0.0, 1.0
        for _ in range(52):
            middle = (low + high) / 2
            below = self._factors(torch.tensor([middle], dtype=torch.float64))[1].item() < sigma
            low, high = (middle, high) if below else (low, middle)
        return high

    def estimate(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Calls the network, with x (B, C, H, W) and sigma (B,)."""
        t = torch.tensor([self._time(level) for level in sigma.tolist()], dtype=torch.float64)
        # Of the level that is in x, also outside the schedule.
        alpha, reached = self._factors(t)
        variance_kept = torch.where(reached >= INFINITE, 1 / sigma.cpu().double(), alpha)
        made = self.network(x * variance_kept.to(x).view(-1, 1, 1, 1), t.to(x))
        return _checked(getattr(made, "mean", made) if not isinstance(made, Tensor) else made, x)


def recognised(given: Any, label: int | None = None) -> Prior:
    """Makes a prior of a Python object by its arguments: `f(x, sigma)` or `f(x)`.

    Args:
        given: a prior, which is returned unchanged, or a denoiser. A second argument with a default counts only if its
            name is sigma or noise.
        label: see `EDM`.

    Models of other libraries are recognised, too: a pipeline of diffusers with `unet` and `scheduler`, the pair of the
    two, a `UNet2DModel` (see `diffusers.of_objects`), and an object with azula's `schedule` (see `Scheduled`).

    Raises:
        UsageError: the object is no denoiser, its arguments are ambiguous, or it takes no label.
        PellucidError: see `EDM`.
    """
    if isinstance(given, Prior) and not isinstance(given, type):
        if label is not None:
            raise UsageError("a prior given as an object has its label already: leave label out")
        return given
    pair = _of_diffusers(given)
    if pair is not None:
        from . import diffusers

        return diffusers.of_objects(*pair, label)
    if callable(getattr(given, "schedule", None)) and callable(given):
        if label is not None:
            raise UsageError("a denoiser with a schedule takes no label: leave it out")
        return Scheduled(given)
    if _takes_level(given):
        return EDM(given, label=label)
    if label is not None:
        raise UsageError("a denoiser of the image alone takes no label: leave it out")
    return Blind(given)


def _of_diffusers(given: Any) -> tuple[nn.Module, Any] | None:
    """The network and the scheduler of a pipeline, a pair or a `UNet2DModel` (without one); None for anything else."""
    if isinstance(given, type):
        return None
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], nn.Module):
        if not hasattr(given[1], "config"):
            raise UsageError(f"the second of a pair must be a scheduler of diffusers, not {type(given[1]).__name__}")
        return given[0], given[1]
    unet, scheduler = (getattr(given, name, None) for name in ("unet", "scheduler"))
    if isinstance(unet, nn.Module) and hasattr(scheduler, "config"):
        return unet, scheduler
    if isinstance(given, nn.Module) and type(given).__name__ == "UNet2DModel":
        return given, None
    return None


# What the second argument of a network of training steps is called.
_STEPS = ("t", "time", "timestep", "timesteps")


def _takes_level(given: Any) -> bool:
    """True if an object is a function of an image and a level, false if of an image alone."""
    name = getattr(given, "__name__", type(given).__name__)
    if isinstance(given, type) or not callable(given):
        what = "a class: give an object of it" if isinstance(given, type) else f"{type(given).__name__}, no function"
        raise UsageError(f"a prior is a name, a folder, a file or a function, and this is {what}")
    unclear = UsageError(f"{name}: cannot be seen to be f(x, sigma) or f(x); wrap it as priors.EDM(f) or .Blind(f)")
    try:
        parameters = inspect.signature(given.forward if isinstance(given, nn.Module) else given).parameters.values()
    except (TypeError, ValueError):
        raise unclear from None
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in places if p.default is p.empty]
    if len(places) >= 2 and places[1].name in _STEPS:
        raise UsageError(f"{name}: takes training steps, not noise levels: wrap it as priors.VPNetwork(f, sigmas)")
    named = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters) and len(places) < 2
    if named or any_number or not places or len(needed) > 2:
        raise unclear
    return len(needed) == 2 or (len(places) > 1 and places[1].name.startswith(("sigma", "noise")))


def _check(network: Any, sigmas: Tensor, channels: int | None, multiple: int | None) -> None:
    if not callable(network) or isinstance(network, type):
        raise UsageError(f"a denoiser is a function or a module, not {network!r:.60}")
    check_ladder(sigmas)
    for name, value in (("channels", channels), ("multiple", multiple)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1, not {value}")


def frozen(network: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Copies a module for inference without gradients, sharing its memory; returns functions unchanged.

    The copy shares the weights and leaves the original alone, which may be in training.
    """
    if not isinstance(network, nn.Module):
        return network
    shared: dict[int, Any] = {id(w): nn.Parameter(w.detach(), requires_grad=False) for w in network.parameters()}
    shared |= {id(buffer): buffer for buffer in network.buffers()}
    try:
        return deepcopy(network, shared).eval()
    except Exception as error:
        first = str(error).partition("\n")[0][:80]
        raise PellucidError(
            f"{type(network).__name__}: cannot be copied ({first}); give a function that calls it"
        ) from None


def _checked(made: Any, x: Tensor) -> Tensor:
    if not isinstance(made, Tensor) or made.shape != x.shape:
        what = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise PellucidError(f"the denoiser makes {what} of images {tuple(x.shape)}: it must keep their shape")
    return made


def _ladder(network: Any) -> Tensor:
    """Ladder of a k-diffusion network, or DDPM's up to the top that a network of EDM states."""
    own = getattr(network, "sigmas", None)
    if isinstance(own, Tensor):
        return own
    ladder = linear_ladder()
    least, most = (float(getattr(network, name, end)) for name, end in (("sigma_min", 0.0), ("sigma_max", torch.inf)))
    within = ladder[(ladder >= least) & (ladder <= most)]
    return within if len(within) > 1 else ladder


def _whole(network: Any, default: int, *names: str) -> int:
    """First whole number among a network's attributes of these names."""
    values = (getattr(network, name, None) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), default)


def _multiple(network: Any) -> int:
    """Reduction of an EDM network's coarsest level, from names of layers such as 64x64_conv, 32x32_down."""
    layers = getattr(getattr(network, "model", None), "enc", None)
    names = list(layers) if isinstance(layers, nn.ModuleDict) else []
    sides = [int(name.partition("x")[0]) for name in names if name.partition("x")[0].isdigit()]
    return max(sides) // max(min(sides), 1) if sides else 1
