"""Restoration methods: one file each, found through the entry point group `pellucid.methods`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Any, get_type_hints

from ..errors import UsageError, unknown_name
from .dreamclean import DreamClean
from .method import Method, State

__all__ = ["DreamClean", "Method", "State", "describe", "find", "get", "names", "parse"]

_GROUP = "pellucid.methods"


def names(blind: bool | None = None) -> tuple[str, ...]:
    """Names of all methods, also those of other installed packages.

    Args:
        blind: only those that need not (True) or must (False) be told the degradation.
    """
    found = sorted({point.name for point in entry_points(group=_GROUP)})
    return tuple(name for name in found if blind is None or find(name).blind is blind)


def find(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        UsageError: there is none of that name.
    """
    points = {point.name: point for point in entry_points(group=_GROUP)}
    if name not in points:
        raise unknown_name("method", name, points)
    method: type[Method] = points[name].load()
    return method


def get(name: str, **hyper_parameters: Any) -> Method:
    """Makes a method by name, paper defaults where nothing is said.

    Raises:
        UsageError: there is no such method or hyper-parameter, or a value is out of its range.
    """
    method = find(name)
    _check_fields(method, name, hyper_parameters)
    return method(**hyper_parameters)


def describe(name: str) -> dict[str, Any]:
    """What there is to say about a method: `name`, `blind`, `summary`, `hyper_parameters` with their defaults."""
    method = find(name)
    return {
        "name": name,
        "blind": method.blind,
        "summary": (method.__doc__ or "").partition("\n")[0],
        "hyper_parameters": {field.name: field.default for field in fields(method)},  # type: ignore[arg-type]
    }


def parse(name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Turns hyper-parameters as a person types them into values of the types that the method's fields have.

    Raises:
        UsageError: there is no such method or hyper-parameter, or a text cannot be read as its value.
    """
    from pydantic import TypeAdapter, ValidationError

    method = find(name)
    hints = get_type_hints(method)
    _check_fields(method, name, settings)
    values = {}
    for key, text in settings.items():
        try:
            values[key] = TypeAdapter(hints[key]).validate_strings(text)
        except ValidationError as error:
            # pydantic's first clause says it: "Input should be a valid integer, unable to ..."
            demand = error.errors()[0]["msg"].partition(",")[0].removeprefix("Input should ")
            raise UsageError(f"{name}: {key} must {demand}, not {text!r}") from None
    return values


def _check_fields(method: type[Method], name: str, keys: Iterable[str]) -> None:
    known = [field.name for field in fields(method)]  # type: ignore[arg-type]  # every method is a dataclass
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise UsageError(f"{name} has no {unknown[0]!r}; it has {', '.join(known)}")
