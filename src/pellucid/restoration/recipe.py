"""A restoration as requested: one object, which every interface builds and nothing else resolves.

Python, the command line, a configuration file, the page and a job all end in a `Recipe`; so the same words give the
same bytes everywhere. Its fields are the options, and their metadata is what a command line needs to read them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import catalogue
from ..errors import UsageError
from ..support.ranges import check_noise, check_seed
from ..support.settings import number, values

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..catalogue.tasks import Maker
    from ..maths.problem import Noise
    from ..methods import Method
    from ..operators import Operator
    from ..priors import Prior
    from ..priors.load import Source
    from .keywords import Keywords
    from .restorer import Restorer


@dataclass(frozen=True)
class Choice:
    """A recipe for an image with all choices resolved.

    Attributes:
        method: name of the method.
        hyper_parameters: those that differ from the method's defaults, or were given.
        restores: the method itself.
        operator: the degradation, or a function that makes it from each picture; None for blind restoration.
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
    """All options that determine a result, except the image; `choice` resolves open ones once.

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
        yes: whether the task "scratches" fills damage beyond doubt, without a checked mask.
        kernel: image file of a blurred point, for the task "deblur".
        by: factor of both sides, 2, 3 or 4, for the task "enlarge"; None for 2.
        noise: standard deviation of the noise in [0, 1] units, or one for each image of a tensor; None for the task's
            level, or to estimate it. It is 1 at most, but for measurements that are no pictures. A text such as
            "10/255" is read as a number.
        exact: whether to move the result to the nearest image that agrees with the measurement.
        prior: any argument of `load_prior`.
        label: see `load_prior`.
        prompt: see `load_prior`.
        offline: see `load_prior`.
        seed: seed for a single image, from 0 to 2^63 - 1.
        tile: side in pixels of the tiles of large images; None for the default.
        device: device to compute on; None for a GPU if there is one.
        backend: backend of the prior's network; see `load_prior`.
        precision: precision of the prior's network; see `load_prior`.

    Raises:
        UsageError: an unknown method, preset or hyper-parameter, or a value of the wrong kind or out of its range.

    Example:
        >>> recipe = pellucid.Recipe("dreamclean", {"strength": 70})
        >>> recipe.to_command(["photo.jpg"], "out.png")
        'pellucid restore photo.jpg -o out.png --method dreamclean --strength 70'
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
            if one.metadata.get("kind") in (int, float):
                value = _plain(getattr(self, one.name))
                typed = one.name == "noise" and isinstance(value, str)
                object.__setattr__(self, one.name, _level(value) if typed else value)
            if getattr(self, one.name) is None and one.default is not None:
                raise UsageError(f"{one.name} cannot be None: leave it out for the default")
            _check_kind(one.name, getattr(self, one.name), one.metadata.get("kind"))
        check_seed(self.seed)
        self._check_noise()
        if isinstance(self.noise, Sequence):
            object.__setattr__(self, "noise", tuple(map(float, self.noise)))
        elif self.noise is not None:
            # 0 and 0.0 are one request, with one fingerprint.
            object.__setattr__(self, "noise", float(self.noise))
        for name in ("mask", "kernel"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, Path(getattr(self, name)))
        if self.task is not None:
            object.__setattr__(self, "task", catalogue.task(self.task))
        object.__setattr__(self, "settings", self._checked())

    def _check_noise(self) -> None:
        levels = self.noise if isinstance(self.noise, Sequence) else () if self.noise is None else (self.noise,)
        # Only an operator itself may have other measurements; tasks and functions of pictures have pictures.
        measured = not getattr(self.operator, "pictures", True)
        for level in levels:
            check_noise(level, measured=measured)

    @classmethod
    def of(
        cls,
        method: str | Method | Recipe | None = None,
        prior: Source = "natural",
        *,
        operator: Operator | Callable[..., Operator] | None = None,
        noise: Noise | None = None,
        seed: int = 0,
        **options: Unpack[Keywords],
    ) -> Recipe:
        """Makes a recipe of keywords, including the method's hyper-parameters; returns a given recipe unchanged.

        Args:
            method: see `Recipe`.
            prior: likewise.
            operator: likewise.
            noise: likewise.
            seed: likewise.
            options: other fields of `Recipe`, and fields of the method; a `kernel` that is a number is the method's.

        Raises:
            UsageError: see `Recipe`; or there is a recipe together with other options.
        """
        plain = cls.__dataclass_fields__
        if callable(flat := getattr(noise, "flatten", None)):
            # A tensor or an array; the command line does not wait for torch.
            levels = flat().tolist()
            noise = tuple(levels) if len(levels) > 1 else levels[0] if levels else ()
        more: dict[str, Any] = {"prior": prior, "operator": operator, "noise": noise, "seed": seed}
        own: dict[str, Any] = {name: value for name, value in options.items() if name in plain}
        hyper: dict[str, Any] = {name: value for name, value in options.items() if name not in plain}
        if isinstance(own.get("kernel"), int):
            # Several methods call a kernel's side so; the file of a kernel is never a number.
            hyper["kernel"] = own.pop("kernel")
        if method is None and own.get("task") is None:
            _check_spelling(hyper, plain)
        if isinstance(method, Recipe):
            beside = [name for name, value in (more | own | hyper).items()
                      if name in hyper or value is not plain[name].default]  # fmt: skip
            if beside:
                raise UsageError(f"{beside[0]!r}: a recipe has all options itself: use dataclasses.replace on it")
            return method
        if "settings" in own:
            twice = hyper.keys() & own["settings"].keys()
            if twice:
                raise UsageError(f"{min(twice)!r} is given twice: leave it out of settings")
            hyper = {**own["settings"], **hyper}
        return cls(method, **(more | own | {"settings": hyper}))

    def _checked(self) -> dict[str, Any]:
        """Converts the settings to values; rejects invalid ones without reading files or priors."""
        from .. import methods
        from ..catalogue import tasks

        if self.task is not None and (self.operator is not None or isinstance(self.method, methods.Method)):
            raise UsageError("a task brings operator and method: leave the operator out, and name the method")
        if isinstance(self.method, methods.Method):
            superfluous = [f"preset={self.preset!r}"] if self.preset is not None else sorted(map(repr, self.settings))
            if superfluous:
                raise UsageError(f"{superfluous[0]}: a method given as an object has its hyper-parameters already")
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
        """Class of the method."""
        from .. import methods

        return type(self.method) if isinstance(self.method, methods.Method) else methods.find(self._name)

    @property
    def _name(self) -> str:
        """Name of the method, the task's method or the default one."""
        from .. import methods
        from ..catalogue import tasks

        if isinstance(self.method, methods.Method):
            return methods.name_of(self.method) or type(self.method).__name__
        return self.method or (tasks.find(self.task).method if self.task else methods.usual(self.settings))

    @cached_property
    def choice(self) -> Choice:
        """Resolves all choices: the task's operator, method and settings, or the default method.

        Raises:
            UsageError: a value is out of range or would have no effect, or a file is missing or superfluous.
            PellucidError: a file cannot be read.
        """
        from .. import methods
        from ..catalogue import tasks

        operator, noise, name = self.operator, self.noise, self._name
        if isinstance(self.method, methods.Method):
            own = methods.differing(self.method)
            self.method.check_effective(own, operator is not None)
            return Choice(name, own, self.method, operator, noise)
        ours: Mapping[str, Any] = {}
        several = False
        if self.task is not None:
            usual = tasks.find(self.task)
            usual.check_method(self.task, name)
            operator, several = tasks.operator(self.task, self.mask, self.kernel, self.by, yes=self.yes), usual.several
            noise = usual.noise if noise is None else noise
            # A preset is what its paper, or its name, says, and nothing of ours.
            ours = usual.settings if name == usual.method and self.preset is None else {}
        chosen = {**ours, **methods.of_preset(self.kind, name, self.preset), **self.settings}
        restores = methods.get(name, **chosen)
        # Those of a task or a preset may be left without an effect by a setting; nobody typed them.
        restores.check_effective(self.settings, operator is not None)
        return Choice(name, chosen, restores, operator, noise, several)

    def restorer(self, loaded: Prior | None = None) -> Restorer:
        """Makes the restorer for pictures.

        Args:
            loaded: the recipe's prior, if it is already loaded.

        Raises:
            UsageError: the options do not suit the method, or the prior or device is unknown.
            PellucidError: the prior cannot be loaded, or a file cannot be read.
        """
        from .restorer import Restorer

        return Restorer(self, loaded=loaded)

    def fingerprint(self, prior: str | None = None) -> str:
        """SHA-256 of every field and of its resolved values, independent of the files' places.

        Files count by their content, the prior by its weights; the version of pellucid counts, too. `--resume` and
        tables use it to recognise equal results.

        Args:
            prior: fingerprint of the prior by `priors.fingerprint`, if known; else the prior is loaded.
        """
        from .facts import digest

        return digest(self, self.restorer().fingerprint if prior is None else prior)

    def to_toml(self) -> str:
        """Writes a text for `from_toml` and --config."""
        from . import spelling

        return spelling.toml(self)

    @classmethod
    def from_toml(cls, text: str, folder: Path | None = None) -> Recipe:
        """Reads a recipe from TOML with its fields as keys and a table [set] of hyper-parameters.

        Args:
            text: the result of `to_toml`, or a text by hand.
            folder: folder of relative paths in it; None for the current folder.

        Raises:
            UsageError: the text is no TOML, or has unknown keys.
        """
        from . import spelling

        return spelling.from_toml(text, folder)

    def to_command(self, inputs: tuple[str, ...] = ("IN",), output: str = "OUT") -> str:
        """Writes the equivalent command line.

        Args:
            inputs: images or folders.
            output: file or folder.
        """
        from . import spelling

        return spelling.command(self, inputs, output)

    @classmethod
    def from_command(cls, text: str) -> Recipe:
        """Reads a recipe from a command line, ignoring inputs, outputs and the job's options.

        Raises:
            UsageError: an option has no value, or a value of another kind.
        """
        from . import spelling

        return spelling.from_command(text)

    def to_python(self) -> str:
        """Writes an expression that makes it; `from pellucid import Recipe` must precede it."""
        from . import spelling

        return spelling.python(self)

    @classmethod
    def from_python(cls, text: str) -> Recipe:
        """Reads a recipe from an expression of `to_python` without running it.

        Raises:
            UsageError: the text is no such expression.
        """
        from . import spelling

        return spelling.from_python(text)

    def plain(self) -> Recipe:
        """Copy with the method by its name, if it was given as an object."""
        if isinstance(self.method, str | None):
            return self
        return replace(self, method=self.choice.method, settings=dict(self.choice.hyper_parameters))


def _check_kind(name: str, value: object, kind: Any) -> None:
    """Rejects a value of an impossible kind."""
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
        # A whole number may be larger than every float.
        finite = isinstance(value, int | float) and abs(value) <= sys.float_info.max
        fits = finite and not isinstance(value, bool)
    elif kind is Path:
        fits = isinstance(value, str | Path)
    else:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        number = isinstance(value, int | float)
        hint = f"a hyper-parameter of this name goes into settings={{{name!r}: ...}}" if number else "save it as one"
        shown = repr(value) if number or isinstance(value, str | Path) else f"of type {type(value).__name__}"
        raise UsageError(f"{name} is {_KINDS[kind]}, not {shown}" + (f"; {hint}" if kind is Path else ""))


def _level(text: str) -> float:
    """Reads a noise level as it is typed."""
    try:
        return number(text)
    except UsageError as error:
        raise UsageError(f"noise: {error}") from None


def _plain(value: Any) -> Any:
    """Number of numpy or torch without dimensions as a number of Python; other values unchanged."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _check_spelling(hyper: Iterable[str], known: Iterable[str]) -> None:
    """Rejects a misspelt option, which the default method would be said not to have."""
    from .. import methods

    usual = {name for one in ("auto", "dreamclean") for name in methods.describe(one)["hyper_parameters"]}
    for name in hyper:
        near = get_close_matches(name, [*known, *usual], n=1)
        if name not in usual and near:
            raise UsageError(f"there is no option {name!r}: did you mean {near[0]!r}?")


_KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "the name of a file"}
