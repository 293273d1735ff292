"""What a person types, into values: KEY=VALUE by the types that a dataclass declares, and MODULE:OBJECT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import reduce
from importlib import import_module
from typing import Any, get_origin, get_type_hints

from .errors import UsageError


def assignments(texts: Iterable[str]) -> dict[str, str]:
    """Divides KEY=VALUE texts.

    Raises:
        UsageError: one has no `=`, or no key.
    """
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes KEY=VALUE, not {text!r}")
        values[key.strip()] = value.strip()
    return values


def parse(kind: type, name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Reads texts as values of a dataclass's fields; several numbers of one field have commas between them.

    Args:
        kind: the dataclass.
        name: what to call it in an error.
        settings: field's name to text.

    Raises:
        UsageError: there is no such field, or a text cannot be read as its value.
    """
    from pydantic import TypeAdapter, ValidationError

    check(kind, name, settings)
    hints = get_type_hints(kind)
    values = {}
    for key, text in settings.items():
        try:
            kind_of = TypeAdapter(hints[key])
            several = get_origin(hints[key]) is tuple
            values[key] = kind_of.validate_python(text.split(",")) if several else kind_of.validate_strings(text)
        except ValidationError as error:
            # pydantic's first clause says it: "Input should be a valid integer, unable to ..."
            demand = error.errors()[0]["msg"].partition(", unable")[0].removeprefix("Input should ")
            raise UsageError(f"{name}: {key} must {demand}, not {text!r}") from None
    return values


def check(kind: type, name: str, keys: Iterable[str]) -> None:
    """Refuses the first key that is no field of a dataclass.

    Raises:
        UsageError: there is one.
    """
    known = [field.name for field in fields(kind)]
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise UsageError(f"{name} has no {unknown[0]!r}; it has {', '.join(known)}")


def imported(named: str) -> Any:
    """The object of an installed module that MODULE:OBJECT names; OBJECT may have dots.

    Raises:
        UsageError: there is no such module or object.
    """
    module, _, attribute = named.partition(":")
    try:
        return reduce(getattr, attribute.split("."), import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{named}: cannot be imported ({error})") from None
