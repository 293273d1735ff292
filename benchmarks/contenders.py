"""What is timed side by side: this library's methods, plain loops, and other libraries, all on one network.

Each fills in missing pixels (or, if it is blind, is given the image) in a number of steps. Coordinates are variance
exploding, images are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pellucid import methods
from pellucid.maths.noise import linear_ladder
from pellucid.maths.problem import Problem
from pellucid.operators import Mask
from pellucid.priors import VENetwork, fit

from . import peers, reference

Network = Callable[[Tensor, Tensor], Tensor]
"""`network(x, sigma) -> x0`, x (B, C, H, W), sigma (B,)."""


class Calls:
    """Counts the calls of a network.

    Args:
        network: what to call.
        clock: what to time each call by; None leaves that out.

    Attributes:
        made: so many.
        spent: seconds in them.
    """

    def __init__(self, network: Network, clock: Callable[[], float] | None = None) -> None:
        self.network, self.clock = network, clock
        self.made, self.spent = 0, 0.0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Calls it."""
        self.made += 1
        if self.clock is None:
            return self.network(x, sigma)
        start = self.clock()
        x0 = self.network(x, sigma)
        self.spent += self.clock() - start
        return x0


@dataclass(frozen=True)
class Contender:
    """Something to time.

    Attributes:
        run: restores once.
        backward: whether each call of the network is differentiated.
    """

    run: Callable[[], object]
    backward: bool = False


def image(size: int) -> Tensor:
    """Colours by chance, (1, 3, size, size)."""
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def contenders(network: Network, size: int, steps: int) -> Mapping[str, Contender]:
    """All that can be timed here, by name; those of other libraries where these can be imported."""
    mask = Mask.random(size, size)
    y = mask.A(image(size))
    known, blind = Problem(y, mask, 0.1), Problem(image(size))
    prior = fit(VENetwork(network, linear_ladder(), multiple=1 if size % 16 else 16))

    def own(name: str, problem: Problem, **settings: Any) -> Contender:
        method = methods.get(name, **settings)
        return Contender(lambda: method(problem, prior), name == "dps")

    ladder = linear_ladder()[:: 1000 // steps].flip(0).tolist()
    kept = mask.A(torch.ones_like(y))
    found = {
        "dreamclean": own("dreamclean", blind, strength=1000, steps=max(1, steps // 3)),
        "ddrm": own("ddrm", known, steps=steps),
        "ddnm": own("ddnm", Problem(y, mask, 0.0), steps=steps),
        "snips": own("snips", known, levels=max(2, steps // 5)),
        "bird": own("bird", known, steps=5, iterations=max(1, steps // 5)),
        "dps": own("dps", known, steps=steps),
        "plain loop: ddrm": Contender(lambda: reference.ddrm(network, y, kept, 0.1, ladder)),
        "plain loop: ddnm": Contender(lambda: reference.ddnm(network, y, kept, ladder)),
        "plain loop: bird": Contender(
            lambda: reference.bird(network, y, kept, ladder[:: len(ladder) // 5], steps // 5)
        ),
    }
    for name, (run, backward) in peers.available(network, y, kept, steps).items():
        found[name] = Contender(run, backward)
    return found
