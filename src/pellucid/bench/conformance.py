"""Methods against the true posterior on Gaussian images, half of their pixels measured with noise."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from .. import methods
from ..jobs.fingerprint import of_configuration
from ..maths.noise import Streams, derive_seed
from ..maths.problem import Problem
from ..methods import Method
from ..operators import Mask
from ..priors import GaussianPrior
from ..priors.fingerprint import fingerprint
from .ledger import Ledger
from .rows import Row, libraries
from .summary import Line

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
    "DiffPIR, 100 steps, a tenth fresh": methods.DiffPIR(zeta=0.1),
    "DPIR, 8 steps": methods.DPIR(),
    "DAPS, 200 steps": methods.DAPS(),
    "DAPS, 200 steps, exact draws": methods.DAPS(beta=None, draw="exact"),
    "DAPS, 200 steps, narrow exact draws": methods.DAPS(beta=None, draw="exact", width=0.3),
    "RED-diff, 1000 steps": methods.REDDiff(),
    "RePaint, 250 steps": methods.RePaint(),
    "MMPS, 100 steps": methods.MMPS(),
    "MMPS, 1000 steps": methods.MMPS(steps=1000),
}


NAME = "conformance"

COLUMNS = ("seen_error", "seen_ratio", "seen_coverage", "unseen_error", "unseen_ratio", "unseen_coverage")
"""Figures of a method at one noise level.

Of the measured pixels ("seen") and of the others: the mean less the posterior's, in [-1, 1] units; the variance over
the posterior's; how often the truth lies between the least and the greatest of 19 results, which is 0.9 of samples of
the posterior, exactly.
"""


def compare(
    contestants: Mapping[str, Method] | None = None,
    noises: Sequence[float] = (0.1, 0.4),
    seeds: Sequence[int] = (0,),
    folder: Path | None = None,
) -> Iterator[Row]:
    """Measures each method on 6,144 measured and as many unmeasured pixels, all of them alike and independent.

    Args:
        contestants: methods by label; None for `METHODS`.
        noises: of the measurements, in [-1, 1] units.
        seeds: of the methods; each has a row, whose "image" it is.
        folder: where rows are kept; None to keep none.

    Yields:
        The rows, old and new.
    """
    prior = GaussianPrior(torch.full((3, 1, 1), MEAN), variance=torch.full((3, 1, 1), VARIANCE))
    ledger = Ledger(folder, NAME)
    for noise in noises:
        for label, method in (METHODS if contestants is None else contestants).items():
            for seed in seeds:
                yield _row(ledger, label, method, noise, seed, prior)


def _row(ledger: Ledger, label: str, method: Method, noise: float, seed: int, prior: GaussianPrior) -> Row:
    own = json.loads(json.dumps(asdict(method), default=repr))  # type: ignore[call-overload]  # a dataclass
    settings = {"method": type(method).__name__, **own}
    weights = fingerprint(prior)
    configuration = of_configuration(weights, {"label": label, "settings": settings, "noise": noise})
    about = ("gaussian", f"noise {noise:g}", label, f"draw {seed}", seed)

    def compute() -> Row:
        start = time.perf_counter()
        figures = _figures(method, noise, seed, prior)
        seconds = round(time.perf_counter() - start, 3)
        nfe = method.nfe(prior)
        return Row(
            NAME, *about, figures, nfe, seconds, 0.0, "", settings, configuration, weights, "cpu", libraries()
        )  # fmt: skip

    return ledger.row((*about, configuration), compute)


def _figures(method: Method, noise: float, seed: int, prior: GaussianPrior) -> dict[str, float]:
    known = torch.zeros(SIZE, SIZE)
    known[:, ::2] = 1
    y = VALUE * known.expand(1, 3, -1, -1)
    share = VARIANCE / (VARIANCE + noise**2)
    mean, variance = share * VALUE + (1 - share) * MEAN, share * noise**2
    out = method(Problem(y, Mask(known), noise), prior, seed)
    seen, unseen = out[..., ::2], out[..., 1::2]
    covered = coverage(method, noise, seed)
    return {
        "seen_error": seen.mean().item() - mean,
        "seen_ratio": seen.var().item() / variance,
        "seen_coverage": covered[0],
        "unseen_error": unseen.mean().item() - MEAN,
        "unseen_ratio": unseen.var().item() / VARIANCE,
        "unseen_coverage": covered[1],
    }


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


def markdown(lines: Sequence[Line]) -> str:
    """The lines of a run as a table, with 95 % intervals where there are several draws."""
    heads = ["mean error", "variance ratio", "coverage"]
    text = [f"| method | noise | measured: {' | '.join(heads)} | not measured: {' | '.join(heads)} |"]
    text.append("|---" * 8 + "|")
    for line in lines:
        cells = [
            f"{cell.mean:{shape}}" + (f" ±{cell.half:{shape[-3:]}}" if math.isfinite(cell.half) else "")
            for cell, shape in zip((line.cells[name] for name in COLUMNS), ("+.3f", ".2f", ".2f") * 2, strict=True)
        ]
        text.append(f"| {line.method} | {line.task.removeprefix('noise ')} | {' | '.join(cells)} |")
    return "\n".join(text)
