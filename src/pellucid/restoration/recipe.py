"""A restoration as a person asks for it: one object, which every door builds and nothing else resolves.

Python, the command line, a configuration file, the page and a job all end in a `Recipe`; so the same words give the
same bytes everywhere. Its fields are the options, and their metadata is what a command line needs to read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..errors import UsageError
from ..settings import values

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..methods import Method
    from ..operators import Operator
    from ..priors import Prior
    from ..priors.load import Source
    from ..problem import Noise
    from ..restorer import Restorer
    from ..tasks import Maker
    from .keywords import Keywords


@dataclass(frozen=True)
class Choice:
    """A recipe with nothing left open of what is done to an image.

    Attributes:
        method: its name.
        hyper_parameters: those that differ from the method's own defaults, or were given.
        restores: the method itself.
        operator: the degradation, or what makes it of each picture; None is blind.
        noise: its noise level in [0, 1] units, or one for each image of a batch; None to estimate it.
        several: whether all inputs are exposures of one image.
    """

    method: str
    hyper_parameters: Mapping[str, Any]
    restores: Method
    operator: Operator | Maker | None = None
    noise: float | tuple[float, ...] | None = None
    several: bool = False


def _typed(kind: Any, *flags: str) -> Mapping[str, Any]:
    """Metadata of a field that can be typed: its type, and names beside --NAME on a command line."""
    return {"kind": kind, "flags": flags}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a result, but for the image; what is left open is resolved once, by `choice`.

    Attributes:
        method: one of `methods.names()`, a place such as FILE.py:CLASS, or a method itself; None for the task's, or the
            usual one.
        settings: hyper-parameters by name, as values or as they are typed; they are kept as values.
        preset: one of the method's, as "fast" or "paper", for hyper-parameters that are not set. It takes the place of
            those that the task would bring.
        task: a degradation by the name of what undoes it, see `tasks`, or by its own, as "grey" for "colorize".
        operator: the degradation itself, or what makes it of each picture; instead of a task.
        mask: image file, white where pixels are missing, for the tasks "inpaint" and "scratches"; or a folder with one
            for each picture.
        yes: whether the task "scratches" fills what is beyond doubt, without a mask that somebody looked at.
        kernel: image file of how a point is blurred, for the task "deblur".
        by: how many times larger both sides become, 2, 3 or 4, for the task "enlarge"; None for 2.
        noise: standard deviation of the noise in [0, 1] units, or one for each image of a tensor; None to estimate it,
            unless the task says.
        exact: whether the result is moved to the nearest image that agrees with the measurement.
        prior: what `load_prior` takes.
        label: see `load_prior`.
        prompt: see `load_prior`.
        offline: see `load_prior`.
        seed: of the noise of an image named by itself.
        tile: side in pixels of the tiles of large images; None for what is usual.
        device: where to compute; None for a GPU where there is one.
        backend: what computes the prior's network; see `load_prior`.
        precision: what it computes in; see `load_prior`.

    Raises:
        UsageError: an unknown method, preset or hyper-parameter, or a value of the wrong kind or out of its range.
    """

    method: str | Method | None = field(default=None, metadata=_typed(str, "-m"))
    settings: Mapping[str, Any] = field(default_factory=dict, metadata=_typed(dict))
    preset: str | None = field(default=None, metadata=_typed(str))
    task: str | None = field(default=None, metadata=_typed(str, "-t"))
    operator: Operator | Maker | None = None
    mask: Path | None = field(default=None, metadata=_typed(Path))
    yes: bool = field(default=False, metadata=_typed(bool))
    kernel: Path | None = field(default=None, metadata=_typed(Path))
    by: int | None = field(default=None, metadata=_typed(int))
    noise: float | tuple[float, ...] | None = field(default=None, metadata=_typed(float))
    exact: bool = field(default=False, metadata=_typed(bool))
    prior: Source = field(default="natural", metadata=_typed(str, "-p"))
    label: int | None = field(default=None, metadata=_typed(int))
    prompt: str | None = field(default=None, metadata=_typed(str))
    offline: bool = field(default=False, metadata=_typed(bool))
    seed: int = field(default=0, metadata=_typed(int))
    tile: int | None = field(default=None, metadata=_typed(int))
    device: str | None = field(default=None, metadata=_typed(str))
    backend: str = field(default="auto", metadata=_typed(str))
    precision: str = field(default="auto", metadata=_typed(str))

    def __post_init__(self) -> None:
        for one in fields(self):
            _check_kind(one.name, getattr(self, one.name), one.metadata.get("kind"))
        if isinstance(self.noise, Sequence):
            object.__setattr__(self, "noise", tuple(map(float, self.noise)))
        for name in ("mask", "kernel"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, Path(getattr(self, name)))
        if self.task is not None:
            object.__setattr__(self, "task", catalogue.task(self.task))
        object.__setattr__(self, "settings", self._checked())

    @classmethod
    def of(
        cls,
        method: str | Method | Recipe | None = None,
        prior: Source = "natural",
        *,
        operator: Operator | Callable[..., Operator] | None = None,
        noise: Noise | None = None,
        seed: int = 0,
        **said: Unpack[Keywords],
    ) -> Recipe:
        """Makes a recipe of keywords, among them the method's hyper-parameters; a recipe is given back as it is.

        Args:
            method: see `Recipe`.
            prior: likewise.
            operator: likewise.
            noise: likewise.
            seed: likewise.
            said: other fields of `Recipe`, and fields of the method; a `kernel` that is a number is the method's.

        Raises:
            UsageError: see `Recipe`; or there is a recipe, and something beside it.
        """
        plain = cls.__dataclass_fields__
        if noise is not None and not isinstance(noise, float | int | Sequence):
            # A tensor; the command line does not wait for torch.
            noise = tuple(noise.flatten().tolist()) if noise.numel() > 1 else noise.item()
        more: dict[str, Any] = {"prior": prior, "operator": operator, "noise": noise, "seed": seed}
        own: dict[str, Any] = {name: value for name, value in said.items() if name in plain}
        hyper: dict[str, Any] = {name: value for name, value in said.items() if name not in plain}
        if isinstance(own.get("kernel"), int):
            # Several methods call a kernel's side so; the file of a kernel is never a number.
            hyper["kernel"] = own.pop("kernel")
        if isinstance(method, Recipe):
            beside = [name for name, value in (more | own | hyper).items()
                      if name in hyper or value is not plain[name].default]  # fmt: skip
            if beside:
                raise UsageError(f"{beside[0]!r}: a recipe says everything itself; use dataclasses.replace on it")
            return method
        if "settings" in own:
            twice = hyper.keys() & own["settings"].keys()
            if twice:
                raise UsageError(f"{min(twice)!r} is said twice: leave it out of settings")
            hyper = {**own["settings"], **hyper}
        return cls(method, **(more | own | {"settings": hyper}))

    def _checked(self) -> dict[str, Any]:
        """The settings as values; refuses what no file or prior is needed to refuse."""
        from .. import methods, tasks

        if self.task is not None and (self.operator is not None or isinstance(self.method, methods.Method)):
            raise UsageError("a task brings operator and method: leave the operator out, and name the method")
        if isinstance(self.method, methods.Method):
            said = [f"preset={self.preset!r}"] if self.preset is not None else sorted(map(repr, self.settings))
            if said:
                raise UsageError(f"{said[0]}: a method given as an object has its hyper-parameters already")
            return {}
        if self.task is None and (self.mask is not None or self.kernel is not None):
            raise UsageError("a mask goes with the tasks inpaint and scratches, a kernel with the task deblur")
        if self.yes:
            if self.task is None:
                raise UsageError("yes goes with the task scratches")
            tasks.find(self.task).check(self.task, None, yes=True)
        if self.by is not None:
            if self.task is None:
                raise UsageError("by goes with the task enlarge")
            tasks.find(self.task).check(self.task, self.by)
        methods.of_preset(self.kind, self._name, self.preset)
        return values(self.kind, self._name, self.settings)

    @cached_property
    def kind(self) -> type[Method]:
        """The class of the method."""
        from .. import methods

        return type(self.method) if isinstance(self.method, methods.Method) else methods.find(self._name)

    @property
    def _name(self) -> str:
        """The method's, one's own or the task's or the usual one's."""
        from .. import methods, tasks

        if isinstance(self.method, methods.Method):
            return methods.name_of(self.method) or type(self.method).__name__
        return self.method or (tasks.find(self.task).method if self.task else methods.usual(self.settings))

    @cached_property
    def choice(self) -> Choice:
        """Complete choice: a task's operator, method and settings, or the usual method.

        Raises:
            UsageError: a value is out of its range, or a file is missing or not wanted.
            PellucidError: a file cannot be read.
        """
        from .. import methods, tasks

        operator, noise, name = self.operator, self.noise, self._name
        if isinstance(self.method, methods.Method):
            return Choice(name, methods.differing(self.method), self.method, operator, noise)
        ours: Mapping[str, Any] = {}
        several = False
        if self.task is not None:
            usual = tasks.find(self.task)
            operator, several = tasks.operator(self.task, self.mask, self.kernel, self.by, yes=self.yes), usual.several
            noise = usual.noise if noise is None else noise
            # A preset is what its paper, or its name, says, and nothing of ours.
            ours = usual.settings if name == usual.method and self.preset is None else {}
        chosen = {**ours, **methods.of_preset(self.kind, name, self.preset), **self.settings}
        return Choice(name, chosen, methods.get(name, **chosen), operator, noise, several)

    def restorer(self, loaded: Prior | None = None) -> Restorer:
        """Restorer, ready for pictures.

        Args:
            loaded: the recipe's prior, where it is loaded already.

        Raises:
            UsageError: what is known does not go with the method, or there is no such prior or device.
            PellucidError: the prior cannot be loaded, or a file cannot be read.
        """
        from ..restorer import Restorer

        return Restorer(self, loaded=loaded)

    def fingerprint(self, prior: str | None = None) -> str:
        """SHA-256 of every field, and of what is resolved from them; the same wherever files lie.

        Files count with what they hold, the prior with its weights, and so does the version of pellucid. Whatever says
        that two results are alike, `--resume` and a table's rows, goes by it.

        Args:
            prior: what `priors.fingerprint` says of the prior, where it is known already; else it is loaded.
        """
        from .facts import digest

        return digest(self, self.restorer().fingerprint if prior is None else prior)

    def to_toml(self) -> str:
        """The text of a file that `from_toml` and --config read."""
        from . import spelling

        return spelling.toml(self)

    @classmethod
    def from_toml(cls, text: str, folder: Path | None = None) -> Recipe:
        """The recipe of a TOML text whose keys are its fields', with a table [set] of hyper-parameters.

        Args:
            text: what `to_toml` gives, or was written by hand.
            folder: where the paths in it begin; None for where the process runs.

        Raises:
            UsageError: it is no TOML, or says what no recipe has.
        """
        from . import spelling

        return spelling.from_toml(text, folder)

    def to_command(self, inputs: tuple[str, ...] = ("IN",), output: str = "OUT") -> str:
        """The command line that does it.

        Args:
            inputs: images or folders.
            output: file or folder.
        """
        from . import spelling

        return spelling.command(self, inputs, output)

    @classmethod
    def from_command(cls, text: str) -> Recipe:
        """The recipe of a command line; what it says of inputs, outputs and the job is left out.

        Raises:
            UsageError: an option has no value, or one of another kind.
        """
        from . import spelling

        return spelling.from_command(text)

    def to_python(self) -> str:
        """The expression that makes it; `from pellucid import Recipe` stands before."""
        from . import spelling

        return spelling.python(self)

    @classmethod
    def from_python(cls, text: str) -> Recipe:
        """The recipe of an expression as `to_python` gives it; nothing of it is run.

        Raises:
            UsageError: it is no such expression.
        """
        from . import spelling

        return spelling.from_python(text)

    def plain(self) -> Recipe:
        """The same with the method by its name, if it was given as an object."""
        if isinstance(self.method, str | None):
            return self
        return replace(self, method=self.choice.method, settings=dict(self.choice.hyper_parameters))


def _check_kind(name: str, value: object, kind: Any) -> None:
    """Refuses a value that no door could have meant."""
    if value is None or kind is None or name in ("prior", "settings"):
        return
    if name == "method":
        from ..methods import Method

        fits = isinstance(value, str | Method)
    elif kind is float:
        if name == "noise" and isinstance(value, tuple | list) and value:
            for level in value:
                _check_kind(name, level, kind)
            return
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is Path:
        fits = isinstance(value, str | Path)
    else:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        hint = f"; a hyper-parameter of this name goes into settings={{{name!r}: ...}}" if kind is Path else ""
        raise UsageError(f"{name} is {_KINDS[kind]}, not {value!r}{hint}")


_KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "the name of a file"}
