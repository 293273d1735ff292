"""Images of a batch that are restored in different ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..diagnosis import Diagnosis
from ..maths.noise import Streams
from ..maths.problem import Problem
from .method import State


@dataclass(frozen=True)
class Run:
    """Restoration of one image of a batch.

    Attributes:
        states: makes the states of its run, (1, C, H, W).
        before: number of earlier evaluations of the prior.
        note: note for people.
    """

    states: Callable[[Tensor, Streams], Iterator[State]]
    before: int
    note: str


def left_alone(note: str, before: int) -> Run:
    """An image that stays unchanged."""
    return Run(lambda y, rng: iter([State(1, 1, 0.0, y, y, 0)]), before, note)


def firsts(y: Tensor) -> list[int]:
    """For each image of a batch (B, C, H, W) the number of the first of its equals in a row: samples are equal."""
    found: list[int] = []
    for i in range(len(y)):
        found.append(found[-1] if i and torch.equal(y[i], y[i - 1]) else i)
    return found


def shared(y: Tensor, find: Callable[[int], Run]) -> list[Run]:
    """A run for each image of a batch; equal images share what was found out about them.

    Args:
        y: images, (B, C, H, W).
        find: finds out what to do with an image, by its number.
    """
    first = firsts(y)
    made = {i: find(i) for i in dict.fromkeys(first)}
    return [made[i] for i in first]


def each(problem: Problem, find: Callable[[int, Tensor, Diagnosis], Run]) -> list[Run]:
    """A run for each image of a batch, of which something may be known; see `shared`.

    Args:
        problem: the batch.
        find: finds out what to do with an image by its number, the image, (1, C, H, W), and what is known of it.
    """
    y, knowns = problem.y, problem.known or (Diagnosis(),) * len(problem.y)
    if all(known is knowns[0] for known in knowns):
        return shared(y, lambda i: find(i, y[i : i + 1], knowns[i]))
    return [find(i, y[i : i + 1], known) for i, known in enumerate(knowns)]


def one_by_one(problem: Problem, rng: Streams, runs: Sequence[Run]) -> Iterator[State]:
    """Restores images one after the other; later ones stay unchanged until their turn.

    Yields:
        The states of all runs. `total` grows, since the length of a run is known only at its start.
    """
    x, x0, done, nfe = problem.y, problem.y, 0, 0
    notes = tuple(run.note for run in runs)
    for i, (run, own) in enumerate(zip(runs, rng.split(), strict=True)):
        own_total = 0
        for state in run.states(problem.y[i : i + 1], own):
            if len(runs) == 1:
                x, x0 = state.x, state.x0
            else:
                x, x0 = (torch.cat([old[:i], new, old[i + 1 :]]) for old, new in ((x, state.x), (x0, state.x0)))
            # Images of a batch are restored side by side elsewhere: evaluations are counted as for one of them.
            nfe, own_total = max(nfe, run.before + state.nfe), state.total
            total = done + own_total + len(runs) - 1 - i
            notes = (*notes[:i], *(state.notes or notes[i : i + 1]), *notes[i + 1 :])
            yield replace(state, step=done + state.step, total=total, x=x, x0=x0, nfe=nfe, curves={}, notes=notes)
        done += own_total
