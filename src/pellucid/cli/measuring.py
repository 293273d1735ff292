"""Options that the measurements of `bench` share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from importlib.resources import files
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from . import tables
from .options import (
    Also,
    Backend,
    Device,
    Format,
    Kept,
    Label,
    LpipsTrunk,
    Means,
    Methods,
    Offline,
    OwnSettings,
    Precision,
    Prior,
    Seed,
    Seeds,
    Versus,
    Weights,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ..priors import Prior as PriorModel

_Result = TypeVar("_Result")

_BEFORE = ("prior", "data", "images", "crop")
"""Options that stand before those of a command itself; the others stand after them."""


@dataclass(frozen=True)
class Shared:
    """Values of the shared options; one that a command leaves out has its default."""

    prior: Prior = "natural"
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the two of the demo).")
    ] = None
    images: Annotated[int | None, typer.Option("--images", min=1, help="Number of images, evenly spread.")] = None
    crop: Annotated[
        int | None, typer.Option("--crop", min=1, help="Side of the middle crop that is used, in pixels.")
    ] = None
    method: Methods = None
    also: Also = None
    sets: OwnSettings = None
    quick: Annotated[bool, typer.Option("--quick", help="Fewer evaluations than the papers' defaults.")] = False
    output: Kept = None
    seeds: Seeds = 1
    weights: Weights = None
    lpips: LpipsTrunk = None
    shape: Format = "text"
    versus: Versus = None
    label: Label = None
    offline: Offline = False
    seed: Seed = 0
    device: Device = None
    backend: Backend = "torch"
    precision: Precision = "float32"
    json: Means = False

    @property
    def format(self) -> str:
        """A format that there is; see `tables.checked`."""
        return tables.checked(self.shape, self.json)

    @property
    def draws(self) -> range:
        """The seeds."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def names(self) -> list[str]:
        """Methods that are named, each once."""
        return list(dict.fromkeys([*(self.method or ()), *(self.also or ())]))

    @property
    def source(self) -> str:
        """Name of the data in rows."""
        return "bundled" if self.data is None else "folder"

    @property
    def folder(self) -> Path:
        """Folder of the images; the package's without one."""
        return Path(str(files("pellucid") / "assets")) if self.data is None else self.data

    @property
    def networks(self) -> dict[str, Path]:
        """Files of networks by name."""
        return tables.networks(self.weights, self.lpips)

    def load(self, prior: str | None = None) -> PriorModel:
        """Loads a prior; without a name that of the options."""
        from ..bench.prior import load

        return load(
            self.prior if prior is None else prior, self.device, label=self.label, offline=self.offline,
            backend=self.backend, precision=self.precision,
        )  # fmt: skip

    def photographs(self, channels: int) -> dict[str, Tensor]:
        """Selects some of the images, evenly spread; all without a number."""
        from ..bench.prior import middle, read_images

        every = read_images(self.folder, channels)
        names = list(every)[:: max(1, len(every) // (self.images or len(every)))][: self.images]
        return {name: middle(every[name], self.crop) for name in names}


def measuring(*without: str) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Gives a command the shared options, whose values its parameter `shared` receives.

    A parameter of the command with the name of a shared option takes that option's place.

    Args:
        without: shared options that the command does not have.
    """

    def of(function: Callable[..., _Result]) -> Callable[..., _Result]:
        hints = get_type_hints(function, include_extras=True)
        own = {name: one.replace(annotation=hints[name]) for name, one in signature(function).parameters.items()}
        del own["shared"]
        types = get_type_hints(Shared, include_extras=True)
        taken = {one.name: one.default for one in fields(Shared) if one.name not in without and one.name not in own}
        assert MISSING not in taken.values()
        options = {
            name: Parameter(name, Parameter.KEYWORD_ONLY, default=value, annotation=types[name])
            for name, value in taken.items()
        }
        names = [one.name for one in fields(Shared) if one.name in own or one.name in options]
        first = [name for name in names if name in _BEFORE]
        order = [*first, *(name for name in own if name not in names), *(name for name in names if name not in first)]

        @wraps(function)
        def command(**given: Any) -> _Result:
            shared = Shared(**{name: given.pop(name) for name in options if name in given})
            return function(shared=shared, **given)

        parameters = [(own | options)[name].replace(kind=Parameter.KEYWORD_ONLY) for name in order]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return of
