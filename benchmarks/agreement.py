"""PiGDM and DiffPIR beside azula's and deepinv's: `python -m benchmarks.agreement`, where these can be imported.

The same network, measurement, levels and draws: half of the pixels of a picture of 64x64 are known. A line says the
largest difference of the results in [-1, 1] units, once as the library does it, once with what differs put right.
`sh benchmarks/peers.sh` runs it in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pellucid import load_prior
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import DiffPIR, PiGDM
from pellucid.methods.dpir import DataStep
from pellucid.methods.method import last
from pellucid.operators import Mask
from pellucid.priors import VENetwork

from .contenders import Network, image
from .peers import of_azula, of_deepinv

SIZE, STEPS, NOISE = 64, 10, 0.1
"""Of the picture, of each method; standard deviation of the measurement's noise in [-1, 1] units."""

Line = tuple[str, str, float, str, float]
"""Library, algorithm, difference as it is, what differs, difference without that."""


class Draws(Streams):
    """Draws that are given, one after the other."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        super().__init__([0])
        self._left = list(draws)

    def like(self, x: Tensor) -> Tensor:
        """The next one."""
        return self._left.pop(0).to(x)


@contextmanager
def drawing(draws: Sequence[Tensor]) -> Iterator[None]:
    """Makes torch.randn_like give these."""
    left, own = list(draws), torch.randn_like
    torch.randn_like = lambda x, **_: left.pop(0).to(x)  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.randn_like = own


class Bench:
    """The network, the measurement and the draws of all.

    Args:
        network: `network(x, sigma) -> x0`.
        sigmas: its training ladder.
    """

    def __init__(self, network: Network, sigmas: Tensor) -> None:
        self.network, self.prior = network, VENetwork(network, sigmas)
        self.mask = Mask.random(SIZE, SIZE, 0.5)
        clean = image(SIZE)
        self.draws = [torch.randn(clean.shape, generator=torch.Generator().manual_seed(i)) for i in range(3 * STEPS)]
        self.exact = self.mask.A(clean)
        self.noisy = self.exact + NOISE * self.mask.A(self.draws.pop())
        self.kept = self.mask.known.expand_as(clean)

    def restored(self, method: DiffPIR | PiGDM, y: Tensor, sigma_y: float, draws: Sequence[Tensor]) -> Tensor:
        """A method of this library's, with draws."""
        return last(method.iterate(Problem(y, self.mask, sigma_y), self.prior, Draws(draws))).x


def azula(bench: Bench) -> Iterator[Line]:
    """Compares with azula's sampler of each."""
    from azula.guidance import DiffPIRDenoiser, PGDMSampler
    from azula.noise import Schedule
    from azula.sample import DDIMSampler

    ladder = DiffPIR(steps=STEPS).ladder(bench.prior.sigmas).float()

    class Ladder(Schedule):  # type: ignore[misc]  # untyped
        """The levels of this library by their number."""

        def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
            sigma = ladder[t.long()]
            alpha = 1 / (1 + sigma**2).sqrt()
            return alpha, alpha * sigma

    own = of_azula(bench.network, Ladder())

    def walk(step: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        x = ladder[0] * bench.draws[0] / (1 + ladder[0] ** 2).sqrt()
        with drawing(bench.draws[1:]):
            for number in range(STEPS):
                x = step(x, torch.tensor(number), torch.tensor(number + 1))
        return x

    def keep(x: Tensor) -> Tensor:
        return bench.kept * x

    pir = DDIMSampler(DiffPIRDenoiser(own, bench.noisy, keep, NOISE**2, lmbda=7.0), eta=0.0, silent=True)
    ours = bench.restored(DiffPIR(STEPS, weight=7.0, zeta=0.0), bench.noisy, NOISE, bench.draws)
    apart = difference(walk(pir.step), ours)
    yield "azula", "DiffPIR, nothing fresh", apart, "nothing", apart

    guided = PGDMSampler(own, bench.exact, keep, keep, eta=1.0, silent=True)
    bare = DDIMSampler(own, eta=1.0, silent=True)

    def righted(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        with drawing(fresh := [bench.draws[1 + int(t)]]):
            with_guidance = guided.step(x, t, s)
        with drawing(fresh), torch.no_grad():
            without = bare.step(x, t, s)
        mended: Tensor = without + (with_guidance - without) / Ladder()(s)[0]
        return mended

    ours = bench.restored(PiGDM(STEPS), bench.exact, 0.0, bench.draws)
    yield (
        "azula", "PiGDM, no noise", difference(walk(guided.step), ours),
        "guidance has one factor of sqrt(abar) more than algorithm 1", difference(walk(righted), ours),
    )  # fmt: skip


def deepinv(bench: Bench) -> Iterator[Line]:
    """Compares with deepinv's DiffPIR, and with its gradient of PiGDM."""
    import deepinv as library

    seen: list[Tensor] = []

    def unit(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(2 * x - 1)
        return (bench.network(2 * x - 1, 2 * sigma) + 1) / 2

    size = tuple(bench.kept.shape[1:])
    physics = library.physics.Inpainting(size, mask=bench.kept[0], noise_model=library.physics.GaussianNoise(NOISE / 2))
    pir = library.sampling.DiffPIR(
        of_deepinv(unit), library.optim.data_fidelity.L2(), sigma=NOISE / 2, max_iter=STEPS, zeta=0.3, lambda_=7.0
    )
    with drawing(bench.draws), torch.no_grad():
        theirs = 2 * pir(bench.kept * (bench.noisy + 1) / 2, physics) - 1
    clipped = Bench(lambda x, sigma: bench.network(x, sigma).clamp(-1, 1), bench.prior.sigmas)

    def ours(weight: float, ends: str) -> Tensor:
        method = DiffPIR(STEPS, weight, 0.3, spacing="quad", ends=ends)  # type: ignore[arg-type]
        top = method.ladder(bench.prior.sigmas)[0]
        # It begins from the measurement with noise; the first is what its network saw.
        states = method.iterate(
            Problem(bench.noisy, bench.mask, NOISE), clipped.prior, Draws([seen[0] / top, *bench.draws[1:]])
        )
        *_, before, end = [state.x.clone() for state in states]
        return before if ends == "prior" else end

    # Its latent of the last level, in variance-preserving coordinates, is its result.
    least = bench.prior.sigmas[0]
    yield (
        "deepinv", "DiffPIR", difference(theirs, ours(7.0 / 4, "data")),
        "lambda counts twice (prox); the last latent is the result; estimates are clipped",
        difference(theirs * (1 + least**2).sqrt(), ours(7.0 / 2, "prior")),
    )  # fmt: skip

    sigma = 0.5
    x, share = bench.exact + sigma * bench.draws[0], sigma**2 / (1 + sigma**2)

    physics = library.physics.Inpainting(size, mask=bench.kept[0], noise_model=library.physics.GaussianNoise(NOISE))
    gradient = library.sampling.PiGDMDataFidelity(of_deepinv(bench.network)).grad(
        x, bench.noisy, physics, torch.tensor(sigma)
    )
    told = x.clone().requires_grad_()
    with torch.enable_grad():
        x0 = bench.network(told, torch.full((len(x),), sigma))
        problem = Problem(bench.noisy, bench.mask, NOISE)
        m = PiGDM.beyond(problem, bench.mask, DataStep(bench.mask, bench.noisy), x0.detach(), NOISE**2 / share)
        (pull,) = torch.autograd.grad(x0, told, m)
    apart = difference(-share * gradient, pull)
    yield "deepinv", "PiGDM's gradient", apart, "nothing", apart


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of two pictures."""
    return (one - other).abs().max().item()


def main() -> None:
    prior: Any = load_prior("natural", "cpu")
    bench = Bench(prior.network, prior.sigmas)
    print("| library | algorithm | as it is | what differs | without that |\n|---|---|---|---|---|")
    for compare in (azula, deepinv):
        try:
            for name, algorithm, apart, what, left in compare(bench):
                print(f"| {name} | {algorithm} | {apart:.2g} | {what} | {left:.2g} |", flush=True)
        except ImportError as error:
            print(f"{compare.__name__} is left out: {error}")


if __name__ == "__main__":
    main()
