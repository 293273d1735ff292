"""Several damages in one text, in order: "sr4+noise:0.05|jpeg:10"."""

from __future__ import annotations

import re

from ..errors import UsageError

DamageStep = tuple[str, dict[str, str]]
"""A damage's name and texts of its parameters; "" is its first."""

_REDUCTION = re.compile(r"sr(\d+)")

_OWN = re.compile(r"([^|+]*?\.py:[^\W\d][\w.]*)")
"""FILE.py:FUNCTION, with a path without `|` and `+`."""


def is_composed(text: str) -> bool:
    """True if a text is more than a name."""
    if _OWN.fullmatch(text):
        return False
    return _REDUCTION.fullmatch(text) is not None or any(sign in text for sign in "|+:")


def steps(text: str) -> list[DamageStep]:
    """Reads what a text says.

    A `|` separates damages. A name may have `:` and the value of its first parameter, or several KEY=VALUE separated by
    `;`. `sr4` is `reduce:4`. `+noise:S` adds noise to the step before it: to the small image of a reduction before it
    is enlarged again, as in the papers' super-resolution.

    Raises:
        UsageError: a name or a value is missing.
    """
    return [step for part in text.split("|") for step in _part(text, part)]


def _part(text: str, part: str) -> list[DamageStep]:
    first, *added = (_step(text, piece) for piece in part.split("+"))
    if first[0] == "reduce" and added and added[0][0] == "noise" and list(added[0][1]) in ([""], ["sigma"]):
        (sigma,) = added.pop(0)[1].values()
        first[1]["noise"] = sigma
    return [first, *added]


def _step(text: str, piece: str) -> DamageStep:
    own = _OWN.match(piece.strip())
    name, colon, rest = (each.strip() for each in piece.strip()[own.end() if own else 0 :].partition(":"))
    name = own[1] if own and not name else name
    values: dict[str, str] = {}
    if reduced := _REDUCTION.fullmatch(name):
        name, values = "reduce", {"factor": reduced[1]}
    if not name or (colon and not rest):
        raise UsageError(f"{text!r}: damages are NAME, NAME:VALUE or NAME:KEY=VALUE;KEY=VALUE, with | between them")
    for setting in rest.split(";") if rest else ():
        key, equals, value = (each.strip() for each in setting.partition("="))
        values[key if equals else ""] = value if equals else key
    return name, values
