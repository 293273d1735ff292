r"""The blur of a picture, by the likelihood of its power spectrum.

A blurred photograph has, at a point of the frequency plane, the power

.. math:: P = |K_t|^2 e^{m + r} + n, \qquad r \sim N(0, \Sigma)

with the kernel's transfer function K_t, the mean m and covariance Sigma of photographs' log-spectra (`Photographs`),
and noise n. For each kernel of three families, and for none, r and n are fitted by Gauss-Newton steps. The Gaussian
likelihood at the fit measures how well the kernel explains the spectrum. By the covariance, photographs differ in slope
and in the direction of their edges, and none has a ring of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..operators.blur import disk, gaussian, motion
from ..operators.jpeg import LUMA
from .agreement import contrast, edginess, interpolation, sharpest, streak
from .enlarged import repeats
from .estimate import middle
from .spectrum import BLOCK, LEAST, Photographs, luminance, passed, spectrum

Family = Literal["none", "gaussian", "disk", "motion", "streak", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Shape:
    """A blur's kernel as numbers.

    Attributes:
        family: "none", "gaussian", "disk" (a lens out of focus), "motion" (straight). No blurs but much alike are
            "streak", a texture such as the grain of wood, and "bilinear" and "bicubic", enlargements.
        size: standard deviation, radius, length in pixels, or factor of an enlargement.
        degrees: direction of a motion or of streaks, anticlockwise from right, [0, 180).
    """

    family: Family
    size: float = 0.0
    degrees: float = 0.0

    @property
    def spread(self) -> float:
        """Standard deviation in pixels, for a motion along its direction."""
        return self.size / {"disk": 2.0, "motion": math.sqrt(12)}.get(self.family, 1.0)

    def kernel(self) -> Tensor:
        """The kernel, (h, w), odd sides, its sum 1."""
        if self.family == "gaussian":
            return gaussian(self.size)
        if self.family == "disk":
            return disk(self.size, 2 * math.ceil(self.size + 0.5) + 1)
        if self.family == "streak":
            return streak(self.size, self.degrees)
        if self.family == "bilinear" or self.family == "bicubic":
            return interpolation(self.family, self.size)
        return motion(self.size, self.degrees) if self.family == "motion" else torch.ones(1, 1, dtype=torch.float64)


NONE = Shape("none")


def _steps(first: float, last: float, number: int) -> list[float]:
    levels: list[float] = torch.linspace(math.log(first), math.log(last), number, dtype=torch.float64).exp().tolist()
    return levels


@lru_cache(maxsize=1)
def grid() -> tuple[Shape, ...]:
    """Kernels of the first search, "none" first."""
    return (
        NONE,
        *(Shape("gaussian", size) for size in _steps(0.5, 5, 18)),
        *(Shape("disk", size) for size in _steps(0.9, 9, 22)),
        *(Shape("motion", size, 15.0 * turn) for size in _steps(2.5, 24, 14) for turn in range(12)),
    )


def around(shape: Shape) -> tuple[Shape, ...]:
    """Finer steps around a kernel of the grid."""
    if shape.family == "motion":
        sizes = _steps(shape.size * 0.88, shape.size * 1.14, 5)
        turns = (-9, -4.5, 0, 4.5, 9)
        return tuple(Shape("motion", size, (shape.degrees + turn) % 180) for size in sizes for turn in turns)
    return tuple(Shape(shape.family, size) for size in _steps(shape.size * 0.88, shape.size * 1.14, 9))


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
        quick: whether to use fewer factors of photographs and fewer steps, to select kernels for a closer search.
    """
    photographs, chances = Photographs.load(), _chances(quick)
    seen = (power + floor).log().flatten()
    expected = _passed(shapes) + photographs.mean
    lowest = (power.mean(1).min() + floor).log().item()
    rounds, starts = (_QUICK_ROUNDS, _QUICK_STARTS) if quick else (_ROUNDS, _STARTS)
    noise = torch.tensor([lowest + math.log(share) for share in starts], dtype=expected.dtype)
    each = noise.repeat_interleave(len(shapes))[:, None]
    found, _, _ = _fit(seen, expected.repeat(len(starts), 1), chances, photographs.chance, each, rounds)
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
        factors = factors[:, -_QUICK_RANK:].contiguous()
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


def search(power: Tensor, floor: float = LEAST) -> dict[Family, tuple[Shape, float]]:
    """Likeliest kernel of each family, with its log-likelihood ratio to no blur.

    Args:
        power: what `spectrum` gives.
        floor: see `likelihoods`.
    """
    shapes = grid()
    scores = likelihoods(power, shapes, floor, quick=True).tolist()
    order = sorted(zip(scores, shapes, strict=True), key=lambda pair: pair[0], reverse=True)
    families: tuple[Family, ...] = ("gaussian", "disk", "motion")
    few = [shape for family in families for shape in [s for _, s in order if s.family == family][:_CLOSELY]]
    none, *exact = likelihoods(power, [NONE, *few], floor).tolist()
    found: dict[Family, tuple[Shape, float]] = {"none": (NONE, 0.0)}
    finer: list[Shape] = []
    for family in families:
        own = [(score, shape) for score, shape in zip(exact, few, strict=True) if shape.family == family]
        finer += around(max(own, key=lambda pair: pair[0])[1])
    for score, shape in zip(likelihoods(power, finer, floor).tolist(), finer, strict=True):
        if shape.family not in found or score - none > found[shape.family][1]:
            found[shape.family] = (shape, score - none)
    return found


_CLOSELY = 4
"""Number of kernels of each family for the closer search."""


@dataclass(frozen=True)
class _Least:
    """Thresholds of a family: margins over no blur and over the other families, and a range of sizes in pixels."""

    margin: float
    ahead: float
    smallest: float
    largest: float


_LEAST: dict[Family, _Least] = {
    "gaussian": _Least(20.0, 0.0, 0.95, 5.5),
    "disk": _Least(30.0, 0.0, 1.7, 10.0),
    "motion": _Least(60.0, 40.0, 4.0, 22.0),
}
"""Chosen on training photographs: sharp ones stay below one of these, also noisy, compressed and enlarged ones.

A size at the end of the grid belongs to a picture without detail, whose blur cannot be identified. So does a motion of
its last step, which soft pictures with edges in one direction are given.
"""

_OFTEN = 10.0
"""Margin above the threshold at which the doubt has fallen to 1/e."""


@dataclass(frozen=True)
class Blur:
    """Blur of a picture.

    Attributes:
        shape: its kernel.
        margin: natural logarithm of the likelihood ratio to no blur.
        ahead: the same ratio to the best kernel of another family.
        grid: visibility of JPEG's blocks, in standard errors; see `blockiness`.
        agreement: the least margin in a part of the picture, of the sharpest ones.
        noise: standard deviation of a channel's noise, in [-1, 1] units, where the blur leaves nothing else.
    """

    shape: Shape
    margin: float
    ahead: float
    grid: float = 0.0
    agreement: float = 0.0
    noise: float = 0.0

    @property
    def compressed(self) -> bool:
        """True if the picture was compressed after the blur, so that its high frequencies are lost."""
        return self.grid >= _GRID

    @property
    def confidence(self) -> float:
        """Grows with the margin, from 0.5 at the threshold."""
        return 1 - 0.5 * math.exp(-(self.margin - _LEAST[self.shape.family].margin) / _OFTEN)

    @property
    def text(self) -> str:
        """The blur in plain words."""
        size = self.shape.size
        if self.shape.family == "motion":
            return f"motion blur of {size:.1f} pixels at {self.shape.degrees:.0f} degrees"
        kind = "lens blur of radius" if self.shape.family == "disk" else "Gaussian blur of"
        return f"{kind} {size:.1f} pixels"

    @property
    def remedy(self) -> str:
        """Options that repair it."""
        return "--task unblur"

    @property
    def evidence(self) -> dict[str, float]:
        """Numbers behind the finding."""
        shape = self.shape
        numbers = {"size": shape.size, "degrees": shape.degrees, "margin": self.margin, "ahead": self.ahead}
        return {**numbers, "grid": self.grid, "agreement": self.agreement, "noise": self.noise * 127.5}


_GRID = 2.8
_MOST = 1536
"""Longest side, a multiple of 8, of the part in which `blockiness` looks for the grid."""
_FLOOR, _COMPRESSED_FLOOR = (2 / 255) ** 2 / 12, (16 / 255) ** 2 / 12
"""Power that rounding leaves: to 8 bits, and to the steps of a fine JPEG at frequencies that a blur dampens."""


def estimate(image: Tensor, drawn: bool = False) -> Blur | None:
    """Looks for a blur; evaluates no prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1]; 1,500 blocks of a large one are used.
        drawn: whether it is text, line art or a screenshot, whose spectrum is not that of photographs.

    Returns:
        None without a certain blur: the margin or the kernel is small, the picture has no edges, a part of it is
        sharp, or it is below 96 pixels.
    """
    if drawn or min(image.shape[-2:]) < BLOCK + BLOCK // 2:
        return None
    image = image.detach().cpu()
    grid = blockiness(image)
    power, floor = spectrum(image), _COMPRESSED_FLOOR if grid >= _GRID else _FLOOR
    families = search(power, floor)
    order = sorted(families.values(), key=lambda pair: pair[1], reverse=True)
    (shape, margin), (_, second) = order[0], order[1]
    if shape.family == "none":
        return None
    least, ahead = _LEAST[shape.family], margin - second
    if margin < least.margin or ahead < least.ahead or not least.smallest <= shape.size <= least.largest:
        return None
    # A ring of zeros needs no edges to be seen.
    ringed = shape.family == "disk" and ahead >= _RINGED
    if contrast(image) < _CONTRAST or (not ringed and edginess(image) < _EDGES):
        return None
    if misfit(power, shape, floor) > _MISFIT:
        return None
    # A Gaussian under a JPEG has the spectrum of an enlargement, but not its repetitions.
    if shape.family != "motion" and not ringed and repeats(image):
        return None
    if _ahead_of_others(power, shape, floor) < _others(power, shape, grid >= _GRID):
        return None
    # Of a part the noise is known less well than of the whole.
    least_power = max(floor, power.mean(1).min().item())
    agreement = min(_margin(spectrum(part), shape, least_power) for part in sharpest(image))
    if agreement < _AGREE:
        return None
    shape = narrower(power, shape, floor) if shape.family == "gaussian" else shape
    noise = noise_below(power, shape, floor) * _of_channels(image)
    return Blur(shape, margin, ahead, grid, agreement, noise)


_INDEPENDENT = 1 / math.hypot(*LUMA)
"""Noise of a channel over that of the brightness, if the channels' are independent; 1 if they are equal."""


def _of_channels(image: Tensor) -> float:
    """Noise of a channel over that of the brightness, in the finest detail."""
    bright = _finest(luminance(image))
    return min(max(_finest(image) / bright, 1.0), _INDEPENDENT) if bright else 1.0


def _finest(x: Tensor) -> float:
    """Mean size of diagonal differences, in which edges count little; that of 8 bits, unlike a median, has no steps."""
    size = (x[..., 1:, 1:] - x[..., :-1, 1:] - x[..., 1:, :-1] + x[..., :-1, :-1]).abs()
    return size.clamp_max(3 * size.median().item()).mean().item()


_CONTRAST, _EDGES, _MISFIT, _AGREE = 10 / 127.5, 3.4, 5.0, 12.0
"""Least contrast and kurtosis of edges, most deviation from photographs, and least margin in a part.

Of 450 blurred training crops, one in 30 has less: one of texture only. Random textures, synthetic paper, clouds and
wood have a kurtosis of 3.2 or less, photographs in which a part is in focus a margin below 0 there.
"""
_ENLARGED: tuple[Family, ...] = ("bilinear", "bicubic")
_STREAKS, _NOT_ENLARGED, _QUIET, _RINGED = 5.0, 2.0, 1e-4, 60.0
"""Least margins of a motion over streaks, and of another blur over an enlargement; power without noise; margin of a
lens over other blurs that tells its ring of zeros.

On training crops a motion has 53 and more, an uncompressed Gaussian or lens 3.4, a compressed lens 14.
"""


def _margin(power: Tensor, shape: Shape, floor: float) -> float:
    """Logarithm of the likelihood ratio of a kernel to no blur."""
    found = likelihoods(power, [shape, NONE], floor)
    return (found[0] - found[1]).item()


def _ahead_of_others(power: Tensor, shape: Shape, floor: float) -> float:
    """Margin of a blur over what resembles it: streaks in a motion's direction, or an enlargement."""
    if shape.family == "motion":
        spreads, turns = (0.08, 0.12, 0.17, 0.22, 0.28, 0.35, 0.45), (-10, 0, 10)
        others = [Shape("streak", share * shape.size, shape.degrees + turn) for share in spreads for turn in turns]
    else:
        others = [Shape(family, factor) for family in _ENLARGED for factor in _steps(1.25, 4, 10)]
    found = likelihoods(power, [shape, *others], floor)
    return (found[0] - found[1:].max()).item()


def _others(power: Tensor, shape: Shape, compressed: bool) -> float:
    """Least margin over what resembles a blur; noise, and compression of a Gaussian, hide the difference."""
    if shape.family == "motion":
        return _STREAKS
    if power.mean(1).min() > _QUIET:
        return -math.inf
    return -math.inf if compressed and shape.family == "gaussian" else _NOT_ENLARGED


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


def blockiness(image: Tensor) -> float:
    """Height of the steps at JPEG's block edges above those elsewhere, in standard errors.

    Args:
        image: one picture, (1, C, H, W), of 24 pixels or more each way; the middle of a large one is used.
    """
    bright = luminance(middle(image, _MOST))[0, 0]
    found = []
    for x in (bright, bright.mT):
        step = x.diff(dim=1).abs()
        edge = (step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2).mean(0)
        edge = edge[: len(edge) // 8 * 8].view(-1, 8)
        place = int(edge.mean(0).argmax())
        rest = torch.cat([edge[:, :place], edge[:, place + 1 :]], 1)
        error = rest.std() / math.sqrt(len(edge)) + 1e-6
        found.append(((edge[:, place].mean() - rest.mean()) / error).item())
    return sum(found) / 2
