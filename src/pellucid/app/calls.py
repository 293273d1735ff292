"""The same restoration as a command and as Python, with identical bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import images
from ..catalogue import tasks
from ..restoration import Recipe
from .choices import Variant

MASK = "mask.png"
"""Name of the painted mask as a download."""


def target_name(name: str, slug: str) -> str:
    """Name of a restored file: photo-restored.jpg, in PNG where the picture's format cannot be written.

    Args:
        name: see `Upload.output`, or the picture's name.
        slug: of the variant.
    """
    path = images.targets_of(Path(name))[0]
    return f"{path.stem}-{slug}{path.suffix}"


@dataclass(frozen=True)
class Call:
    """A restoration of pictures in a folder, in which mask and kernel lie, too.

    Attributes:
        names: names of the pictures.
        variants: the variants of each picture.
        computing: device, backend and precision of the page; see `Restorers.options_used`.
        outputs: `Upload.output` of each picture, if it may differ from the name.
    """

    names: Sequence[str]
    variants: Sequence[Variant]
    computing: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> str:
        """The command lines that write the same files, one for each variant."""
        return "\n".join(map(self._command, self.variants))

    def python(self) -> str:
        """The program that writes the same files."""
        lines = ["from pathlib import Path", "", "from pellucid import Recipe, images"]
        for variant in self.variants:
            lines += ["", *self._python(variant)]
        return "\n".join(lines) + "\n"

    def _command(self, variant: Variant) -> str:
        recipe = self._recipe(variant)
        single = len(self.names) == 1 or _several(recipe)
        return recipe.to_command(tuple(self.names), self._target(self.names[0], variant) if single else variant.slug)

    def _python(self, variant: Variant) -> list[str]:
        recipe = self._recipe(variant)
        lines = [f"restorer = {recipe.to_python()}.restorer()"]
        if _several(recipe):
            read = ", ".join(f"images.read(Path({name!r}))" for name in self.names)
            return [
                *lines,
                f"restored, _ = restorer.exposures([{read}])",
                f"images.write(restored, Path({self._target(self.names[0], variant)!r}))",
            ]
        targets = {name: self._target(name, variant) for name in self.names}
        return [
            *lines,
            f"for name, target in {targets!r}.items():",
            "    picture = images.read(Path(name))",
            "    restored, _ = restorer.picture(picture)",
            "    source = Path(name) if restored.has_coding_of(picture) else None",
            "    images.write(restored, Path(target), source=source)",
        ]

    def _target(self, name: str, variant: Variant) -> str:
        return target_name(self.outputs.get(name, name), variant.slug)

    def _recipe(self, variant: Variant) -> Recipe:
        """Recipe of a variant; its files have the names that they have beside the pictures."""
        recipe = replace(variant.choices.recipe(), **self.computing)
        names: dict[str, Any] = {
            kind: Path(file.name) for kind in ("mask", "kernel") if (file := getattr(recipe, kind)) is not None
        }
        return replace(recipe, **names)


def _several(recipe: Recipe) -> bool:
    return recipe.task is not None and tasks.find(recipe.task).several
