"""Methods that know the degradation, side by side on the same measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from .. import methods
from ..catalogue import tasks as registry
from ..catalogue import tuned
from ..catalogue.told import maker
from ..errors import UsageError
from ..maths.problem import Problem
from ..methods import Method
from ..operators import Blur, Grayscale, Mask, Operator
from ..support.settings import names_object
from .entrants import entrant
from .spec import Protocol, Table, TableSource, TableTask

NOISE = 0.05
"""Standard deviation of the noise of all measurements, in [0, 1] units, as in the papers' tables."""

TASKS = ("sr4", "uniform-blur", "blur", "random-mask:0.25", "box-mask:0.25", "colorize")
"""The degradations that are compared by default; see `catalogue.told.maker`."""


def quick(task: str) -> dict[str, Method]:
    """Methods for a task at few evaluations, with hyper-parameters for them and the embedded prior.

    With fewer steps than in the papers, each pull is stronger.
    """
    return {name: methods.get(name, **settings) for name, settings in tuned.told(task).items()}


def table(tasks: Sequence[str] = (), names: Sequence[str] = (), quickly: bool = False) -> Table:
    """A table of every method on every task.

    Args:
        tasks: damages or tasks by name, as for `catalogue.told.maker`, or one's own as for `tasks.find`; empty for
            `TASKS`.
        names: methods, each of which takes part in everything; empty for those that have quick settings.
        quickly: whether methods that have none for a task are left out there.

    Raises:
        UsageError: there is no such task or method.
    """
    chosen = list(dict.fromkeys(tasks or TASKS))
    for task in chosen:
        _find(task)
    few = {task: quick(task) for task in chosen}
    entrants = []
    for name in names or {name: None for task in TASKS for name in quick(task)}:
        suits = [task for task in chosen if names or name in few[task] or (name in tuned.TOLD and not quickly)]
        if suits:
            # A method that is named takes part in what it is not made for, too, as quickly as elsewhere.
            settings = {task: tuned.told_named(name, task) for task in suits}
            own = {task: methods.get(name, **given) for task, given in settings.items() if given is not None}
            entrants.append(entrant(name, suits, own))
    return Table(
        title="Non-blind methods",
        paper=f"pellucid's own, noise {NOISE:g}; no table of a paper's",
        data=(TableSource("folder", "any", 1),),
        tasks=tuple(TableTask(task, operator={"name": task}, noise=NOISE) for task in chosen),
        methods=tuple(entrants),
        metrics=("psnr", "ssim", "lpips"),
        name="known",
        protocol=Protocol(size=0, crop=""),
    )


def operator(task: str, height: int, width: int) -> Operator:
    """The operator of a task for images of a size.

    Raises:
        UsageError: unknown task.
    """
    return _find(task)(height, width)


def _find(task: str) -> Callable[[int, int], Operator]:
    """Finds the maker of a task's operator."""
    if not names_object(task):
        return maker(task)
    own = registry.operator(task)
    assert isinstance(own, Operator)  # `tasks.find` takes nothing else from a file
    return lambda height, width: own


def simple(problem: Problem) -> Tensor:
    """Shows a measurement as an image without a prior: itself, or with missing pixels at the mean of the known."""
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
