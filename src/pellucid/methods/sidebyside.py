"""Images of a batch with different noise levels: a run for each, all at the same step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from .method import State


def side_by_side(runs: Sequence[Iterator[State]]) -> Iterator[State]:
    """Combines runs of several images into one; an image whose run has ended stays unchanged.

    Args:
        runs: runs of one image each.

    Yields:
        States of all images. Common numbers are the largest of all runs: steps, noise level, and evaluations, counted
        as for one image.
    """
    states: list[State] = []
    while True:
        new = [next(run, None) for run in runs]
        if all(one is None for one in new):
            return
        states = [one or states[i] for i, one in enumerate(new)]
        yield _joined(states)


def _joined(states: Sequence[State]) -> State:
    notes = tuple((state.notes or ("",))[0] for state in states)
    curves = set.intersection(*(set(state.curves) for state in states))
    return State(
        max(state.step for state in states),
        max(state.total for state in states),
        max(state.sigma for state in states),
        torch.cat([state.x for state in states]),
        torch.cat([state.x0 for state in states]),
        max(state.nfe for state in states),
        {name: tuple(value for state in states for value in state.curves[name]) for name in curves},
        notes if any(notes) else (),
        {name: torch.cat([state.found[name] for state in states]) for name in states[0].found},
    )
