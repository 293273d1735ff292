r"""Noise levels, ladders of levels, and the one move of nearly every method.

Everything is in variance-exploding coordinates, `x = x0 + sigma n` with n ~ N(0, I). A model trained in the
variance-preserving way has `x_vp = sqrt(abar) x0 + sqrt(1 - abar) n`, so that

    x_vp = sqrt(abar) x,      sigma = sqrt((1 - abar) / abar),      abar = 1 / (1 + sigma^2).

A *training ladder* holds the levels of a network's training, ascending; a *ladder* holds the levels of a method's walk,
descending. Both are plain 1-D float64 tensors on the CPU.

References:
    [DDPM] Ho, Jain, Abbeel, "Denoising Diffusion Probabilistic Models", 2020. https://arxiv.org/abs/2006.11239
    [DDIM] Song, Meng, Ermon, "Denoising Diffusion Implicit Models", 2021. https://arxiv.org/abs/2010.02502
    [iDDPM] Nichol, Dhariwal, "Improved DDPM", 2021. https://arxiv.org/abs/2102.09672
    [LDM] Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022.
        https://arxiv.org/abs/2112.10752
    [EDM] Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022.
        https://arxiv.org/abs/2206.00364
    [DPM++] Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", 2022.
        https://arxiv.org/abs/2211.01095
    [DreamClean] Xiao et al., "DreamClean: Restoring Clean Image Using Deep Diffusion Prior", ICLR 2024.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import index as whole_number
from typing import Literal

import torch
from torch import Tensor

from ..errors import UsageError

__all__ = [
    "Streams",
    "abar_of",
    "axis_level",
    "axpy",
    "cosine_ladder",
    "derive_seed",
    "each",
    "extrapolated",
    "invert",
    "karras_ladder",
    "linear_ladder",
    "renoise",
    "respace",
    "scaled_linear_ladder",
    "sigma_of",
    "strided",
]

# --- levels ----------------------------------------------------------------------------------------------------------


def sigma_of(abar: Tensor) -> Tensor:
    """Noise level of a cumulative signal share: `sqrt((1 - abar) / abar)` ([DDIM], section 4.3).

    Example:
        >>> noise.sigma_of(torch.tensor(0.5)).item()
        1.0
    """
    return ((1 - abar) / abar).sqrt()


def axis_level(sigma: float, channels: int) -> float:
    """Level on the grey axis of noise that is equal in all channels, as in a grey picture; there it adds up.

    White noise of this level on every axis describes it for a denoiser of colour pictures. Told the level of a channel,
    the denoiser keeps most of the noise.

    Args:
        sigma: standard deviation in a channel.
        channels: number of channels.

    Example:
        >>> noise.axis_level(2.0, 4)
        4.0
    """
    return sigma * math.sqrt(channels)


def abar_of(sigma: Tensor) -> Tensor:
    """Cumulative signal share of a noise level, `1 / (1 + sigma^2)`: the inverse of `sigma_of`.

    Example:
        >>> noise.abar_of(torch.tensor(1.0)).item()
        0.5
    """
    return 1 / (1 + sigma**2)


# --- training ladders ------------------------------------------------------------------------------------------------


def linear_ladder(steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Tensor:
    """The training ladder of [DDPM], section 4: betas equally spaced, `abar_t = prod_{i <= t} (1 - beta_i)` (eq. 4).

    Returns:
        sigmas, ascending, (steps,), float64. The defaults give 0.01 ... 157.

    Example:
        >>> noise.linear_ladder()[[0, -1]].round(decimals=2)
        tensor([1.0000e-02, 1.5741e+02], dtype=torch.float64)
    """
    return _from_betas(torch.linspace(beta_start, beta_end, steps, dtype=torch.float64))


def scaled_linear_ladder(steps: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012) -> Tensor:
    """The training ladder of latent diffusion ([LDM], Stable Diffusion): square roots of beta equally spaced.

    Example:
        >>> len(noise.scaled_linear_ladder())
        1000
    """
    return _from_betas(torch.linspace(beta_start**0.5, beta_end**0.5, steps, dtype=torch.float64) ** 2)


def cosine_ladder(steps: int = 1000, offset: float = 0.008, beta_max: float = 0.999) -> Tensor:
    """The training ladder of [iDDPM], eq. 17: `abar(u) = cos^2(pi/2 (u + s)/(1 + s))`, betas cut at `beta_max`.

    Example:
        >>> len(noise.cosine_ladder())
        1000
    """
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    abar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
    return _from_betas((1 - abar[1:] / abar[:-1]).clamp(max=beta_max))


def _from_betas(betas: Tensor) -> Tensor:
    return sigma_of((1 - betas).cumprod(0))


# --- ladders to walk -------------------------------------------------------------------------------------------------


def respace(sigmas: Tensor, steps: int, top: int | None = None) -> Tensor:
    """Part of a training ladder: levels equally spaced in training time, from `top` down to the first.

    With 1000 training levels, `respace(sigmas, 30, 300)` is levels 300, 290, ..., 10, 0: the grid of DDIM with 100
    steps ([DDIM], appendix D.3: every 10th level, the first included), cut at 300.

    Args:
        sigmas: training ladder, ascending, (T,).
        steps: number of moves of the walk.
        top: index of the noisiest level, at most T - 1; T - 1 if None.

    Returns:
        The ladder, descending, (steps + 1,), or shorter if two of its levels round to the same one.

    Raises:
        UsageError: steps or top is below 1, or top is outside the ladder.

    Example:
        >>> len(noise.respace(noise.linear_ladder(), 30, 300))
        31
    """
    top = len(sigmas) - 1 if top is None else top
    if steps < 1 or not 1 <= top < len(sigmas):
        raise UsageError(
            f"a ladder needs at least one step and a top from 1 to {len(sigmas) - 1}, not {steps} and {top}"
        )
    index = torch.linspace(top, 0, steps + 1, dtype=torch.float64).round().long()
    return sigmas[index.unique_consecutive()]


def strided(sigmas: Tensor, steps: int) -> Tensor:
    """Every (T // steps)-th level of a training ladder from its first one, then 0: the grid of [DDRM] and [DDNM].

    Returns:
        The ladder, descending, (n + 1,) with n = T / (T // steps) rounded up, which is `steps` if steps divides T;
        for T = 1000 and 20 steps the training steps 950, 900, ..., 0 and then no noise.

    Raises:
        UsageError: steps is not from 1 to T.

    Example:
        >>> len(noise.strided(noise.linear_ladder(), 20))
        21
    """
    if not 1 <= steps <= len(sigmas):
        raise UsageError(f"a ladder takes from 1 to {len(sigmas)} steps, not {steps}")
    return torch.cat([sigmas[:: len(sigmas) // steps].flip(0), sigmas.new_zeros(1)])


def karras_ladder(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Tensor:
    """Ladder of [EDM], eq. 5, which has most levels at low noise and ends in 0.

    Returns:
        sigmas, descending, (steps + 1,): `steps` levels from sigma_max to sigma_min, then 0.

    Raises:
        UsageError: steps is below 1 or not 0 < sigma_min <= sigma_max.

    Example:
        >>> noise.karras_ladder(3, sigma_max=8.0).round(decimals=3)
        tensor([8.0000e+00, 4.0500e-01, 2.0000e-03, 0.0000e+00], dtype=torch.float64)
    """
    if steps < 1 or not 0 < sigma_min <= sigma_max:
        raise UsageError("a Karras ladder needs steps >= 1 and 0 < sigma_min <= sigma_max")
    u = torch.linspace(0, 1, steps, dtype=torch.float64)
    levels: Tensor = (sigma_max ** (1 / rho) + u * (sigma_min ** (1 / rho) - sigma_max ** (1 / rho))) ** rho
    return torch.cat([levels, levels.new_zeros(1)])


# --- noise that belongs to an image, not to a batch ------------------------------------------------------------------


class Streams:
    """Noise with one random stream per image, so that a batch changes no image's result.

    Numbers are drawn on the CPU and moved, so that a seed gives the same noise on every device.

    Args:
        seeds: one per image. An image with seed s gets the same noise in every batch.

    Example:
        >>> rng = noise.Streams.of(0, 2)
        >>> rng.like(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    @classmethod
    def of(cls, seed: int | Sequence[int], batch: int) -> Streams:
        """Makes the streams of a batch: image i has seed `seed + i`, or `seed[i]` if there is one for each.

        Raises:
            UsageError: there are more or fewer seeds than images.
        """
        return cls(cls.seeds(seed, batch))

    @staticmethod
    def seeds(seed: int | Sequence[int], batch: int) -> list[int]:
        """Seed of each image of a batch; see `of`."""
        try:
            given = seed if isinstance(seed, Iterable) else range(whole_number(seed), whole_number(seed) + batch)
            seeds = [whole_number(one) for one in given]
        except TypeError:
            raise UsageError(f"a seed is a whole number, not {seed!r}") from None
        if len(seeds) != batch:
            raise UsageError(f"{len(seeds)} seeds for a batch of {batch}: give one number, or one for each image")
        if not all(-(2**63) <= one < 2**64 for one in seeds):
            raise UsageError(f"a seed is from -2^63 to 2^64 - 1, not {seed}")
        return seeds

    def split(self) -> list[Streams]:
        """Streams of the single images, which share their state with this."""
        parts = []
        for generator in self._generators:
            part = Streams([])
            part._generators = [generator]
            parts.append(part)
        return parts

    def like(self, x: Tensor) -> Tensor:
        """Draws n ~ N(0, I) with the shape (B, ...), type and device of `x`."""
        self._check(x)
        shape = (1, *x.shape[1:])
        draws = [torch.randn(shape, generator=g, dtype=x.dtype) for g in self._generators]
        noise = draws[0] if len(draws) == 1 else torch.cat(draws)
        return noise if x.is_cpu else noise.to(x.device)

    def poisson(self, mean: Tensor) -> Tensor:
        """Draws Poisson counts of a `mean`, with its shape (B, ...), type and device."""
        self._check(mean)
        counts = [torch.poisson(one.cpu(), g) for one, g in zip(mean, self._generators, strict=True)]
        return torch.stack(counts).to(mean.device)

    @property
    def drawn(self) -> bool:
        """True if any stream has drawn numbers."""
        fresh = [torch.Generator().manual_seed(generator.initial_seed()) for generator in self._generators]
        return any(
            not torch.equal(one.get_state(), new.get_state()) for one, new in zip(self._generators, fresh, strict=True)
        )

    def _check(self, x: Tensor) -> None:
        # Not len, which a tensor takes three times as long for.
        if x.shape[0] != len(self._generators):
            raise UsageError(f"{len(self._generators)} random streams for a batch of {len(x)}")


def derive_seed(seed: int, path: str = "", sample: int = 0) -> int:
    """Seed of one image of a run: independent of place, order and other images.

    Args:
        seed: the run's seed.
        path: path of the image relative to the input folder, "" for a single image.
        sample: number of the restoration of the image.

    Returns:
        `seed` itself for the first sample of a single image, else 63 bits of SHA-256.

    Example:
        >>> noise.derive_seed(7)
        7
        >>> noise.derive_seed(7, "a.png") == noise.derive_seed(7, "b.png")
        False
    """
    if not path and not sample:
        return seed
    digest = hashlib.sha256(f"{seed}\0{path}\0{sample}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


# --- moves -----------------------------------------------------------------------------------------------------------


def renoise(
    x: Tensor,
    x0: Tensor,
    sigma: float | Tensor,
    sigma_next: float | Tensor,
    eta: float = 0.0,
    rng: Streams | None = None,
) -> Tensor:
    r"""Moves `x` from noise level sigma to sigma_next, keeping its estimate x0 and part of its noise.

    .. math:: x_0 + \sigma' \left(\sqrt{1 - \eta^2}\, \frac{x - x_0}{\sigma} + \eta\, n\right), \quad n \sim N(0, I)

    - `eta = 0` is the deterministic DDIM step ([DDIM], eq. 12 with sigma_t = 0, and eq. 13), and with
      `sigma_next > sigma` DDIM inversion ([DDIM], section 4.3).
    - `eta > 0` replaces that share of the noise. [DDIM]'s parameter, eq. 16, differs: its ancestral step is
      `eta = eta_ddim * sqrt(1 - (sigma_next / sigma)^2)`, and `eta_ddim = 1` is [DDPM]'s step (eq. 7).
    - `sigma_next = sigma` and `sqrt(1 - eta^2) = 1 - gamma` is Variance Preservation Sampling ([DreamClean], eq. 8-10).

    Args:
        x: (B, ...) at level sigma.
        x0: its estimated clean image, same shape.
        sigma: level of x, above 0; one for all, or one for each image, (B,).
        sigma_next: level to go to, 0 or more, likewise.
        eta: share of fresh noise, from 0 to 1.
        rng: the images' noise; needed when eta > 0.

    Returns:
        A new tensor; x and x0 are unchanged. At sigma_next = 0 it equals x0.

    Raises:
        UsageError: sigma is not positive, or eta needs noise and there is no rng.

    Example:
        >>> x, x0 = torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
        >>> noise.renoise(x, x0, 1.0, 0.5).mean().item()
        0.5
    """
    if not _above_zero(sigma):
        raise UsageError("renoise starts from a noise level above 0")
    kept = math.sqrt(1 - eta * eta) * sigma_next / sigma
    moved = axpy(each(kept, x), x - x0, x0)
    if eta > 0 and _above_zero(sigma_next):
        if rng is None:
            raise UsageError("renoise with eta > 0 needs the images' random streams")
        moved = axpy(each(sigma_next * eta, x), rng.like(x), moved)
    return moved


def _above_zero(sigma: float | Tensor) -> bool:
    return bool((sigma > 0).all()) if isinstance(sigma, Tensor) else sigma > 0


def axpy(a: float | Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Computes `a x + y` for a number or for numbers per image; a number takes a single pass over the images.

    Example:
        >>> noise.axpy(2.0, torch.ones(2), torch.ones(2))
        tensor([3., 3.])
    """
    return y + a * x if isinstance(a, Tensor) else torch.add(y, x, alpha=a)


def each(value: float | Tensor, x: Tensor) -> float | Tensor:
    """Reshapes a number for each image, (B,), to multiply images (B, ...).

    Example:
        >>> noise.each(torch.tensor([1.0, 2.0]), torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 1, 1, 1])
    """
    return value.to(x).view(-1, *[1] * (x.ndim - 1)) if isinstance(value, Tensor) else value


def invert(
    prior: Callable[[Tensor, float], Tensor], x: Tensor, ladder: Tensor, order: Literal[1, 2] = 1
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """DDIM inversion: walks `ladder` upwards from its last level, deterministically ([DDIM], section 4.3).

    Each move from a level to the next noisier one uses the prior at the level it leaves. x0 is never clipped:
    clipping on the way up would change the end of the way down.

    Args:
        prior: `prior(x, sigma) -> x0`, called once a move.
        x: images at the ladder's last level, (B, C, H, W); a plain image counts as a level close to 0.
        ladder: descending sigmas, all above 0, (n + 1,).
        order: 2 uses `extrapolated` estimates, which permit larger moves.

    Yields:
        After each of the n moves: the level reached, x there, and the x0 of its evaluation.

    Example:
        >>> prior = priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25))
        >>> ladder = noise.respace(prior.sigmas, 3, 300)
        >>> [x.shape for _, x, _ in noise.invert(prior, torch.zeros(1, 3, 8, 8), ladder)][-1]
        torch.Size([1, 3, 8, 8])
    """
    levels = ladder.flip(0).tolist()
    before: tuple[float, Tensor] | None = None
    for sigma, sigma_next in pairwise(levels):
        x0 = prior(x, sigma)
        used = x0 if before is None or order == 1 else extrapolated(x0, sigma, sigma_next, *before)
        x, before = renoise(x, used, sigma, sigma_next), (sigma, x0)
        yield sigma_next, x, x0


def extrapolated(
    x0: Tensor, sigma: float | Tensor, sigma_next: float | Tensor, sigma_before: float | Tensor, before: Tensor
) -> Tensor:
    """Estimate half-way through a move in log sigma, by its change since the last evaluation ([DPM++], eq. 17).

    `renoise` with it is a step of DPM-Solver++(2M).

    Args:
        x0: the estimate at sigma, (B, ...).
        sigma: the level that the move leaves; one for all, or one for each image, (B,).
        sigma_next: the level that it goes to, above 0, likewise.
        sigma_before: the level of the previous evaluation, likewise; if it equals sigma, x0 is returned.
        before: the previous estimate.

    Example:
        >>> x0 = torch.ones(1, 3, 8, 8)
        >>> noise.extrapolated(x0, 1.0, 0.5, 1.0, x0).mean().item()
        1.0
    """
    ahead, behind = (torch.as_tensor(ratio).double().log() for ratio in (sigma_next / sigma, sigma / sigma_before))
    weight = torch.where(behind == 0, 0, ahead / (2 * behind))
    return x0 + each(weight.expand(len(x0)), x0) * (x0 - before)
