"""Methods that know the degradation, side by side on the same measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from .. import methods
from .. import tasks as registry
from ..errors import UsageError, unknown_name
from ..methods import Method
from ..metrics import Lpips
from ..noise import Streams, derive_seed
from ..operators import AveragePool, Blur, Grayscale, Mask, Operator, blur
from ..priors.prior import Prior
from ..problem import Problem
from ..settings import names_object
from .table import Case, Row, rows

NOISE = 0.05
"""Standard deviation of the noise of all measurements, in [0, 1] units, as in the papers' tables."""

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
    """Methods for a task at few evaluations, with hyper-parameters for them and the embedded prior.

    With fewer steps than in the papers, each pull is stronger.
    """
    chosen = QUICK | _QUICK_FOR.get(task, {})
    return {name: method for name, method in chosen.items() if method is not None}


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
        prior: the prior of all methods.
        photographs: clean images by name, (1, C, H, W) in [-1, 1]; H and W divide by 4.
        tasks: names from `TASKS`, or custom tasks as for `tasks.find`; empty for all of `TASKS`.
        contestants: gives the methods of a task by name.
        lpips: network for LPIPS; None to leave it out.
        seed: seed of measurements and methods, combined with the image's name.

    Yields:
        For each task the damaged input first.

    Raises:
        UsageError: unknown task.
    """
    for task in map(named, tasks or TASKS):
        made = _find(task)
        cases = []
        for name, clean in photographs.items():
            operator = made(*clean.shape[-2:])
            y = operator.A(clean)
            y = y + 2 * NOISE * Streams.of(derive_seed(seed, name, 1), 1).like(y)
            problem = Problem(y, operator, 2 * NOISE)
            cases.append(Case(name, clean, problem, simple(problem)))
        yield from rows(task, cases, contestants(task), prior, lpips, seed)


def named(task: str) -> str:
    """Name here of a task, which may be spelled as for `pellucid restore --task`."""
    return _OF_TASKS.get(task, task)


_OF_TASKS = {"colorize": "colorization"}


def _find(task: str) -> Callable[[int, int], Operator]:
    """Finds the maker of a task's operator."""
    task = named(task)
    if task in TASKS:
        return TASKS[task]
    own = registry.operator(task) if names_object(task) else None
    if not isinstance(own, Operator):
        raise unknown_name("task", task, TASKS)
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
