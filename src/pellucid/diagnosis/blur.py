r"""The blur of a picture, by the likelihood of its power spectrum.

A blurred photograph has, at a point of the frequency plane, the power

.. math:: P = |K_t|^2 e^{m + r} + n, \qquad r \sim N(0, \Sigma)

with the kernel's transfer function K_t, the mean m and covariance Sigma of photographs' log-spectra (`Photographs`), and
noise n. For each kernel of three families, and for none, r and n are fitted by Gauss-Newton steps. The Gaussian
likelihood at the fit says how well the kernel explains the spectrum. The covariance knows that photographs differ in
slope and in the direction of their edges, and that none has a ring of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from ..operators.blur import gaussian, motion
from ..priors.kernels import disk
from .spectrum import ANGLES, BLOCK, LEAST, RADII, Photographs, passed, spectrum

Family = Literal["none", "gaussian", "disk", "motion"]


@dataclass(frozen=True)
class Shape:
    """A blur's kernel by its numbers.

    Attributes:
        family: "none", "gaussian", "disk" (a lens out of focus) or "motion" (straight).
        size: standard deviation, radius or length in pixels.
        degrees: direction of a motion, anticlockwise from right, [0, 180).
    """

    family: Family
    size: float = 0.0
    degrees: float = 0.0

    @property
    def spread(self) -> float:
        """The standard deviation in pixels, along the motion where it is one."""
        return self.size / {"none": 1.0, "gaussian": 1.0, "disk": 2.0, "motion": math.sqrt(12)}[self.family]

    def kernel(self) -> Tensor:
        """The kernel, (h, w), odd sides, its sum 1."""
        if self.family == "gaussian":
            return gaussian(self.size)
        if self.family == "disk":
            return disk(self.size, 2 * math.ceil(self.size + 0.5) + 1)
        return motion(self.size, self.degrees) if self.family == "motion" else torch.ones(1, 1, dtype=torch.float64)


NONE = Shape("none")


def _steps(first: float, last: float, number: int) -> list[float]:
    levels: list[float] = torch.linspace(math.log(first), math.log(last), number, dtype=torch.float64).exp().tolist()
    return levels


@lru_cache(maxsize=1)
def grid() -> tuple[Shape, ...]:
    """The kernels that are tried first, none of them the first."""
    return (
        NONE,
        *(Shape("gaussian", size) for size in _steps(0.5, 5, 18)),
        *(Shape("disk", size) for size in _steps(0.9, 9, 22)),
        *(Shape("motion", size, 15.0 * turn) for size in _steps(2.5, 24, 14) for turn in range(12)),
    )


def around(shape: Shape) -> tuple[Shape, ...]:
    """Finer steps about a kernel of the grid."""
    if shape.family == "motion":
        sizes = _steps(shape.size * 0.88, shape.size * 1.14, 5)
        return tuple(Shape("motion", size, (shape.degrees + turn) % 180) for size in sizes for turn in (-9, -4.5, 0, 4.5, 9))
    return tuple(Shape(shape.family, size) for size in _steps(shape.size * 0.88, shape.size * 1.14, 9))


@lru_cache(maxsize=1024)
def _passed(shape: Shape) -> Tensor:
    kernel = shape.kernel()
    return passed(kernel[: BLOCK - 1, : BLOCK - 1]).clamp_min(1e-12).log().flatten()


_ROUNDS = 5
_CHANCE_OF_NOISE = 1.0
"""Standard deviation of the logarithm of the noise about where the search begins."""


def likelihoods(power: Tensor, shapes: Sequence[Shape], highest: float = 0.36) -> Tensor:
    """How well each kernel explains a spectrum, (n,): the logarithm of the likelihood, up to a constant.

    Args:
        power: what `spectrum` gives.
        shapes: n kernels.
        highest: frequency in cycles a pixel above which nothing is believed: compression cuts there.
    """
    photographs = Photographs.load()
    below = (RADII <= highest)[:, None].expand(-1, ANGLES).flatten()
    seen = power.clamp_min(LEAST).log().flatten()[below]
    mean, factors, rest = photographs.mean[below], photographs.factors[below], photographs.rest[below]
    chance = photographs.chance[below]
    expected = torch.stack([_passed(shape)[below] for shape in shapes]) + mean
    floor = power.mean(1).clamp_min(LEAST).min().log().item()
    found = [_fit(seen, expected, factors, rest, chance, floor + math.log(share)) for share in (0.95, 0.1)]
    return torch.stack(found).amax(0)


def _fit(seen: Tensor, expected: Tensor, factors: Tensor, rest: Tensor, chance: Tensor, noise: float) -> Tensor:
    """The likelihood at the end of a search for r and n that begins at a level of noise, (n,)."""
    r, q = torch.zeros_like(expected), torch.zeros(len(expected), 1, dtype=expected.dtype)
    eye = torch.eye(factors.shape[1] + 1, dtype=factors.dtype)
    for step in range(_ROUNDS):
        made = torch.logaddexp(expected + r, (noise + q).expand_as(r))
        share = (expected + r - made).exp()  # of the picture in the power; the noise has the rest
        residual = seen - made + share * r + (1 - share) * q
        # Covariance: factors and noise as one low rank, the rest on the diagonal.
        low = torch.cat([share[..., None] * factors, (_CHANCE_OF_NOISE * (1 - share))[..., None]], -1)
        diagonal = share.square() * rest + (1 - share).square() * chance
        scaled = low / diagonal[..., None]
        lower = torch.linalg.cholesky(eye + low.mT @ scaled)
        held = torch.cholesky_solve((scaled.mT @ residual[..., None]), lower)
        weights = (residual - (low @ held)[..., 0]) / diagonal
        if step == _ROUNDS - 1:
            break
        new_r = (weights[:, None] * share[:, None] @ factors @ factors.T)[:, 0] + rest * share * weights
        r, q = r + (new_r - r).clamp(-3, 3), q + (held[:, -1] * _CHANCE_OF_NOISE - q).clamp(-1, 1)
    determinant = 2 * lower.diagonal(dim1=-2, dim2=-1).log().sum(-1) + diagonal.log().sum(-1)
    return -0.5 * ((residual * weights).sum(-1) + determinant)


def search(power: Tensor, highest: float = 0.36) -> dict[Family, tuple[Shape, float]]:
    """The likeliest kernel of each family, and by how much it is likelier than none.

    Args:
        power: what `spectrum` gives.
        highest: see `likelihoods`.
    """
    shapes = grid()
    scores = likelihoods(power, shapes, highest)
    found: dict[Family, tuple[Shape, float]] = {"none": (NONE, 0.0)}
    families: tuple[Family, ...] = ("gaussian", "disk", "motion")
    for family in families:
        own = [(score, shape) for score, shape in zip(scores.tolist(), shapes, strict=True) if shape.family == family]
        best = max(own, key=lambda pair: pair[0])[1]
        finer = around(best)
        score, shape = max(zip(likelihoods(power, finer, highest).tolist(), finer, strict=True), key=lambda p: p[0])
        found[family] = (shape, score - scores[0].item())
    return found


_MARGINS: dict[Family, tuple[float, float]] = {"gaussian": (18.0, 0.8), "disk": (40.0, 1.5), "motion": (60.0, 4.0)}
"""Of each family the least margin over none, and the least size in pixels, that are believed."""

_OFTEN = 10.0
"""Margin beyond the least that is e-fold surer."""


@dataclass(frozen=True)
class Blur:
    """The blur that was found in a picture.

    Attributes:
        shape: its kernel.
        margin: how much likelier the spectrum is with it than with none, a natural logarithm.
        ahead: how much likelier than with the best kernel of another family.
    """

    shape: Shape
    margin: float
    ahead: float

    @property
    def confidence(self) -> float:
        """Grows with the margin, from 0.5 at the least that is believed."""
        return 1 - 0.5 * math.exp(-(self.margin - _MARGINS[self.shape.family][0]) / _OFTEN)

    @property
    def text(self) -> str:
        """The blur in plain words."""
        size = self.shape.size
        if self.shape.family == "motion":
            return f"motion blur of {size:.1f} pixels at {self.shape.degrees:.0f} degrees"
        kind = "out of focus, a disk of radius" if self.shape.family == "disk" else "a Gaussian blur of"
        return f"{kind} {size:.1f} pixels"

    @property
    def remedy(self) -> str:
        """The options that mend it."""
        return "--task unblur"

    @property
    def evidence(self) -> dict[str, float]:
        """The numbers that it rests on."""
        return {"size": self.shape.size, "degrees": self.shape.degrees, "margin": self.margin, "ahead": self.ahead}


def estimate(image: Tensor, found: object = None) -> Blur | None:
    """Looks for a blur; no evaluation of a prior.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        found: the diagnosis so far; not used.

    Returns:
        None where there is none that can be believed: a small margin or kernel, or a picture below 96 pixels.
    """
    if min(image.shape[-2:]) < BLOCK + BLOCK // 2:
        return None
    families = search(spectrum(image), _HIGHEST)
    order = sorted(families.values(), key=lambda pair: pair[1], reverse=True)
    (shape, margin), (_, second) = order[0], order[1]
    if shape.family == "none" or margin < _MARGINS[shape.family][0] or shape.size < _MARGINS[shape.family][1]:
        return None
    return Blur(shape, margin, margin - second)


_HIGHEST = 0.3
"""Above this frequency JPEG leaves little of a blurred picture."""
