"""Degradations by the names that people have for undoing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError, unknown_name
from .operators import AveragePool, Denoise, Grayscale, Mask, Operator


@dataclass(frozen=True)
class Task:
    """A degradation to undo.

    Attributes:
        summary: what goes in and what comes out, in a line.
        method: the method that it is done with unless another is named.
        make: makes the operator; takes the mask's file where `mask` is needed.
        mask: whether a mask is needed.
        noise: the noise level that is taken for granted, in [0, 1] units; None to estimate it.
    """

    summary: str
    method: str
    make: Callable[[Path | None], Operator]
    mask: bool = False
    noise: float | None = None


def _masked(mask: Path | None) -> Operator:
    assert mask is not None
    return Mask.read(mask)


_TASKS: dict[str, Task] = {
    "denoise": Task("remove noise", "ddrm", lambda _: Denoise()),
    "sr2": Task("enlarge by 2", "ddrm", lambda _: AveragePool(2)),
    "sr4": Task("enlarge by 4", "ddrm", lambda _: AveragePool(4)),
    "sr8": Task("enlarge by 8", "ddrm", lambda _: AveragePool(8)),
    # Known pixels are to stay as they are, to the bit.
    "inpaint": Task("fill in what a mask paints white", "ddrm", _masked, mask=True, noise=0.0),
    "colorize": Task("give a grey image colours", "ddrm", lambda _: Grayscale()),
}


def names() -> tuple[str, ...]:
    """Names of all tasks."""
    return tuple(_TASKS)


def find(name: str) -> Task:
    """A task by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in _TASKS:
        raise unknown_name("task", name, _TASKS)
    return _TASKS[name]


def operator(name: str, mask: Path | None = None) -> Operator:
    """The degradation that a task undoes.

    Args:
        name: of the task.
        mask: image file, white where pixels are missing, for "inpaint".

    Raises:
        UsageError: there is no such task, or the mask is missing or not wanted.
        PellucidError: the mask cannot be read.
    """
    task = find(name)
    if task.mask and mask is None:
        raise UsageError(f"{name} needs a mask: an image, white where pixels are missing")
    if mask is not None and not task.mask:
        raise UsageError(f"{name} takes no mask")
    return task.make(mask)
