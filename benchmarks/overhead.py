"""What methods cost beside their network: `python -m benchmarks.overhead [--size N] [--steps N] [--clock wall|cpu]`.

For each method, of this library and of others, on one network and in turn: microseconds an evaluation with a network
that does nothing, at 3x8x8; its time over what of it passed inside the network, which the machine's other work changes
less than two runs of it; and by how much it raises the peak of memory. Where a method differentiates the network, the
time is over that of as many calls of it with their gradients, in a run beside.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor

from pellucid import load_prior

from .contenders import Calls, Network, contenders, image
from .measuring import CLOCKS, in_turn, rise, seconds


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10, help="of each method on the network")
    parser.add_argument("--prior", default="natural", help="whose network it is")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu where the machine is busy")
    parser.add_argument("--idle", action="store_true", help="with the network that does nothing alone")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--peak", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    network: Network = load_prior(given.prior).network  # type: ignore[attr-defined]
    if given.peak:
        with torch.no_grad():
            network(image(64), torch.ones(1))
        print(rise(contenders(network, given.size, given.steps)[given.peak].run))
        return
    clock = CLOCKS[given.clock]
    idle = bookkeeping(5 * given.rounds, clock)
    names = given.only or list(idle)
    if given.idle:
        print(
            "| method | null network, us |\n|---|---|\n" + "\n".join(f"| {name} | {idle[name]:.0f} |" for name in names)
        )
        return
    print(f"{given.size}x{given.size}, {torch.get_num_threads()} threads, {given.clock}, {given.rounds} rounds")
    print(f"| method | null network, us | time / the network's, {given.size}x{given.size} | NFE | peak memory, MiB |")
    print("|---|---|---|---|---|")
    for name in names:
        ratio, nfe = share(name, network, given.size, given.steps, given.rounds, clock)
        peak = peak_of(name, given.prior, given.size, given.steps)
        print(f"| {name} | {idle[name]:.0f} | {ratio} | {nfe} | {peak:.0f} |", flush=True)


def bookkeeping(rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Microseconds an evaluation of each, with a network that halves its input."""
    calls = Calls(lambda x, sigma: x * 0.5)
    actions = {name: one.run for name, one in contenders(calls, 8, 100).items()}
    nfe = {name: count(calls, action) for name, action in actions.items()}
    return {name: 1e6 * median(took) / nfe[name] for name, took in in_turn(actions, rounds, clock).items()}


def count(calls: Calls, action: Callable[[], object]) -> int:
    """How often an action calls the network."""
    before = calls.made
    action()
    return calls.made - before


def share(
    name: str, network: Network, size: int, steps: int, rounds: int, clock: Callable[[], float]
) -> tuple[str, int]:
    """A method's time over the network's, the median with the least and the most, and the calls it makes."""
    calls = Calls(network, clock)
    method = contenders(calls, size, steps)[name]
    nfe = count(calls, method.run)
    if method.backward:
        bare = partial(with_gradients, network, image(size), nfe)
        took = in_turn({"method": method.run, "bare": bare}, rounds, clock)
        ratios = [own / alone for own, alone in zip(took["method"], took["bare"], strict=True)]
    else:
        ratios = []
        for _ in range(rounds):
            before = calls.spent
            took_all = seconds(method.run, clock)
            ratios.append(took_all / (calls.spent - before))
    return f"{median(ratios):.3f} ({min(ratios):.3f} ... {max(ratios):.3f})", nfe


def with_gradients(network: Network, x: Tensor, calls: int) -> None:
    """So many bare calls of a network, each differentiated."""
    with torch.enable_grad():
        for _ in range(calls):
            told = x.clone().requires_grad_()
            torch.autograd.grad(network(told, torch.ones(1)).sum(), told)


def peak_of(name: str, prior: str, size: int, steps: int) -> float:
    """`rise` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.overhead", "--peak", name, "--prior", prior]
    command += ["--size", str(size), "--steps", str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
