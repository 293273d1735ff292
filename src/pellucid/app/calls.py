"""The same restoration as a command and as Python, with identical bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import images
from ..catalogue import tasks
from ..restoration import Recipe
from .choices import Variant

MASK = "mask.png"
"""Name of the painted mask as a download."""

_USUAL: Mapping[str, Any] = {}


def target_name(name: str, slug: str) -> str:
    """Name of a restored file: photo-restored.jpg, in PNG where the picture's format cannot be written.

    Args:
        name: see `Upload.output`, or the picture's name.
        slug: of the variant.
    """
    path = images.targets_of(Path(name))[0]
    return f"{path.stem}-{slug}{path.suffix}"


def command(
    names: Sequence[str],
    variants: Sequence[Variant],
    computing: Mapping[str, Any] = _USUAL,
    outputs: Mapping[str, str] = _USUAL,
) -> str:
    """The command lines that write the same files, one for each variant.

    Args:
        names: names of the pictures in the folder where the command runs; mask and kernel lie there, too.
        variants: the variants of each picture.
        computing: device, backend and precision of the page; see `Restorers.options_used`.
        outputs: `Upload.output` of each picture, if it may differ from the name.
    """
    return "\n".join(_command(names, variant, computing, outputs) for variant in variants)


def _command(names: Sequence[str], variant: Variant, computing: Mapping[str, Any], outputs: Mapping[str, str]) -> str:
    recipe = _recipe(variant, computing)
    single = len(names) == 1 or _several(recipe)
    target = target_name(outputs.get(names[0], names[0]), variant.slug)
    return recipe.to_command(tuple(names), target if single else variant.slug)


def python(
    names: Sequence[str],
    variants: Sequence[Variant],
    computing: Mapping[str, Any] = _USUAL,
    outputs: Mapping[str, str] = _USUAL,
) -> str:
    """The program that writes the same files; see `command`."""
    lines = ["from pathlib import Path", "", "from pellucid import Recipe, images"]
    for variant in variants:
        lines += ["", *_python(names, variant, computing, outputs)]
    return "\n".join(lines) + "\n"


def _python(
    names: Sequence[str], variant: Variant, computing: Mapping[str, Any], outputs: Mapping[str, str]
) -> list[str]:
    recipe = _recipe(variant, computing)
    lines = [f"restorer = {recipe.to_python()}.restorer()"]
    if _several(recipe):
        read = ", ".join(f"images.read(Path({name!r}))" for name in names)
        target = target_name(outputs.get(names[0], names[0]), variant.slug)
        return [
            *lines,
            f"restored, _ = restorer.exposures([{read}])",
            f"images.write(restored, Path({target!r}))",
        ]
    targets = {name: target_name(outputs.get(name, name), variant.slug) for name in names}
    return [
        *lines,
        f"for name, target in {targets!r}.items():",
        "    picture = images.read(Path(name))",
        "    restored, _ = restorer.picture(picture)",
        "    source = Path(name) if restored.has_coding_of(picture) else None",
        "    images.write(restored, Path(target), source=source)",
    ]


def _recipe(variant: Variant, computing: Mapping[str, Any]) -> Recipe:
    """Recipe of a variant; its files have the names that they have beside the pictures."""
    recipe = replace(variant.choices.recipe(), **computing)
    names: dict[str, Any] = {
        kind: Path(file.name) for kind in ("mask", "kernel") if (file := getattr(recipe, kind)) is not None
    }
    return replace(recipe, **names)


def _several(recipe: Recipe) -> bool:
    return recipe.task is not None and tasks.find(recipe.task).several
