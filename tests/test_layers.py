"""The layers of docs/architecture.md: an import goes down, never up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pellucid"
# From the bottom up. The parts of one line may import each other.
LAYERS = (
    ("errors", "release"),
    ("support",),
    ("maths",),
    ("apart", "images"),
    ("operators",),
    ("priors",),
    ("metrics", "degradations"),
    ("diagnosis",),
    ("methods",),
    ("catalogue",),
    ("restoration",),
    ("api",),
    ("jobs",),
    ("bench", "train"),
    ("app",),
    ("cli",),
    ("__main__",),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
PARTS = sorted({path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")} - {"__init__"})


def imports(path: Path) -> Iterator[str]:
    """The parts of the package that a file imports, but for those that only type checkers see."""
    relative = path.relative_to(SOURCE)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in hidden:
            base = relative.parts[: len(relative.parts) - node.level]
            whole = (*base, *(node.module.split(".") if node.module else ()))
            yield from [whole[0]] if whole else [name.name for name in node.names]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_from_its_layer_and_below(part: str) -> None:
    assert part in RANK, f"new part: place {part} in LAYERS, and in docs/architecture.svg"
    files = [SOURCE / f"{part}.py"] if (SOURCE / f"{part}.py").exists() else sorted((SOURCE / part).rglob("*.py"))
    upward = {
        f"{file.relative_to(SOURCE)} imports {one}"
        for file in files
        for one in imports(file)
        if one != part and RANK.get(one, -1) > RANK[part]
    }
    assert not upward


def test_imports_of_a_file_are_seen() -> None:
    file = SOURCE / "cli" / "__init__.py"
    assert {"apart", "errors"} <= set(imports(file))
    assert RANK["cli"] > RANK["jobs"] > RANK["methods"] > RANK["priors"] > RANK["maths"]
