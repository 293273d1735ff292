"""Choices of a person on the page, and the restorations that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

from .. import methods
from ..catalogue import tasks
from ..errors import UsageError
from ..maths.noise import derive_seed
from ..restoration import Choice, Recipe
from ..support.settings import assignments

MOST_COMPARED = 4
"""Largest number of methods side by side."""

MOST_SAMPLES = 16
"""Largest number of restorations of one picture whose differences show invented detail."""


@dataclass(frozen=True)
class Choices:
    """Choices of a person, in the words of the command line; None leaves one open.

    Attributes:
        task: the damage, where it is known.
        method: the method that repairs it.
        prior: one of the page's priors.
        fidelity: closeness to the picture, [0, 1]; ignored by methods without that choice.
        strength: of DreamClean, a number or "auto".
        steps: of the method.
        settings: further hyper-parameters, KEY=VALUE.
        noise: its level in [0, 1] units.
        exact: whether known pixels keep their exact values.
        seed: of the noise.
        tile: side of the tiles of large pictures, in pixels.
        samples: restorations of each picture.
        compare: methods to show side by side, instead of one.
        mask: file, white where the picture is missing.
        kernel: file of the blur's kernel.
        by: how many times larger "enlarge" makes the picture.
    """

    task: str | None = None
    method: str | None = None
    prior: str = "natural"
    fidelity: float = 0.5
    strength: str | None = None
    steps: int | None = None
    settings: tuple[str, ...] = ()
    noise: float | None = None
    exact: bool = False
    seed: int = 0
    tile: int | None = None
    samples: int = 1
    compare: tuple[str, ...] = ()
    mask: Path | None = None
    kernel: Path | None = None
    by: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise UsageError(f"the samples are from 1 to {MOST_SAMPLES}, not {self.samples}")
        if len(self.compare) > MOST_COMPARED:
            raise UsageError(f"up to {MOST_COMPARED} methods are compared, not {len(self.compare)}")
        if self.compare and self.samples > 1:
            raise UsageError("compare methods, or samples of one method: not both at once")
        unknown = {self.method, *self.compare} - {None, *offered()}
        if unknown:
            raise UsageError(f"the page has no method {min(map(str, unknown))!r}")
        # Nor one of somebody's own, which would be code that is run.
        if self.task not in (None, *tasks.names()):
            raise UsageError(f"the page has no task {self.task!r}")

    @property
    def has_fidelity(self) -> bool:
        """True if the method has a fidelity."""
        method = self.method or (tasks.find(self.task).method if self.task else None)
        return method is None or "fidelity" in _fields(method)

    def values(self) -> Mapping[str, str]:
        """Hyper-parameters that are chosen, as --set takes them."""
        own: dict[str, str] = {}
        if self.fidelity != 0.5 and self.has_fidelity:
            own["fidelity"] = str(self.fidelity)
        if self.strength is not None:
            own["strength"] = self.strength
        if self.steps is not None:
            own["steps"] = str(self.steps)
        more = assignments(self.settings)
        twice = own.keys() & more.keys()
        if twice:
            raise UsageError(f"{min(twice)} is given twice: leave it out of the further settings")
        return own | more

    def recipe(self) -> Recipe:
        """Recipe of the same choices.

        Raises:
            UsageError: a name or value is wrong, or a file is named that only the command line may name.
        """
        values = self.values()
        made = Recipe(
            self.method,
            values,
            task=self.task,
            mask=self.mask if self.needs("mask") else None,
            kernel=self.kernel if self.needs("kernel") else None,
            by=self.by if self.needs("by") else None,
            yes=self.proposes and self.mask is None,
            noise=self.noise,
            exact=self.exact,
            prior=self.prior,
            seed=self.seed,
            tile=self.tile,
        )
        kinds = get_type_hints(made.kind)
        for key in values:
            # Whoever uses the page must not make its machine read any file that it names.
            if Path in get_args(kinds[key]):
                raise UsageError(f"{key} names a file: that is for the command line, not for the page")
        return made

    def choice(self) -> Choice:
        """Resolves all open choices.

        Raises:
            UsageError: see `recipe`; or a file is missing.
            PellucidError: the mask or the kernel cannot be read.
        """
        return self.recipe().choice

    @property
    def automatic(self) -> bool:
        """True if neither a task nor a method is chosen."""
        return self.task is None and (self.method or methods.usual(self.values())) == "auto"

    @property
    def proposes(self) -> bool:
        """True if the task proposes a mask where nobody paints one; pressing the button accepts it."""
        return self.task is not None and tasks.find(self.task).propose is not None

    def needs(self, file: str) -> bool:
        """True if the task takes a mask, a kernel or a factor."""
        return self.task is not None and tasks.find(self.task).needs == file


@dataclass(frozen=True)
class Variant:
    """One of the restorations that a press of the button makes of each picture.

    Attributes:
        slug: part of the file's name.
        label: name on the page.
        choices: choices of this restoration alone, without comparison and samples.
    """

    slug: str
    label: str
    choices: Choices


def variants(choices: Choices) -> tuple[Variant, ...]:
    """All restorations of one picture, in the order of the page: the methods compared, the samples, or the one."""
    alone = replace(choices, samples=1, compare=())
    if choices.compare:
        return tuple(Variant(name, name, _with(alone, name)) for name in choices.compare)
    if choices.samples > 1:
        return tuple(
            Variant(f"sample-{i + 1}", f"Sample {i + 1}", replace(alone, seed=derive_seed(choices.seed, sample=i)))
            for i in range(choices.samples)
        )
    return (Variant("restored", "Restored", alone),)


def offered(blind: bool | None = None) -> tuple[str, ...]:
    """Methods of the page: all but those whose network is a file or a function."""
    return tuple(name for name in methods.names(blind) if name != "external")


def fitting(task: str | None) -> tuple[str, ...]:
    """Methods among these that repair the damage of a task; without a task, those that work blind."""
    if task is None:
        return offered(blind=True)
    only = tasks.find(task).only
    told = (name for name in offered() if not methods.find(name).blind or methods.find(name).takes_operator)
    return tuple(name for name in offered() if name in only) if only else tuple(told)


def _with(choices: Choices, method: str) -> Choices:
    """Changes the method and keeps those choices that the new method has."""
    known = _fields(method)
    return replace(
        choices,
        method=method,
        strength=choices.strength if "strength" in known else None,
        steps=choices.steps if "steps" in known else None,
    )


def _fields(method: str) -> set[str]:
    return {field.name for field in fields(methods.find(method))}  # type: ignore[arg-type]  # methods are dataclasses
