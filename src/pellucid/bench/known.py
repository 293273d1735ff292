"""Methods that are told the degradation, side by side on the same measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import methods
from ..errors import unknown_name
from ..methods import Method
from ..methods.method import last
from ..metrics import Lpips, psnr, ssim
from ..noise import Streams, derive_seed
from ..operators import AveragePool, Blur, Grayscale, Mask, Operator, blur
from ..priors.prior import Prior, device_of
from ..problem import Problem, to_unit

NOISE = 0.05
"""Standard deviation of every measurement's noise, in [0, 1] units, as in the papers' tables."""

TASKS: dict[str, Callable[[int, int], Operator]] = {
    "sr4": lambda height, width: AveragePool(4),
    "uniform blur": lambda height, width: Blur(blur.uniform(9)),
    "gaussian blur": lambda height, width: Blur(blur.gaussian(2)),
    "inpainting 25%": lambda height, width: Mask.random(height, width, 0.25),
    "inpainting box": lambda height, width: Mask.box(
        height, width, 3 * height // 8, 3 * width // 8, height // 4, width // 4
    ),
    "colorization": lambda height, width: Grayscale(),
}

_QUICK: dict[str, Method] = {
    "ddrm": methods.DDRM(),
    "ddnm": methods.DDNM(steps=40),
    "dreamclean-known": methods.DreamCleanKnown(gamma=0.5),
    "dps": methods.DPS(steps=100, scale=4.0),
    "gdp": methods.GDP(steps=100, scale=20_000),
    "snips": methods.SNIPS(levels=60, repeats=2, rate=0.2),
    "red": methods.RED(iterations=30, weight=0.002),
    "mmps": methods.MMPS(steps=25),
}

_QUICK_FOR: dict[str, dict[str, Method | None]] = {
    # The gradient of a mean of 16 pixels is a sixteenth as large, of a picture that is nearly all known the largest.
    "sr4": {"dps": methods.DPS(steps=100, scale=10.0)},
    "inpainting 25%": {"dps": methods.DPS(steps=100, scale=15.0), "gdp": methods.GDP(steps=100, scale=40_000)},
    "inpainting box": {"dps": methods.DPS(steps=100, scale=15.0), "gdp": methods.GDP(steps=100, scale=40_000)},
    # Not what they are made for: from pure noise on, two thirds of the image are whatever the prior dreams of.
    "colorization": {"dps": None, "mmps": None},
}


def quick(task: str) -> dict[str, Method]:
    """The methods for a task at few evaluations, with the hyper-parameters that suit them and the embedded prior.

    Where steps are fewer than the papers', each pull is stronger.
    """
    chosen = _QUICK | _QUICK_FOR.get(task, {})
    return {name: method for name, method in chosen.items() if method is not None}


@dataclass(frozen=True)
class Row:
    """A line of the table: means over the images.

    Attributes:
        task: name of the degradation.
        method: name of the method; "damaged" for the measurement itself, as `simple` makes an image of it.
        psnr: in dB.
        ssim: from 0 to 1.
        lpips: None where no network was given.
        nfe: evaluations an image.
        seconds: an image.
    """

    task: str
    method: str
    psnr: float
    ssim: float
    lpips: float | None
    nfe: int
    seconds: float


def compare(
    prior: Prior,
    photographs: Mapping[str, Tensor],
    tasks: Sequence[str] = (),
    contestants: Callable[[str], Mapping[str, Method]] = quick,
    lpips: Lpips | None = None,
    seed: int = 0,
) -> Iterator[Row]:
    """Runs every method on every task.

    Args:
        prior: what they all use.
        photographs: clean images by name, (1, C, H, W) in [-1, 1]; H and W divide by 4.
        tasks: names from `TASKS`; empty for all.
        contestants: what gives the methods for a task, by name.
        lpips: to measure that, too.
        seed: of the measurements' noise and of the methods', with the image's name.

    Yields:
        For each task the damaged input first.

    Raises:
        UsageError: there is no such task.
    """
    home = device_of(prior)
    for task in tasks or TASKS:
        if task not in TASKS:
            raise unknown_name("task", task, TASKS)
        problems = []
        for name, clean in photographs.items():
            operator = TASKS[task](*clean.shape[-2:])
            y = operator.A(clean)
            y = y + 2 * NOISE * Streams.of(derive_seed(seed, name, 1), 1).like(y)
            problems.append((name, clean, Problem(y, operator, 2 * NOISE)))
        yield _row(task, "damaged", [(clean, simple(problem), 0, 0.0) for _, clean, problem in problems], lpips)
        for method_name, method in contestants(task).items():
            done = []
            for name, clean, problem in problems:
                start = time.perf_counter()
                own = Problem(problem.y.to(home), problem.operator, problem.sigma_y)
                state = last(method.iterate(own, prior, Streams.of(derive_seed(seed, name), 1)))
                done.append((clean, state.x.cpu(), state.nfe, time.perf_counter() - start))
            yield _row(task, method_name, done, lpips)


def simple(problem: Problem) -> Tensor:
    """A measurement as an image without a prior: itself where it is one, missing pixels as the mean of the known."""
    operator, y = problem.operator, problem.y
    if isinstance(operator, Mask):
        known = operator.known.expand_as(y)
        mean = (y * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return y + (1 - known) * mean
    if isinstance(operator, Grayscale):
        return y.expand(-1, len(operator.weights), -1, -1)
    return y if isinstance(operator, Blur) or operator is None else operator.pinv(y)


def _row(task: str, method: str, done: Sequence[tuple[Tensor, Tensor, int, float]], lpips: Lpips | None) -> Row:
    pairs = [(to_unit(image), to_unit(clean)) for clean, image, _, _ in done]

    def mean(measure: Callable[[Tensor, Tensor], Tensor]) -> float:
        return torch.cat([measure(image, clean).double() for image, clean in pairs]).mean().item()

    return Row(
        task,
        method,
        mean(psnr),
        mean(ssim),
        None if lpips is None else mean(lpips),
        max(nfe for *_, nfe, _ in done),
        sum(seconds for *_, seconds in done) / len(done),
    )
