"""Parts of all tables of several methods: a row, its measurement, its printing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..methods import Method
from ..methods.method import last
from ..metrics import Lpips, psnr, ssim
from ..noise import Streams, derive_seed
from ..priors.prior import Prior, device_of
from ..problem import Problem, to_unit


@dataclass(frozen=True)
class Row:
    """A line of the table: means over the images.

    Attributes:
        task: name of the degradation.
        method: name of the method; "damaged" for the measurement itself, as an image.
        psnr: in dB.
        ssim: from 0 to 1.
        lpips: None without a network.
        nfe: evaluations for an image.
        seconds: time for an image.
    """

    task: str
    method: str
    psnr: float
    ssim: float
    lpips: float | None
    nfe: int
    seconds: float


class Case(NamedTuple):
    """One image of a table.

    Attributes:
        name: of the image.
        clean: the truth, (1, C, H, W) in [-1, 1].
        problem: problem for the methods.
        damaged: the measurement as an image, (1, C, H, W) in [-1, 1].
    """

    name: str
    clean: Tensor
    problem: Problem
    damaged: Tensor


class _Done(NamedTuple):
    clean: Tensor
    image: Tensor
    nfe: int
    seconds: float


def rows(
    task: str,
    cases: Sequence[Case],
    contestants: Mapping[str, Method],
    prior: Prior,
    lpips: Lpips | None = None,
    seed: int = 0,
) -> Iterator[Row]:
    """Runs the methods on the images of a task.

    Args:
        task: its name.
        cases: its images.
        contestants: the methods by name.
        prior: the prior of all methods.
        lpips: network for LPIPS; None to leave it out.
        seed: seed of the methods, combined with the image's name.

    Yields:
        The damaged input first.
    """
    yield _row(task, "damaged", [_Done(case.clean, case.damaged, 0, 0.0) for case in cases], lpips)
    for name, method in contestants.items():
        yield _row(task, name, [_restored(case, method, prior, seed) for case in cases], lpips)


def _restored(case: Case, method: Method, prior: Prior, seed: int) -> _Done:
    start = time.perf_counter()
    own = Problem(case.problem.y.to(device_of(prior)), case.problem.operator, case.problem.sigma_y)
    state = last(method.iterate(own, prior, Streams.of(derive_seed(seed, case.name), 1)))
    return _Done(case.clean, state.x.cpu(), state.nfe, time.perf_counter() - start)


def _row(task: str, method: str, done: Sequence[_Done], lpips: Lpips | None) -> Row:
    pairs = [(to_unit(one.image), to_unit(one.clean)) for one in done]

    def mean(measure: Callable[[Tensor, Tensor], Tensor]) -> float:
        return torch.cat([measure(image, clean).double() for image, clean in pairs]).mean().item()

    return Row(
        task,
        method,
        mean(psnr),
        mean(ssim),
        None if lpips is None else mean(lpips),
        max(one.nfe for one in done),
        sum(one.seconds for one in done) / len(done),
    )


HEADING = f"{'TASK':16}{'METHOD':18}{'PSNR':>7}{'SSIM':>7}{'LPIPS':>7}{'NFE':>6}{'SECONDS':>9}"
"""Heading above the lines of `line`."""


def line(row: Row) -> str:
    """Formats a row for a terminal."""
    return (
        f"{row.task:16}{row.method:18}{row.psnr:7.2f}{row.ssim:7.3f}{_perceived(row):>7}{row.nfe:6}{row.seconds:9.1f}"
    )


def markdown(table: Iterable[Row]) -> Iterator[str]:
    """Yields a table's lines in Markdown, each as soon as its row is computed."""
    yield "| task | method | PSNR | SSIM | LPIPS | NFE | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for row in table:
        quality = f"{row.psnr:.2f} | {row.ssim:.3f} | {_perceived(row)}"
        yield f"| {row.task} | {row.method} | {quality} | {row.nfe} | {row.seconds:.1f} |"


def _perceived(row: Row) -> str:
    return "-" if row.lpips is None else f"{row.lpips:.3f}"
