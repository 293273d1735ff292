r"""Denoisers as Python objects: networks of k-diffusion and EDM, any function, and denoisers that are told no level.

A denoiser D(x, sigma) that was trained on squared errors is the posterior mean ([EDM], appendix B.3), so it is a prior
as it is. One that sees the image alone, f(x), has learnt to see the level, too: on the images it was trained for it is
the same mean, of any level, which is how it serves as a prior ([Implicit], section 2). Told another level than the
image has, it does the same; so `estimate.noise_seen` finds |x - f(x)| / 0.95 as the level.

References:
    [EDM] Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022.
        https://arxiv.org/abs/2206.00364. Its networks: https://github.com/NVlabs/edm
    [k-diffusion] Crowson, whose `Denoiser`s are called alike. https://github.com/crowsonkb/k-diffusion
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
from ..noise import linear_ladder
from ..problem import to_model, to_zero_one
from .adapters import VENetwork, check_ladder
from .forms import INFINITE
from .prior import Prior


class EDM(VENetwork):
    """A denoiser `D(x, sigma) -> x0` as a prior: a network of EDM or k-diffusion, or any function.

    A module's weights are used as they are, frozen and in inference mode, without a change to the module itself.

    Args:
        network: the denoiser; x (B, C, H, W) with images in [-1, 1], sigma (B,). A batch comes image by image on a CPU.
        sigmas: its training ladder, ascending, (T,), by which methods count their steps. None for the network's own
            `sigmas`, as k-diffusion has it, else DDPM's, from 0.01 to 157, as far as `sigma_min` and `sigma_max` go.
        channels: image channels; None for the network's own `img_channels` or `channels`, else 3.
        multiple: what H and W must divide by; None for the network's own `multiple`, or what the names of an EDM
            network's levels say, else 1.
        label: the class of the images, from 0, for a network of `label_dim` classes, which takes it as its third
            argument. None leaves it out; then such networks take none for an answer.

    Raises:
        UsageError: it cannot be called, or its ladder does not ascend.
        PellucidError: it has no such class, or cannot be copied.
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
    """A denoiser that is told no noise level, `f(x) -> x0`, as a prior; see the module's page for what that means.

    With it `denoise` and `red` do what they do with any prior, at all levels that it was trained for, and DreamClean
    at strengths whose levels are among those.

    Args:
        network: the denoiser, of (B, C, H, W); a batch comes image by image on a CPU. A module is used as in `EDM`.
        range: of the images that it takes and gives: "symmetric" is [-1, 1], "unit" [0, 1], as denoisers of that kind
            usually have it.
        sigmas: as in `EDM`.
        channels: as in `EDM`.
        multiple: as in `EDM`.

    Raises:
        UsageError: it cannot be called, its ladder does not ascend, or there is no such range.
        PellucidError: it cannot be copied.
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
        """Calls the network with x, (B, C, H, W), whatever its level."""
        if self.range == "unit":
            return to_model(_checked(self.network(to_zero_one(x)), x))
        return _checked(self.network(x), x)


class Scheduled(VENetwork):
    r"""A denoiser in a space of its own, as azula has it, as a prior.

    It takes :math:`x_t = \alpha_t x_0 + \sigma_t n` and a time t from 0 to 1, and gives the mean of x0, or what has it
    as its `mean`; its `schedule(t)` gives both factors. The level here is :math:`\sigma_t / \alpha_t`, of which a
    search finds the time.

    Args:
        network: the denoiser; a module is used as in `EDM`.
        steps: levels of the training ladder, equally spaced in time.
        channels: as in `EDM`.
        multiple: as in `EDM`.

    Raises:
        UsageError: it cannot be called, or its levels do not ascend with time.
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
        """Of times, (n,): what images are multiplied by, and the levels."""
        with torch.no_grad():
            alpha, sigma = (part.flatten().expand(len(t)).to("cpu", torch.float64) for part in self._schedule(t))
        return alpha, torch.where(alpha > sigma / INFINITE, sigma / alpha, INFINITE)

    def _time(self, sigma: float) -> float:
        """The time of a level, by bisection; the first or the last outside the schedule."""
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
    """Makes a prior of a Python object by how it is called: `f(x, sigma)` or `f(x)`.

    Args:
        given: a prior, which is returned as it is, or a denoiser. A second argument that need not be given counts only
            if it is called sigma or noise.
        label: see `EDM`.

    Besides, models of other libraries: a pipeline of diffusers with `unet` and `scheduler`, the pair of the two, a
    `UNet2DModel` (see `diffusers.of_objects`), and what has azula's `schedule` (see `Scheduled`).

    Raises:
        UsageError: it is no denoiser, how it is called does not tell, or a label is given that it cannot take.
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
    """True if an object is a function of an image and a level, else of an image."""
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
    """The same module in inference mode on the same memory, but without gradients of its own; functions as they are.

    A copy of the module, not of its weights: whoever gave it may be in the middle of training it.
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
    """The first of a network's attributes of these names that is a number."""
    values = (getattr(network, name, None) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), default)


def _multiple(network: Any) -> int:
    """By how much the coarsest level of an EDM network is smaller; its layers are called 64x64_conv, 32x32_down ..."""
    layers = getattr(getattr(network, "model", None), "enc", None)
    names = list(layers) if isinstance(layers, nn.ModuleDict) else []
    sides = [int(name.partition("x")[0]) for name in names if name.partition("x")[0].isdigit()]
    return max(sides) // max(min(sides), 1) if sides else 1
