"""What a method costs beside its network: `python -m benchmarks.overhead [--prior P] [--size N] [--rounds R]`.

Prints wall time / (NFE x time of one bare network call), both timed in turn in the same process, and the time of one
evaluation's bookkeeping with a network that does nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from pellucid import methods
from pellucid.methods import Method
from pellucid.noise import Streams, linear_ladder
from pellucid.priors import Prior, VENetwork, fit, load_prior
from pellucid.problem import Problem


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def image(size: int) -> Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def overhead(method: Method, prior: Prior, size: int, rounds: int) -> str:
    """Wall time of a method over that of its bare network calls, timed in turn."""
    y, ready = image(size), fit(prior)
    problem, nfe = Problem(y), method.nfe(prior)
    levels = [state.sigma for state in method.iterate(problem, ready, Streams.of(0, 1)) if state.sigma > 0]

    def bare() -> None:
        for i in range(nfe):
            prior(y, levels[i % len(levels)])

    ratios, calls = [], []
    for round_ in range(rounds):
        # In turn and in alternating order, so that a busy machine hits both alike.
        if round_ % 2:
            method_took, bare_took = seconds(lambda: method(problem, ready)), seconds(bare)
        else:
            bare_took, method_took = seconds(bare), seconds(lambda: method(problem, ready))
        ratios.append(method_took / bare_took)
        calls.append(bare_took / nfe)
    spread = f"{min(ratios):.3f} ... {max(ratios):.3f}"
    return f"wall / (NFE x bare call) = {median(ratios):.3f} ({spread}), NFE {nfe}, call {median(calls):.3f} s"


def bookkeeping(method: Method, rounds: int) -> str:
    """Time of one evaluation when the network does nothing."""
    idle, problem = VENetwork(lambda x, sigma: x, linear_ladder()), Problem(image(8))
    took = [seconds(lambda: method(problem, idle)) / method.nfe(idle) for _ in range(rounds)]
    return f"{median(took) * 1e6:.0f} microseconds an evaluation with a null network at 3x8x8"


def main() -> None:
    """Parses and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="DDIM steps of the whole ladder; the paper's are 100")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)

    prior = load_prior(arguments.prior)
    print(f"{arguments.size}x{arguments.size}, {torch.get_num_threads()} threads, median of {arguments.rounds} rounds")
    for name in ("dreamclean", "gdp"):
        measured = methods.get(name, steps=arguments.steps)
        print(f"{name}: {overhead(measured, prior, arguments.size, arguments.rounds)}")
        print(f"{name}: {bookkeeping(methods.get(name), arguments.rounds)}")


if __name__ == "__main__":
    main()
