"""`--config FILE.toml`: options from a file, as if they came first on the command line; and the way back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from .. import catalogue
from ..errors import PellucidError, UsageError, unknown_name
from ..release import version
from ..restoration.spelling import PLACES, SHORT, placed, toml_value
from ..support.settings import assignments, bytes_of
from . import guesses
from .panels import MORE, PANELS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_OPTION, _SET = "config", "set"
# What a call says of itself, and not of what is made or where.
_OWN = (_OPTION, "write_config", "dry", "resume", "overwrite", "json")


class Configured(TyperCommand):
    """A command that also takes options from the TOML file of its option `--config`.

    Keys are the long names of options without leading dashes, and the names of arguments; `[set]` is a table of
    hyper-parameters. The command line wins. Relative paths begin at the file's folder.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Puts each option into its panel of the help; panels keep their order."""
        super().__init__(*args, **options)
        panels = list(dict.fromkeys(PANELS.values()))
        for one in self.params:
            if any(name.startswith("-") for name in one.opts):
                one.rich_help_panel = PANELS.get(one.name or "", MORE)  # type: ignore[attr-defined]
        self.params.sort(key=lambda one: panels.index(getattr(one, "rich_help_panel", None) or panels[0]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the file's values before the command line's, since the last of two equal options counts.

        Raises:
            UsageError: the file has a key or a value that the command does not know, or an option is a wrong guess.
            PellucidError: the file cannot be read, or is no TOML.
        """
        line = list(args)
        try:
            said, *_ = self.make_parser(ctx).parse_args(list(args))
        except Exception as error:
            # The class of the error depends on the release of typer.
            right = guesses.option(flag, line) if (flag := getattr(error, "option_name", None)) else None
            if right is None or ctx.resilient_parsing:
                raise
            raise right from None
        if said.get(_OPTION) and not ctx.resilient_parsing:
            args = self._expanded(Path(said[_OPTION]), said, args)
        rest = super().parse_args(ctx, args)
        given = ctx.params
        if not (given.get("output") or given.get("in_place") or ctx.resilient_parsing):
            right = guesses.second_as_output(given.get("inputs") or ())
            if right is not None:
                raise right
        said_task = given.get("task") or ""
        if catalogue.task(said_task) == said_task and (meant := guesses.task(said_task)) and not ctx.resilient_parsing:
            raise UsageError(f"unknown task {said_task!r}: say --task {meant}")
        return rest

    def _expanded(self, path: Path, said: Mapping[str, Any], args: list[str]) -> list[str]:
        known = {name: one for one in self.params for name in _names(one.opts) if one.name not in _OWN[:2]}
        kinds = get_type_hints(self.callback)
        options: list[str] = []
        arguments: list[str] = []
        for key, value in _less(read(path), said).items():
            if key not in known:
                raise UsageError(f"{path}: {unknown_name('option', key, known)}")
            parameter = known[key]
            kind = kinds[parameter.name or key]
            if key == _SET:
                options += [f"--{_SET}={name}={text}" for name, text in _hyper_parameters(path, value)]
            elif kind is bool:
                options += _switch(path, key, value)
            elif parameter.nargs != -1:
                options.append(f"--{key}={_placed(path.parent, key, _text(path, key, value), kind)}")
            elif not _given(said.get(parameter.name or key)):
                each = value if isinstance(value, list) else [value]
                arguments += [_placed(path.parent, key, _text(path, key, one), *get_args(kind)) for one in each]
        self._check(path, options)
        return [*options, *args, *(["--", *arguments] if arguments else [])]

    def _check(self, path: Path, options: list[str]) -> None:
        """Checks a value of the file by itself, so that the message can name the file."""
        try:
            self.make_context(self.name, [*options, "--", "input"])
        except Exception as error:
            if isinstance(error, PellucidError) or not hasattr(error, "format_message"):
                raise
            raise UsageError(f"{path}: {error.format_message()}") from None


def read(path: Path) -> dict[str, Any]:
    """Reads the values of a TOML file.

    Raises:
        PellucidError: it cannot be read, or is no TOML.
    """
    content = bytes_of(path)
    try:
        values: dict[str, Any] = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # of TOML, of its encoding, and of a number with too many digits
        raise PellucidError(f"{path}: is no TOML ({error})") from None
    return values


def write(path: Path, context: typer.Context) -> None:
    """Writes the options of a call, with the resolved defaults, as a file for `--config`.

    Paths are absolute, so that the file can move on the same machine. Options that start, resume, print or overwrite
    are left out.

    Raises:
        PellucidError: it cannot be written.
    """
    from ..images.atomic import replacing

    lines, table = [f"# pellucid {version('pellucid')}"], []
    kinds = get_type_hints(context.command.callback)
    for parameter in context.command.params:
        value, kind = context.params[parameter.name or ""], kinds[parameter.name or ""]
        if parameter.name in _OWN or value is None or value is False or value in ([], ()):
            continue
        (key, *_) = _names(parameter.opts)
        if key == _SET:
            pairs = assignments(value).items()
            table = ["", f"[{key}]", *(f"{name} = {toml_value(placed(Path.cwd(), text))}" for name, text in pairs)]
        else:
            each = [_placed(Path.cwd(), key, one, *get_args(kind)) for one in value] if _given(value) else None
            lines.append(f"{key} = {toml_value(each or _placed(Path.cwd(), key, value, kind))}")
    try:
        content = "\n".join([*lines, *table, ""]).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise PellucidError(f"{path}: cannot be written ({error.strerror or error})") from None
    except UnicodeEncodeError:
        raise PellucidError(f"{path}: cannot be written, since the name of a file is no text") from None


def _names(opts: list[str]) -> list[str]:
    """Names of a parameter in a file: an option's long names without dashes, or an argument's name."""
    return [name.removeprefix("--") for name in opts if name.startswith("--") or not name.startswith("-")]


def _given(arguments: object) -> bool:
    """True if the command line has an argument; one release of click marks missing ones with an object."""
    return isinstance(arguments, tuple | list) and len(arguments) > 0


def _less(values: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Drops values of the file that the command line sets in another way: by --set instead of the option."""
    keys = {text.partition("=")[0].strip() for text in said.get("settings") or ()}
    over = {key for key in SHORT if said.get(key) is not None or key in keys}
    less = {key: value for key, value in values.items() if key not in over}
    if isinstance(less.get(_SET), dict):
        less[_SET] = {key: value for key, value in less[_SET].items() if key not in over}
    return less


def _hyper_parameters(path: Path, table: object) -> list[tuple[str, str]]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {_SET} is a table, [{_SET}], not {table!r}")
    found = []
    for key, value in table.items():
        texts = [_text(path, f"{_SET}.{key}", one) for one in (value if isinstance(value, list) else [value])]
        found.append((key, placed(path.parent, texts[0]) if len(texts) == 1 else ",".join(texts)))
    return found


def _switch(path: Path, key: str, value: object) -> list[str]:
    if not isinstance(value, bool):
        raise UsageError(f"{path}: {key} is true or false, not {value!r}")
    return [f"--{key}"] if value else []


def _placed(folder: Path, key: str, value: Any, kind: Any) -> Any:
    """Converts an option's value by its type: relative paths begin at a folder, other values stay as they are."""
    if Path in (kind, *get_args(kind)):
        return str(folder / value) if str(value) else ""  # which is refused as on the command line
    return placed(folder, value) if key in PLACES else value


def _text(path: Path, key: str, value: object) -> str:
    """Formats a value as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise UsageError(f"{path}: {key} is a text or a number, not {value!r}")
    return str(value)
