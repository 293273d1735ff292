"""Degradations by the names that people have for undoing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError, unknown_name
from .operators import AveragePool, Blur, Denoise, Grayscale, Mask, Operator, blur


@dataclass(frozen=True)
class Task:
    """A degradation to undo.

    Attributes:
        summary: what goes in and what comes out, in a line.
        method: the method that it is done with unless another is named.
        make: makes the operator from the file that `needs` names, if any.
        needs: "mask" or "kernel" where a file is needed.
        noise: the noise level that is taken for granted, in [0, 1] units; None to estimate it.
    """

    summary: str
    method: str
    make: Callable[[Path | None], Operator]
    needs: str | None = None
    noise: float | None = None


def _blurred(kernel: Path | None) -> Operator:
    assert kernel is not None
    return Blur(blur.read(kernel), "replicate")


def _masked(mask: Path | None) -> Operator:
    assert mask is not None
    return Mask.read(mask)


_TASKS: dict[str, Task] = {
    "denoise": Task("remove noise", "ddrm", lambda _: Denoise()),
    "sr2": Task("enlarge by 2", "ddrm", lambda _: AveragePool(2)),
    "sr4": Task("enlarge by 4", "ddrm", lambda _: AveragePool(4)),
    "sr8": Task("enlarge by 8", "ddrm", lambda _: AveragePool(8)),
    # With a border as photographs have it there is no decomposition, which DDRM would need.
    "deblur": Task("undo the blur of a kernel", "red", _blurred, needs="kernel"),
    # Known pixels are to stay as they are, to the bit.
    "inpaint": Task("fill in what a mask paints white", "ddrm", _masked, needs="mask", noise=0.0),
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


def operator(name: str, mask: Path | None = None, kernel: Path | None = None) -> Operator:
    """The degradation that a task undoes.

    Args:
        name: of the task.
        mask: image file, white where pixels are missing, for "inpaint".
        kernel: image file of the blur's kernel, for "deblur"; its sum is made 1.

    Raises:
        UsageError: there is no such task, or a file is missing or not wanted.
        PellucidError: the file cannot be read.
    """
    task = find(name)
    given = {"mask": mask, "kernel": kernel}
    for kind, path in given.items():
        if kind == task.needs and path is None:
            raise UsageError(f"{name} needs a {kind}: {_WANTED[kind]}")
        if kind != task.needs and path is not None:
            raise UsageError(f"{name} takes no {kind}")
    return task.make(given.get(task.needs or ""))


_WANTED = {"mask": "an image, white where pixels are missing", "kernel": "an image of how a point is blurred"}
