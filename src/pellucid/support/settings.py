"""Values from texts: KEY=VALUE by the types of a dataclass, and objects by their places."""

from __future__ import annotations

import math
import stat
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin, get_type_hints

from ..errors import PellucidError, UsageError


def bytes_of(path: Path, most: int = 1 << 20) -> bytes:
    """Reads a small file that a person wrote; rejects pipes and the like, which could block or never end.

    Args:
        path: the file.
        most: largest size in bytes.

    Raises:
        PellucidError: the file is missing, cannot be read, or is larger.
    """
    try:
        if not stat.S_ISREG((about := path.stat()).st_mode):
            raise PellucidError(f"{path}: is a folder, a pipe or a device, not a file")
        if about.st_size > most:
            raise PellucidError(f"{path}: has {about.st_size:,} bytes; {most:,} at most are read")
        return path.read_bytes()
    except FileNotFoundError:
        raise PellucidError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise PellucidError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def number(text: str) -> float:
    """Reads a number as people type it: 0.04, 1e-3, or a fraction such as 10/255.

    Raises:
        UsageError: the text is no number, or not a finite one.

    Example:
        >>> number("51/255")
        0.2
    """
    above, bar, below = text.partition("/")
    try:
        value = float(above) / (float(below) if bar else 1.0)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{text!r} is no number: write it as 0.04 or 10/255")
    return value


def assignments(texts: Iterable[str], option: str = "--set") -> dict[str, str]:
    """Splits KEY=VALUE texts.

    Args:
        texts: the texts.
        option: name of their option, for errors.

    Raises:
        UsageError: a text has no `=`, or no key.
    """
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} takes KEY=VALUE, not {text!r}")
        values[key.strip()] = value.strip()
    return values


def parse(kind: type, name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Reads texts as values of a dataclass's fields; several numbers of one field are separated by commas.

    Args:
        kind: the dataclass.
        name: name of the object in errors.
        settings: field's name to text.

    Raises:
        UsageError: unknown field, or an unreadable value.
    """
    hints = get_type_hints(kind)
    return read({field.name: hints[field.name] for field in fields(kind)}, name, settings)


def texts(record: Any) -> dict[str, str]:
    """Every field of a dataclass as `parse` reads it, except those that are dataclasses themselves.

    Args:
        record: an instance with numbers, texts and sequences of them.

    Example:
        >>> from pellucid.priors.network import UNetConfig
        >>> texts(UNetConfig(patch=2, widths=(8, 16), blocks=(1, 1)))["widths"]
        '8,16'
    """
    found = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        for name, value in found.items()
        if not is_dataclass(value)
    }


def changes(record: Any, start: Any) -> dict[str, str]:
    """Settings that make one record of another of its class, in the order of the fields; see `texts`."""
    before = texts(start)
    return {name: text for name, text in texts(record).items() if text != before[name]}


def values(kind: type, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Converts values for a dataclass's fields: reads texts as in `parse`, converts numbers, keeps objects.

    Args:
        kind: the dataclass.
        name: name of the object in errors.
        given: field's name to value.

    Raises:
        UsageError: there is no such field, or a value is none of its.
    """
    hints = get_type_hints(kind)
    types = {field.name: hints[field.name] for field in fields(kind)}
    check_known(types, name, given)
    typed = read(types, name, {key: value for key, value in given.items() if isinstance(value, str)})
    made = {key: typed[key] if key in typed else _number(types[key], name, key, value) for key, value in given.items()}
    for key, value in made.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name}: {key} must be a finite number, not {value}")
    return made


def _number(kind: Any, name: str, key: str, value: Any) -> Any:
    """Converts a number, or several, to a type; returns other objects unchanged."""
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(value, bool | int | float | tuple | list):
        return value
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{name}: {key} must {_demand(error)}, not {value!r}") from None


def read(types: Mapping[str, Any], name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Reads texts as values of types; elements of a sequence are separated by commas, and a number may be a fraction.

    Args:
        types: key to type.
        name: name of the owner of the keys in errors.
        settings: key to text.

    Raises:
        UsageError: unknown key, or an unreadable value.
    """
    from pydantic import TypeAdapter, ValidationError

    check_known(types, name, settings)
    values = {}
    for key, text in settings.items():
        adapter = TypeAdapter(types[key])
        several = get_origin(types[key]) in (Sequence, tuple)
        given = text.split(",") if several else text
        try:
            try:
                values[key] = adapter.validate_python(given) if several else adapter.validate_strings(text)
            except ValidationError:
                # As a fraction only what is nothing else: a text may have a slash.
                if "/" not in text:
                    raise
                values[key] = adapter.validate_python([*map(_divided, given)] if several else _divided(text))
        except ValidationError as error:
            raise UsageError(f"{name}: {key} must {_demand(error)}, not {text!r}") from None
    return values


def _divided(text: str) -> float | str:
    """Number of a fraction such as 10/255; other texts unchanged."""
    try:
        return number(text) if "/" in text else text
    except UsageError:
        return text


def _demand(error: Any) -> str:
    """First clause of pydantic's message: "Input should be a valid integer, unable to ..."."""
    message: str = error.errors()[0]["msg"]
    return message.partition(", unable")[0].removeprefix("Input should ")


def check(kind: type, name: str, keys: Iterable[str]) -> None:
    """Rejects the first key that is no field of a dataclass.

    Raises:
        UsageError: there is one.
    """
    check_known([field.name for field in fields(kind)], name, keys)


def check_known(known: Collection[str], name: str, keys: Iterable[str]) -> None:
    """Rejects the first unknown key.

    Raises:
        UsageError: there is one.
    """
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise UsageError(f"{name} has no {unknown[0]!r}; it has {', '.join(known) or 'none'}")


def names_object(text: str) -> bool:
    """True if a text has the form MODULE:OBJECT or FILE.py:OBJECT."""
    place, _, attribute = text.rpartition(":")
    names = [] if place.endswith(_PYTHON) else place.split(".")
    return place != _PYTHON and all(name.isidentifier() for name in (*names, *attribute.split(".")))


def imported(named: str) -> Any:
    """Imports the object of MODULE:OBJECT or FILE.py:OBJECT; OBJECT may have dots. This runs the module's code.

    Raises:
        UsageError: the module, file or object does not exist, or the module's code fails.
    """
    place, _, attribute = named.rpartition(":")
    try:
        module = _of_file(Path(place)) if place.endswith(_PYTHON) else import_module(place)
        return reduce(getattr, attribute.split("."), module)
    # Whatever somebody's module does.
    except Exception as error:
        raise UsageError(f"{named}: cannot be imported ({type(error).__name__}: {error})") from error


_PYTHON = ".py"


def _of_file(path: Path) -> ModuleType:
    """Imports the module of a file under a name that child processes can also find."""
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    if str(path.parent) not in sys.path:
        # Last, so that what lies beside it stands in nobody's way.
        sys.path.append(str(path.parent))
    module = import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path:
        raise ImportError(f"another module is called {path.stem}: give the file another name")
    return module
