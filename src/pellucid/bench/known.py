"""Methods that are told the degradation, side by side on the same measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from .. import methods
from .. import tasks as registry
from ..catalogue import tuned
from ..catalogue.told import maker
from ..errors import UsageError
from ..methods import Method
from ..metrics import Lpips
from ..noise import Streams, derive_seed
from ..operators import Blur, Grayscale, Mask, Operator
from ..priors.prior import Prior
from ..problem import Problem
from ..settings import names_object
from .table import Case, Row, rows

NOISE = 0.05
"""Standard deviation of every measurement's noise, in [0, 1] units, as in the papers' tables."""

TASKS = ("sr4", "uniform-blur", "blur", "random-mask:0.25", "box-mask:0.25", "colorize")
"""What is compared where nothing is said; see `catalogue.told.maker`."""


def quick(task: str) -> dict[str, Method]:
    """The methods for a task at few evaluations, with the hyper-parameters that suit them and the embedded prior.

    Where steps are fewer than the papers', each pull is stronger.
    """
    return {name: methods.get(name, **settings) for name, settings in tuned.told(task).items()}


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
        tasks: damages or tasks by name, as for `catalogue.told.maker`, or one's own as for `tasks.find`; empty for
            `TASKS`.
        contestants: what gives the methods for a task, by name.
        lpips: to measure that, too.
        seed: of the measurements' noise and of the methods', with the image's name.

    Yields:
        For each task the damaged input first.

    Raises:
        UsageError: there is no such task.
    """
    for task, made in [(task, _find(task)) for task in tasks or TASKS]:
        cases = []
        for name, clean in photographs.items():
            operator = made(*clean.shape[-2:])
            y = operator.A(clean)
            y = y + 2 * NOISE * Streams.of(derive_seed(seed, name, 1), 1).like(y)
            problem = Problem(y, operator, 2 * NOISE)
            cases.append(Case(name, clean, problem, simple(problem)))
        yield from rows(task, cases, contestants(task), prior, lpips, seed)


def _find(task: str) -> Callable[[int, int], Operator]:
    """Finds the maker of a task's operator."""
    if not names_object(task):
        return maker(task)
    own = registry.operator(task)
    assert isinstance(own, Operator)  # `tasks.find` takes nothing else from a file
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
