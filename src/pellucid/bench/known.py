"""Methods that are told the degradation, side by side on the same measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from .. import methods
from .. import tasks as registry
from ..errors import UsageError, unknown_name
from ..methods import Method
from ..operators import AveragePool, Blur, Grayscale, Mask, Operator, blur
from ..problem import Problem
from ..settings import names_object
from .entrants import entrant
from .spec import Source, Table, Task

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

QUICK: dict[str, Method] = {
    "ddrm": methods.DDRM(),
    "ddnm": methods.DDNM(steps=40),
    "dreamclean-known": methods.DreamCleanKnown(gamma=0.5),
    "dps": methods.DPS(steps=100, scale=4.0),
    "gdp": methods.GDP(steps=100, scale=20_000),
    "snips": methods.SNIPS(levels=60, repeats=2, rate=0.2),
    "red": methods.RED(iterations=30, weight=0.002),
    "mmps": methods.MMPS(steps=25),
    "dpir": methods.DPIR(),
    "diffpir": methods.DiffPIR(steps=20, spacing="quad", weight=8.0, zeta=1.0),
    "pigdm": methods.PiGDM(steps=20),
    "daps": methods.DAPS(steps=20, flow=3, top=10.0, bottom=0.03, beta=None, draw="exact", width=0.2),
    "reddiff": methods.REDDiff(steps=50),
}

_REPAINT = methods.RePaint(steps=25, travel_length=5, travel_repeat=2)

_QUICK_FOR: dict[str, dict[str, Method | None]] = {
    # The gradient of a mean of 16 pixels is a sixteenth as large, of a picture that is nearly all known the largest.
    "sr4": {"dps": methods.DPS(steps=100, scale=10.0)},
    "inpainting 25%": {
        "dps": methods.DPS(steps=100, scale=15.0),
        "gdp": methods.GDP(steps=100, scale=40_000),
        "repaint": _REPAINT,
    },
    "inpainting box": {
        "dps": methods.DPS(steps=100, scale=15.0),
        "gdp": methods.GDP(steps=100, scale=40_000),
        "repaint": _REPAINT,
    },
    # Not what they are made for: from pure noise on, two thirds of the image are whatever the prior dreams of.
    "colorization": {"dps": None, "mmps": None},
}


def quick(task: str) -> dict[str, Method]:
    """The methods for a task at few evaluations, with the hyper-parameters that suit them and the embedded prior.

    Where steps are fewer than the papers', each pull is stronger.
    """
    chosen = QUICK | _QUICK_FOR.get(task, {})
    return {name: method for name, method in chosen.items() if method is not None}


def table(tasks: Sequence[str] = (), names: Sequence[str] = (), quickly: bool = False) -> Table:
    """A table of every method on every task.

    Args:
        tasks: names from `TASKS`, or one's own as for `tasks.find`; empty for all of the former.
        names: methods, each of which takes part in everything; empty for those that have quick settings.
        quickly: whether methods that have none for a task are left out there.

    Raises:
        UsageError: there is no such task or method.
    """
    chosen = [named(task) for task in tasks or TASKS]
    for task in chosen:
        _find(task)
    tuned = {task: quick(task) for task in chosen}
    entrants = []
    for name in names or {name: None for task in TASKS for name in quick(task)}:
        suits = [task for task in chosen if names or name in tuned[task] or (name in QUICK and not quickly)]
        if suits:
            own = {task: methods_of[name] for task, methods_of in tuned.items() if name in methods_of}
            entrants.append(entrant(name, suits, own))
    return Table(
        title="Methods that are told the degradation",
        paper=f"pellucid's own, noise {NOISE:g}; no table of a paper's",
        data=(Source("folder", "any", 1),),
        tasks=tuple(Task(task, operator={"name": task}, noise=NOISE) for task in dict.fromkeys(chosen)),
        methods=tuple(entrants),
        metrics=("psnr", "ssim", "lpips"),
        name="known",
    )


def named(task: str) -> str:
    """The name here of a task, which may be said as `pellucid restore --task` has it."""
    return _OF_TASKS.get(task, task)


_OF_TASKS = {"colorize": "colorization"}

_ALIKE = {
    "average-pool": "sr4",
    "published-blur": "uniform blur",
    "valid-blur": "uniform blur",
    "random-mask": "inpainting 25%",
    "box-mask": "inpainting box",
    "grey": "colorization",
}


def like(told: Mapping[str, Any]) -> str:
    """The task here that is most like an operator of a table, for its quick settings; see `spec.Task`."""
    return _ALIKE.get(name := str(told["name"]), name)


def operator(task: str, height: int, width: int) -> Operator:
    """The operator of a task for images of a size.

    Raises:
        UsageError: there is no such task.
    """
    return _find(named(task))(height, width)


def _find(task: str) -> Callable[[int, int], Operator]:
    """Finds the maker of a task's operator."""
    if task in TASKS:
        return TASKS[task]
    own = registry.operator(task) if names_object(task) else None
    if not isinstance(own, Operator):
        raise unknown_name("task", task, TASKS)
    return lambda height, width: own


def simple(problem: Problem) -> Tensor:
    """A measurement as an image without a prior: itself where it is one, missing pixels as the mean of the known."""
    operator, y = problem.operator, problem.y
    if isinstance(operator, Mask):
        known = operator.known.expand_as(y)
        mean = (y * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return y + (1 - known) * mean
    if isinstance(operator, Grayscale):
        return y.expand(-1, len(operator.weights), -1, -1)
    if isinstance(operator, Blur) or operator is None:
        return y
    try:
        return operator.pinv(y)
    except UsageError:
        # It has none; where a measurement has an image's size it can be looked at as it is.
        if operator.image_shape(tuple(y.shape)) == tuple(y.shape):
            return y
        raise
