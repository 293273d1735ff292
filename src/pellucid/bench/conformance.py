"""Methods against the true posterior on Gaussian images, half of their pixels measured with noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from .. import methods
from ..methods import Method
from ..noise import Streams, derive_seed
from ..operators import Mask
from ..priors import GaussianPrior
from ..problem import Problem

MEAN, VARIANCE, VALUE, SIZE = 0.2, 0.3, 0.7, 64
"""The prior's mean and variance, the value of every measured pixel, the image's side."""

METHODS: dict[str, Method] = {
    "DDRM, 20 steps": methods.DDRM(),
    "DDRM, 100 steps": methods.DDRM(steps=100),
    "DDNM+, 100 steps": methods.DDNM(),
    "DreamClean, known": methods.DreamCleanKnown(),
    "DPS, 1000 steps, scale 0.3": methods.DPS(),
    "DPS, 1000 steps, scale 1": methods.DPS(scale=1.0),
    "GDP, 1000 steps": methods.GDP(scale=2000),
    "SNIPS, 1000 steps": methods.SNIPS(),
    "RED, 50 iterations": methods.RED(),
    "PiGDM, 100 steps": methods.PiGDM(),
    "PiGDM, 100 steps, by the score": methods.PiGDM(guidance="score"),
    "PiGDM, 1000 steps, by the score, told the variance": methods.PiGDM(
        steps=1000, guidance="score", spread=math.sqrt(VARIANCE)
    ),
    "DiffPIR, 100 steps": methods.DiffPIR(),
    "DPIR, 8 steps": methods.DPIR(),
    "DAPS, 200 steps": methods.DAPS(),
    "DAPS, 200 steps, exact draws": methods.DAPS(beta=None, draw="exact"),
    "DAPS, 200 steps, narrow exact draws": methods.DAPS(beta=None, draw="exact", width=0.3),
    "RED-diff, 1000 steps": methods.REDDiff(),
    "RePaint, 250 steps": methods.RePaint(),
    "MMPS, 100 steps": methods.MMPS(),
    "MMPS, 1000 steps": methods.MMPS(steps=1000),
}


@dataclass(frozen=True)
class Row:
    """Distribution of one method's results at one noise level.

    Attributes:
        method: name of the method.
        noise: of the measurement, in [-1, 1] units.
        seen_error: mean of the measured pixels less the posterior's mean, in [-1, 1] units.
        seen_ratio: their variance over the posterior's.
        unseen_error: the same for unmeasured pixels.
        unseen_ratio: the same ratio for unmeasured pixels.
        seen_coverage: share of measured pixels whose truth lies between the least and the greatest of 19 results;
            exactly 0.9 for samples of the posterior.
        unseen_coverage: the same share for unmeasured pixels.
    """

    method: str
    noise: float
    seen_error: float
    seen_ratio: float
    unseen_error: float
    unseen_ratio: float
    seen_coverage: float
    unseen_coverage: float


def compare(
    contestants: Mapping[str, Method] = METHODS, noises: Sequence[float] = (0.1, 0.4), seed: int = 0
) -> Iterator[Row]:
    """Measures each method on 6,144 measured and 6,144 unmeasured pixels, all alike and independent."""
    prior = GaussianPrior(torch.full((3, 1, 1), MEAN), variance=torch.full((3, 1, 1), VARIANCE))
    known = torch.zeros(SIZE, SIZE)
    known[:, ::2] = 1
    y = VALUE * known.expand(1, 3, -1, -1)
    for noise in noises:
        share = VARIANCE / (VARIANCE + noise**2)
        mean, variance = share * VALUE + (1 - share) * MEAN, share * noise**2
        for name, method in contestants.items():
            out = method(Problem(y, Mask(known), noise), prior, seed)
            seen, unseen = out[..., ::2], out[..., 1::2]
            yield Row(
                name,
                noise,
                seen.mean().item() - mean,
                seen.var().item() / variance,
                unseen.mean().item() - MEAN,
                unseen.var().item() / VARIANCE,
                *coverage(method, noise, seed),
            )


def coverage(method: Method, noise: float, seed: int = 0) -> tuple[float, float]:
    """Measures how often the interval of 19 results of a method contains the truth.

    The truth and 19 samples of its posterior are 20 draws of one distribution, and the truth is neither the least nor
    the greatest of them in 18 of 20 cases: 0.9, whatever the posterior.

    Args:
        method: the method.
        noise: of the measurement, in [-1, 1] units.
        seed: of the images, their noise and the method.

    Returns:
        Shares of the 1,536 measured pixels of an image, and of the unmeasured ones.
    """
    prior = GaussianPrior(torch.full((3, 1, 1), MEAN), variance=torch.full((3, 1, 1), VARIANCE))
    known = torch.zeros(_SIDE, _SIDE)
    known[:, ::2] = 1
    rng = Streams.of(derive_seed(seed, "truth"), 1)
    truth = prior.sample((_SIDE, _SIDE), rng)
    y = known * (truth + noise * rng.like(truth))
    out = method(Problem(y.expand(19, -1, -1, -1), Mask(known), noise), prior, seed)
    inside = ((out.amin(0) <= truth) & (truth <= out.amax(0))).float()
    return inside[..., ::2].mean().item(), inside[..., 1::2].mean().item()


_SIDE = 32


def markdown(rows: Sequence[Row]) -> str:
    """Formats the rows as a table."""
    heads = ["mean error", "variance ratio", "coverage"]
    lines = [f"| method | noise | measured: {' | '.join(heads)} | not measured: {' | '.join(heads)} |"]
    lines.append("|---" * 8 + "|")
    lines += [
        f"| {row.method} | {row.noise:g} | {row.seen_error:+.3f} | {row.seen_ratio:.2f} | {row.seen_coverage:.2f} "
        f"| {row.unseen_error:+.3f} | {row.unseen_ratio:.2f} | {row.unseen_coverage:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)
