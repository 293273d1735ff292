"""The keywords of a restoration are the recipe's fields and the methods' hyper-parameters, with their types.

`python -m tests.test_keywords` writes `restoration/keywords.py` anew: for type checkers, which cannot compute it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from torch import Tensor

from pellucid import Recipe, methods
from pellucid.restoration import keywords

FILE = Path(keywords.__file__)
EXPLICIT = ("method", "prior", "operator", "noise", "seed")
"""Parameters of their own in every signature that takes the keywords."""

BOTH = ("kernel",)
"""An option and a hyper-parameter of one name, which `Recipe.of` tells apart; other names mean the option."""

ORIGINS = {
    "Callable": "collections.abc", "Mapping": "collections.abc", "Sequence": "collections.abc",
    "Path": "pathlib", "Any": "typing", "Literal": "typing", "Tensor": "torch",
}  # fmt: skip


def parts(kind: Any) -> tuple[Any, ...]:
    """Members of a union; the type itself if it is none."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def text(kind: Any) -> str:
    """A type as it is written, with literals together and None last, without an int that is beside a float."""
    if isinstance(kind, list):  # what a function takes
        return f"[{', '.join(map(text, kind))}]"
    members = parts(kind)
    if len(members) > 1:
        literals = [value for one in members if get_origin(one) is Literal for value in get_args(one)]
        plain = [one for one in members if get_origin(one) is not Literal and one is not NoneType]
        literals = [value for value in literals if type(value) not in plain]
        shown = [text(one) for one in plain if not (one is int and float in plain)]
        if literals:
            shown.append(text(Literal[tuple(dict.fromkeys(literals))]))
        return " | ".join(shown + ["None"] * (NoneType in members))
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is NoneType:
        return "None"
    if kind is Ellipsis:
        return "..."
    if origin is Literal:
        return f"Literal[{', '.join(map(quoted, arguments))}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(text, arguments))}]"
    name: str = kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]
    if name not in ORIGINS and kind not in (str, int, float, bool):
        raise TypeError(f"{kind!r}: say in ORIGINS where type checkers find it")
    return name


def quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def union(kinds: Iterable[Any]) -> Any:
    return Union[tuple(kinds)]  # noqa: UP007  # of as many as there are


def options() -> dict[str, Any]:
    """Fields of the recipe; a file may also be named by a text, and one that is a method's too has both types."""
    names = {"Any": Any, "Mapping": Mapping, "Path": Path}
    own = {one.name: eval(str(one.type), names) for one in fields(Recipe) if one.name not in EXPLICIT}
    own = {name: union([str, kind]) if Path in parts(kind) else kind for name, kind in own.items()}
    return own | {name: union([own[name], hyper_parameters()[name]]) for name in BOTH}


def hyper_parameters() -> dict[str, Any]:
    """Fields of the package's methods with the types that they have in any."""
    found: dict[str, list[Any]] = {}
    for name in methods.names():
        method = methods.find(name)
        if method.__module__.startswith("pellucid.methods."):
            hints = get_type_hints(method)
            for one in fields(method):  # type: ignore[arg-type]  # every method is a dataclass
                found.setdefault(one.name, []).append(hints[one.name])
    return {name: union(kinds) for name, kinds in sorted(found.items())}


def written() -> str:
    """The text of `restoration/keywords.py`."""
    own = options()
    others = {name: kind for name, kind in hyper_parameters().items() if name not in own | dict.fromkeys(EXPLICIT)}
    lines = [f"    {name}: {text(kind)}" for name, kind in (own | others).items()]
    used = {name for name in ORIGINS if any(name in line.partition(":")[2] for line in lines)}

    def imported(module: str, *more: str) -> str:
        names = {name for name in used if ORIGINS[name] == module} | {*more}
        return f"from {module} import {', '.join(sorted(names, key=lambda name: (not name.isupper(), name)))}"

    names = "\n".join([*lines[: len(own)], "", *lines[len(own) :]])
    return f'''"""The keywords of a restoration with their types, for type checkers and editors.

`python -m tests.test_keywords` writes this file from the fields of `Recipe` and of the methods.
"""

from __future__ import annotations

{imported("collections.abc")}
{imported("pathlib")}
{imported("typing", "TYPE_CHECKING", "TypedDict")}

if TYPE_CHECKING:
    {imported("torch")}


class Keywords(TypedDict, total=False):
    """Fields of a `Recipe` beside those that signatures name, and hyper-parameters of the package's methods."""

{names}
'''


def test_the_keywords_are_those_of_the_recipe_and_of_the_methods() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), "python -m tests.test_keywords writes it"


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ([int, float], "float"),
        ([int, None], "int | None"),
        ([float, Literal["auto"]], 'float | Literal["auto"]'),
        ([int, Literal[1, 3]], "int"),
        ([Literal["a", "b"], Literal["b", "c"]], 'Literal["a", "b", "c"]'),
        ([str, Path, None, Callable[[Tensor], Sequence[Tensor]]],
         "str | Path | Callable[[Tensor], Sequence[Tensor]] | None"),
        ([tuple[float, ...]], "tuple[float, ...]"),
        ([Any], "Any"),
    ],
)  # fmt: skip
def test_a_type_of_several_methods(kinds: list[Any], said: str) -> None:
    assert text(union(kinds)) == said


def test_a_type_of_unknown_origin_is_refused() -> None:
    with pytest.raises(TypeError, match="ORIGINS"):
        text(sys.__class__)


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
