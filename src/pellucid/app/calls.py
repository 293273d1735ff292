"""The same restoration as a command and as Python, to the bit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import images, tasks
from .choices import Choices, Variant

MASK = "mask.png"
"""What the painted mask is called where it is downloaded."""

_USUAL: Mapping[str, str] = {}


def target_name(name: str, slug: str) -> str:
    """What a restored file is called: photo-restored.jpg, in PNG where the picture's format cannot be written."""
    path = images.target_of(Path(name))
    return f"{path.stem}-{slug}{path.suffix}"


def command(names: Sequence[str], variants: Sequence[Variant], computing: Mapping[str, str] = _USUAL) -> str:
    """The command lines that write the same files, one for each variant.

    Args:
        names: of the pictures, as they lie in the folder where the command is run; mask and kernel lie there, too.
        variants: what is made of each.
        computing: where and how the page computes; see `Restorers.said`.
    """
    return "\n".join(_command(names, variant, computing) for variant in variants)


def _command(names: Sequence[str], variant: Variant, computing: Mapping[str, str]) -> str:
    choices = variant.choices
    single = len(names) == 1 or _several(choices)
    words = ["pellucid", "restore", *map(_safe, names), "-o"]
    words.append(_safe(target_name(names[0], variant.slug)) if single else variant.slug)
    if choices.task is not None:
        words += ["--task", choices.task]
    for option, name in _files(choices).items():
        words += [f"--{option}", _safe(name)]
    if choices.method is not None:
        words += ["--method", choices.method]
    if choices.prior != "natural":
        words += ["--prior", choices.prior]
    for key, value in choices.values().items():
        words += [f"--{key}", value] if key in ("strength", "fidelity") else ["--set", f"{key}={value}"]
    for option, number in (("noise", choices.noise), ("seed", choices.seed or None), ("tile", choices.tile)):
        if number is not None:
            words += [f"--{option}", str(number)]
    if choices.exact:
        words.append("--exact")
    for option, said in computing.items():
        words += [f"--{option}", said]
    return shlex.join(words)


def python(names: Sequence[str], variants: Sequence[Variant], computing: Mapping[str, str] = _USUAL) -> str:
    """The program that writes the same files; see `command`."""
    lines = ["from pathlib import Path", "", "from pellucid import images, tasks", "from pellucid.api import Restorer"]
    if not any(variant.choices.task for variant in variants):
        lines[2] = "from pellucid import images"
    for variant in variants:
        lines += ["", *_python(names, variant, computing)]
    return "\n".join(lines) + "\n"


def _python(names: Sequence[str], variant: Variant, computing: Mapping[str, str]) -> list[str]:
    choices = variant.choices
    choice = choices.choice()
    arguments = [repr(choice.method), repr(choices.prior)]
    if choice.operator is not None:
        files = "".join(f", {kind}=Path({name!r})" for kind, name in _files(choices).items())
        arguments.append(f"operator=tasks.operator({choices.task!r}{files})")
    said = {"noise": choice.noise, "tile": choices.tile, "exact": choices.exact or None, **computing}
    arguments += [f"{key}={value!r}" for key, value in (*said.items(), *choice.hyper_parameters.items())
                  if value is not None]  # fmt: skip
    lines = [f"restorer = Restorer({', '.join(arguments)})"]
    if _several(choices):
        read = ", ".join(f"images.read(Path({name!r}))" for name in names)
        target = target_name(names[0], variant.slug)
        return [
            *lines,
            f"restored, _ = restorer.exposures([{read}], seed={choices.seed})",
            f"images.write(restored, Path({target!r}))",
        ]
    targets = {name: target_name(name, variant.slug) for name in names}
    return [
        *lines,
        f"for name, target in {targets!r}.items():",
        f"    restored, _ = restorer.picture(images.read(Path(name)), seed={choices.seed})",
        "    images.write(restored, Path(target))",
    ]


def _several(choices: Choices) -> bool:
    return choices.task is not None and tasks.find(choices.task).several


def _files(choices: Choices) -> dict[str, str]:
    """The file that the task needs, under the name that it has beside the pictures."""
    needs = tasks.find(choices.task).needs if choices.task else None
    file = {"mask": choices.mask, "kernel": choices.kernel}.get(needs or "")
    return {} if needs is None or file is None else {needs: file.name}


def _safe(name: str) -> str:
    """A name that no program takes for an option."""
    return f"./{name}" if name.startswith("-") else name
