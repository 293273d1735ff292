r"""The likelihood of a blur's kernel, given the power spectrum of a picture.

A blurred photograph has, at a point of the frequency plane, the power

.. math:: P = |K_t|^2 e^{m + r} + n, \qquad r \sim N(0, \Sigma)

with the kernel's transfer function K_t, the mean m and covariance Sigma of photographs' log-spectra (`Photographs`),
and noise n. For each kernel of three families, and for none, r and n are fitted by Gauss-Newton steps. The Gaussian
likelihood at the fit measures how well the kernel explains the spectrum. By the covariance, photographs differ in slope
and in the direction of their edges, and none has a ring of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .kernels import NONE, Family, Shape, around, grid
from .spectrum import BLOCK, LEAST, Photographs, passed

_KNOWN: dict[Shape, Tensor] = {}
"""Logarithms of the passed shares by kernel: images have most kernels in common."""
_MANY = 2048


def _passed(shapes: Sequence[Shape]) -> Tensor:
    """Logarithm of the share of power that each kernel passes, (n, points)."""
    found = {shape: _KNOWN.get(shape) for shape in shapes}
    new = [shape for shape, own in found.items() if own is None]
    if new:
        kernels = [shape.kernel()[: BLOCK - 1, : BLOCK - 1] for shape in new]
        made = dict(zip(new, passed(kernels).clamp_min(1e-12).log().flatten(1), strict=True))
        if len(_KNOWN) > _MANY:
            _KNOWN.clear()
        _KNOWN.update(made)
        found |= made
    return torch.stack([own for shape in shapes if (own := found[shape]) is not None])


_ROUNDS, _QUICK_ROUNDS, _QUICK_RANK = 5, 3, 12
_STARTS, _QUICK_STARTS = (0.95, 0.1), (0.5,)
_CHANCE_OF_NOISE = 1.0
"""Standard deviation of the logarithm of the noise around the start of the search."""


def likelihoods(power: Tensor, shapes: Sequence[Shape], floor: float = LEAST, *, quick: bool = False) -> Tensor:
    """Log-likelihood of a spectrum under each kernel, (n,), up to a constant.

    Args:
        power: what `spectrum` gives.
        shapes: n kernels.
        floor: power added to the whole spectrum, below which nothing counts; compression leaves less than noise would.
        quick: whether to use fewer factors of photographs, fewer steps and float32, to select kernels for a closer
            search. There float32 would change margins by up to 7.
    """
    photographs, chances = Photographs.load(), _chances(quick)
    seen = (power + floor).log().flatten().to(chances.rest)
    expected = (_passed(shapes) + photographs.mean).to(chances.rest)
    lowest = (power.mean(1).min() + floor).log().item()
    rounds, starts = (_QUICK_ROUNDS, _QUICK_STARTS) if quick else (_ROUNDS, _STARTS)
    noise = torch.tensor([lowest + math.log(share) for share in starts], dtype=expected.dtype)
    each = noise.repeat_interleave(len(shapes))[:, None]
    chance = photographs.chance.to(chances.rest)
    found, _, _ = _fit(seen, expected.repeat(len(starts), 1), chances, chance, each, rounds)
    return found.view(len(starts), -1).amax(0)


def misfit(power: Tensor, shape: Shape, floor: float = LEAST) -> float:
    """Mean squared deviation of a spectrum's points from those of photographs through a kernel, about 1 for these.

    Args:
        power: what `spectrum` gives.
        shape: the kernel.
        floor: see `likelihoods`.
    """
    _, squares, _ = _closely(power, shape, floor)
    return squares / power.numel()


def noise_below(power: Tensor, shape: Shape, floor: float = LEAST) -> float:
    """Standard deviation of the noise in a blurred picture, which the frequencies show that the blur takes away.

    It is 0.96 to 1.04 times noise of 1 to 5 of 255 that is independent in the colours and not clipped. Measured
    on 6 training crops of 128x128 pixels, with a Gaussian of 1.3 and 2.2 pixels and with a lens of 2.5 and 4.

    Args:
        power: what `spectrum` gives.
        shape: the kernel.
        floor: see `likelihoods`.

    Returns:
        That of the brightness, in the units of the picture.
    """
    _, _, noise = _closely(power, shape, floor)
    return math.sqrt(max(noise - floor, 0.0))


def _closely(power: Tensor, shape: Shape, floor: float) -> tuple[float, float, float]:
    """Likelihood, squared deviation and power of the noise at the end of the longest search."""
    photographs = Photographs.load()
    seen = (power + floor).log().flatten()
    noise = (power.mean(1).min() + floor).log().view(1, 1) + math.log(_STARTS[0])
    found = _fit(seen, _passed([shape]) + photographs.mean, _chances(False), photographs.chance, noise, _ROUNDS)
    likelihood, squares, level = (number.item() for number in found)
    return likelihood, squares, math.exp(level)


@dataclass(frozen=True)
class _Chances:
    """Factors of photographs, (points, k), the rest, (points,), and products of two factors, (points, pairs).

    Weighted sums of products over the points make the matrices of all kernels at once, of which a decomposition reads
    the lower half: `places` are those of the pairs in a row of numbers that is a matrix with one more row and column.
    """

    factors: Tensor
    rest: Tensor
    products: Tensor
    places: Tensor


@lru_cache(maxsize=2)
def _chances(quick: bool) -> _Chances:
    photographs = Photographs.load()
    factors, rest = photographs.factors, photographs.rest
    if quick:
        rest = rest + factors[:, :-_QUICK_RANK].square().sum(1)
        factors, rest = factors[:, -_QUICK_RANK:].contiguous().float(), rest.float()
    rank = factors.shape[1]
    rows, columns = torch.tril_indices(rank, rank)
    return _Chances(factors, rest, factors[:, rows] * factors[:, columns], rows * (rank + 1) + columns)


def _fit(
    seen: Tensor, expected: Tensor, chances: _Chances, chance: Tensor, noise: Tensor, rounds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Likelihood, squared deviation and log-noise at the end of a search for r and n from initial ones, (n,) each."""
    factors, rest, rank = chances.factors, chances.rest, chances.factors.shape[1]
    r, q = torch.zeros_like(expected), torch.zeros_like(noise)
    for step in range(rounds):
        made = torch.logaddexp(expected + r, (noise + q).expand_as(r))
        share = (expected + r - made).exp()  # of the picture in the power; the noise has the rest
        residual = seen - made + share * r + (1 - share) * q
        # Covariance: factors, each times the share, and the noise as one low rank, the rest on the diagonal.
        of_noise = _CHANCE_OF_NOISE * (1 - share)
        diagonal = share.square() * rest + (1 - share).square() * chance
        scaled, noise_scaled = share / diagonal, of_noise / diagonal
        inner = expected.new_zeros(len(expected), (rank + 1) ** 2)
        inner.scatter_(1, chances.places.expand(len(inner), -1), (share * scaled) @ chances.products)
        inner = inner.view(len(inner), rank + 1, rank + 1)
        inner[:, rank, :rank] = (of_noise * scaled) @ factors
        inner[:, rank, rank] = (of_noise * noise_scaled).sum(1)
        inner.diagonal(dim1=1, dim2=2).add_(1)
        lower = torch.linalg.cholesky(inner)
        seen_by = torch.cat([(scaled * residual) @ factors, (noise_scaled * residual).sum(1, keepdim=True)], 1)
        held = torch.cholesky_solve(seen_by[..., None], lower)[..., 0]
        weights = (residual - share * (held[:, :rank] @ factors.T) - of_noise * held[:, rank:]) / diagonal
        if step == rounds - 1:
            break
        new_r = (weights * share) @ factors @ factors.T + rest * share * weights
        r, q = r + (new_r - r).clamp(-3, 3), q + (held[:, rank:] * _CHANCE_OF_NOISE - q).clamp(-1, 1)
    determinant = 2 * lower.diagonal(dim1=-2, dim2=-1).log().sum(-1) + diagonal.log().sum(-1)
    squares = (residual * weights).sum(-1)
    return -0.5 * (squares + determinant), squares, (noise + q)[:, 0]


def search(
    power: Tensor, floor: float = LEAST, believed: Callable[[Shape, float], bool] = lambda shape, margin: True
) -> dict[Family, tuple[Shape, float]]:
    """Likeliest kernel of each family, with its log-likelihood ratio to no blur.

    Args:
        power: what `spectrum` gives.
        floor: see `likelihoods`.
        believed: whether a kernel with such a ratio counts. Without one that does the search ends with no blur alone.
    """
    scores = likelihoods(power, grid(), floor, quick=True).tolist()
    order = sorted(zip(scores, grid(), strict=True), key=lambda pair: pair[0], reverse=True)
    families: tuple[Family, ...] = ("gaussian", "disk", "motion")
    few = {family: [shape for _, shape in order if shape.family == family][:_CLOSELY] for family in families}

    def possible(shapes: Iterable[Shape]) -> bool:
        return any(believed(shape, math.inf) for shape in shapes)

    # Most sharp pictures are likeliest under kernels that are too small to be believed, however likely.
    hopeful = [family for family in families if possible(one for shape in few[family] for one in around(shape))]
    found: dict[Family, tuple[Shape, float]] = {"none": (NONE, 0.0)}
    finer: dict[Family, tuple[Shape, ...]] = {}

    def refine(some: list[Family]) -> float:
        """Finds the finer kernels of some families; returns the likelihood without a blur."""
        shapes = [shape for family in some for shape in few[family]]
        none, *exact = likelihoods(power, [NONE, *shapes], floor).tolist()
        for family in some:
            own = [pair for pair in zip(exact, shapes, strict=True) if pair[1].family == family]
            finer[family] = around(max(own, key=lambda pair: pair[0])[1])
        return float(none)

    none = refine(hopeful) if hopeful else 0.0
    hopeful = [family for family in hopeful if possible(finer[family])]
    for some in (hopeful, [family for family in families if family not in hopeful]):
        if missing := [family for family in some if family not in finer]:
            refine(missing)
        own_finer = [shape for family in some for shape in finer[family]]
        for score, shape in zip(likelihoods(power, own_finer, floor).tolist() if some else [], own_finer, strict=True):
            if shape.family not in found or score - none > found[shape.family][1]:
                found[shape.family] = (shape, score - none)
        if not any(believed(*found[family]) for family in hopeful):
            return {"none": found["none"]}
    return found


_CLOSELY = 4
"""Number of kernels of each family for the closer search."""


def narrower(power: Tensor, shape: Shape, floor: float = LEAST) -> Shape:
    """Replaces a Gaussian's likeliest size by the median of its likely sizes, if that is smaller.

    No ring of zeros marks its size, and a photograph softer than most looks blurred more. A kernel that is too wide
    makes edges overshoot, which costs more than one that is too narrow.

    Args:
        power: what `spectrum` gives.
        shape: the likeliest kernel.
        floor: see `likelihoods`.
    """
    sizes = shape.size * torch.linspace(0.7, 1.15, 19, dtype=torch.float64)
    scores = likelihoods(power, [replace(shape, size=size) for size in sizes.tolist()], floor)
    below = F.pad(scores.softmax(0).cumsum(0), (1, 0))
    at = int((below[1:-1] < 0.5).sum())
    share = (0.5 - below[at]) / (below[at + 1] - below[at])
    median = torch.lerp(sizes[max(at - 1, 0)], sizes[at], share).item()
    return replace(shape, size=min(shape.size, median))
