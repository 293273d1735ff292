"""Writes docs/choosing-a-method.md: each method that is told the degradation, by what it turns out to need.

    python -m benchmarks.choosing

Nothing in the table is typed: every method makes its first step on small problems of every kind, and what it refuses is
what it cannot do. Distances from the true posterior are those of docs/conformance.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from pellucid import methods
from pellucid.bench.conformance import METHODS
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import Method
from pellucid.operators import Blur, Denoise, Grayscale, Jpeg, Mask, Operator, PhaseRetrieval, ToneCurve, blur
from pellucid.operators.decoder import Decoder
from pellucid.priors import GaussianPrior

DOCS = Path(__file__).parent.parent / "docs"
PAGE, TABLE = DOCS / "choosing-a-method.md", DOCS / "conformance.md"
SIZE = 16

HEAD = """# Choosing a method

Methods for known degradations, at their defaults. Written by `python -m benchmarks.choosing`, which lets each
make a step on small problems of every kind: nothing here is typed. Blind methods are in [choosing.md](choosing.md);
[known.md](known.md) has the gains.

- **degradation**: the widest kind that the method takes.
- **noise**: whether it needs the level; "above 0" if it rejects noiseless measurements.
- **gradient**: whether it differentiates the network, which takes two to three times as long, and its memory.
- **evaluations**: of the prior, for one image.
- **random**: whether the seed matters.
- **posterior**: its first row in [conformance.md](conformance.md), at a noise of 0.1: the error of the mean at
  measured pixels, and the variance over the true one. A method that samples the posterior has 0 and 1, an estimate
  a variance of 0.

| method | degradation | noise | gradient | evaluations | random | posterior |
|---|---|---|---|---|---|---|
"""


def _prior() -> GaussianPrior:
    return GaussianPrior(torch.full((3, 1, 1), 0.2), variance=torch.full((3, 1, 1), 0.3))


KINDS: dict[str, Operator] = {
    "any differentiable": ToneCurve(),
    "any linear": Blur(blur.gaussian(0.6), "replicate"),
    "with a decomposition": Blur(blur.gaussian(0.6)),
    "a mask": Mask.random(SIZE, SIZE),
    "`Jpeg`": Jpeg(50),
    "`Grayscale`": Grayscale(),
    "`PhaseRetrieval`": PhaseRetrieval(),
    "any differentiable, in latents": Decoder(lambda z: z, (3, SIZE, SIZE), 3, Denoise(), lambda x: x),
}


def _works(method: Method, operator: Operator, sigma_y: float | None) -> bool | None:
    """Whether a first step comes of it, None if not; with whether it drew numbers."""
    x: Tensor = 0.5 * torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    rng = Streams.of(0, 1)
    try:
        next(method.iterate(Problem(operator.A(x), operator, sigma_y), _prior(), rng))
    except UsageError:
        return None
    return rng.drawn


def _posterior(kind: type[Method]) -> str:
    """The first row of the conformance table of a class of methods at a noise of 0.1."""
    for label, method in METHODS.items():
        if type(method) is kind:
            found = re.search(rf"^\| {re.escape(label)} \| 0\.1 \| (\S+) \| (\S+) \|", TABLE.read_text(), re.MULTILINE)
            return "not measured" if found is None else f"{found[1]}, {found[2]}"
    return "not measured"


def rows() -> Iterator[str]:
    """A line for each method that is told the degradation and evaluates the prior."""
    for name in methods.names(blind=False):
        kind = methods.find(name)
        if not kind.needs_prior:
            continue
        method = methods.get(name)
        fit = next((label for label, one in KINDS.items() if _works(method, one, 0.1) is not None), None)
        if fit is None:
            raise RuntimeError(f"{name} takes none of {', '.join(KINDS)}")
        told, none = (_works(method, KINDS[fit], sigma_y) is not None for sigma_y in (None, 0.0))
        noise = "no" if told else "yes" if none else "yes, above 0"
        random = "yes" if _works(method, KINDS[fit], 0.1) else "no"
        gradient = "yes" if method.through_network else "no"
        calls = method.nfe(_prior())
        yield f"| `{name}` | {fit} | {noise} | {gradient} | {calls} | {random} | {_posterior(kind)} |"


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
