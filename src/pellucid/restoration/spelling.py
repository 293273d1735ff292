"""A recipe as TOML, as a command line and as Python; and back.

All three have the same values: a recipe's fields that differ from their defaults. Objects of the running program, such
as operators or networks, have no spelling and are rejected.
"""

from __future__ import annotations

import argparse
import ast
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UsageError, unknown_name
from ..release import version
from ..support.settings import assignments, number
from .recipe import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SET = "set"
"""Name of the option, and of the table, for hyper-parameters."""

SHORT = ("strength", "fidelity")
"""Hyper-parameters that have their own option beside --set."""

PLACES = ("prior", "method", "task")
"""Fields that may name a file or another place."""


def toml(recipe: Recipe) -> str:
    """See `Recipe.to_toml`."""
    said = _said(recipe)
    lines = [f"# pellucid {version('pellucid')}"]
    lines += [f"{name} = {toml_value(value)}" for name, value in said.items() if name != "settings"]
    if "settings" in said:
        lines += ["", f"[{SET}]", *(f"{name} = {toml_value(value)}" for name, value in said["settings"].items())]
    return "\n".join(lines) + "\n"


def from_toml(text: str, folder: Path | None = None) -> Recipe:
    """See `Recipe.from_toml`."""
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of TOML, and of a number with too many digits
        raise UsageError(f"a recipe's text is no TOML ({error})") from None
    here = Path() if folder is None else folder
    known = {_key(one): one for one in _typed()}
    made: dict[str, Any] = {}
    for key, value in said.items():
        if key not in known:
            raise unknown_name("option", key, known)
        made[known[key].name] = value
    settings = made.get("settings", {})
    if not isinstance(settings, Mapping):
        raise UsageError(f"{SET} is a table, [{SET}], not {settings!r}")
    settings = {name: placed(here, value) if isinstance(value, str) else value for name, value in settings.items()}
    for name, value in made.items():
        if isinstance(value, str) and known[_key_of(name)].metadata["kind"] is Path:
            made[name] = here / value
        elif isinstance(value, str) and name in PLACES:
            made[name] = placed(here, value)
    return Recipe(**(made | {"settings": settings}))


def command(recipe: Recipe, inputs: Sequence[str], output: str) -> str:
    """See `Recipe.to_command`."""
    if isinstance(recipe.noise, tuple):
        raise UsageError("a noise level for each image of a tensor has no command line")
    words = ["pellucid", "restore", *map(_safe, inputs), "-o", _safe(output)]
    for name, value in _said(recipe).items():
        if name == "settings":
            for key, one in value.items():
                text = typed(one)
                words += [f"--{key}", text] if key in SHORT else [f"--{SET}", f"{key}={text}"]
        elif value is True:
            words.append(f"--{name}")
        else:
            # A number may be negative, a name must not be read as an option.
            words += [f"--{name}", typed(value) if isinstance(value, int | float) else _safe(typed(value))]
    return shlex.join(words)


def from_command(text: str) -> Recipe:
    """See `Recipe.from_command`."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    for one in _typed():
        kind, flags = one.metadata["kind"], one.metadata["flags"]
        if kind is dict:
            parser.add_argument(f"--{SET}", action="append", default=[])
        elif kind is bool:
            parser.add_argument(f"--{one.name}", action="store_true")
        else:
            parser.add_argument(f"--{one.name}", *flags, type=number if kind is float else kind, default=one.default)
    for name in SHORT:
        parser.add_argument(f"--{name}", *(("-s",) if name == "strength" else ()))
    said = vars(parser.parse_known_args(shlex.split(text))[0])
    return built(said.pop(SET), {name: said.pop(name) for name in SHORT}, said)


def built(settings: Sequence[str], short: Mapping[str, object], said: Mapping[str, Any]) -> Recipe:
    """Makes the recipe of a command line.

    Args:
        settings: texts KEY=VALUE.
        short: hyper-parameters with their own option, None for absent ones.
        said: all other fields.

    Raises:
        UsageError: an option is given twice; or see `Recipe`.
    """
    own = assignments(settings)
    for key, value in short.items():
        if value is not None:
            if key in own:
                raise UsageError(f"--{key} and --set {key}=... set the same option: leave one out")
            own[key] = str(value)
    return Recipe(**{**said, "settings": own})


def python(recipe: Recipe) -> str:
    """See `Recipe.to_python`."""
    said = {name: str(value) if isinstance(value, Path) else value for name, value in _said(recipe).items()}
    words = (f"{name}={value!r}" for name, value in said.items())
    return f"Recipe({', '.join(words)})"


def from_python(text: str) -> Recipe:
    """See `Recipe.from_python`."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or ast.unparse(call.func).rpartition(".")[2] != "Recipe" or call.args:
            raise ValueError("it is no Recipe(...) with keywords")
        said = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{text[:60]!r}: cannot be read as a recipe ({error})") from None
    for name in said:
        if name not in Recipe.__dataclass_fields__:
            raise unknown_name("option", name, Recipe.__dataclass_fields__)
    return Recipe(**said)


def typed(value: object) -> str:
    """Formats a value as typed after an option, with commas between several numbers."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(typed, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def placed(folder: Path, text: str) -> str:
    """Resolves a text that looks like a path and exists; in FILE.py:OBJECT the file."""
    place, _, attribute = text.rpartition(":")
    if place.endswith(".py"):
        return f"{placed(folder, place)}:{attribute}"
    looks = Path(text).name != text or Path(text).suffix
    return str((folder / text).absolute()) if looks and (folder / text).exists() else text


class _Parser(argparse.ArgumentParser):
    """A parser that raises the package's errors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _typed() -> list[Field[Any]]:
    """Fields that can be typed."""
    return [one for one in fields(Recipe) if one.metadata]


def _key(one: Field[Any]) -> str:
    return _key_of(one.name)


def _key_of(name: str) -> str:
    return SET if name == "settings" else name


def _said(recipe: Recipe) -> dict[str, Any]:
    """Fields that differ from their defaults, in order.

    Raises:
        UsageError: a field is an object, which has no spelling.
    """
    recipe = recipe.plain()
    said: dict[str, Any] = {}
    for one in fields(recipe):
        value = getattr(recipe, one.name)
        if value == ({} if one.default is MISSING else one.default):
            continue
        for part in value.values() if isinstance(value, Mapping) else [value]:
            if not _has_name(part):
                raise UsageError(f"{one.name}: {type(part).__name__} is an object of this program, which has no name")
        said[one.name] = dict(value) if isinstance(value, Mapping) else value
    return said


def _has_name(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_has_name, value))
    return isinstance(value, bool | int | float | str | Path)


def toml_value(value: object) -> str:
    """Formats a value in TOML."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, value))}]"
    # JSON's texts, numbers and lists are TOML's, but for one character.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False).replace("\x7f", "\\u007f")


def word(name: str) -> str:
    """Writes the name of a file as a word of a command line, which a shell reads as this name."""
    return shlex.quote(_safe(name))


def _safe(name: str) -> str:
    """Protects a name from being read as an option."""
    return f"./{name}" if name.startswith("-") else name
