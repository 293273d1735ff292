"""Wrong guesses at commands, options and tasks, and the right spelling of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from ..catalogue.words import MEANT
from ..errors import UsageError

_RESTORE = "pellucid restore IN -o OUT"

_NEEDS = {"enlarge": " --by 2", "inpaint": " --mask MASK.png", "deblur": " --kernel KERNEL.png"}

_COMMANDS = {
    **dict.fromkeys(("fix", "repair", "mend", "run", "process", "enhance", "auto"), _RESTORE),
    **dict.fromkeys(("gui", "web", "serve", "ui", "page", "browser"), "pellucid app"),
    **dict.fromkeys(("detect", "analyse", "analyze", "inspect", "info", "check"), "pellucid diagnose IN"),
    **dict.fromkeys(("damage", "simulate", "corrupt"), "pellucid degrade IN -o OUT --damage NAME"),
    **dict.fromkeys(("evaluate", "measure", "psnr", "metrics"), "pellucid compare RESTORED CLEAN"),
    **dict.fromkeys(("list", "models"), "pellucid methods, or pellucid priors"),
    "test": "pellucid doctor",
}

_OPTIONS = {
    **dict.fromkeys(("out", "outdir", "out-dir", "output-dir", "dest", "to"), "-o OUT"),
    **dict.fromkeys(("force", "replace"), "--overwrite"),
    **dict.fromkeys(("gpu", "cuda"), "--device cuda"),
    "cpu": "--device cpu",
    **dict.fromkeys(("recursive", "recurse"), "the folder's name alone: subfolders are included"),
    **dict.fromkeys(
        ("model", "checkpoint", "weights", "network"), "--prior for the network, --method for the algorithm"
    ),
    **dict.fromkeys(("threads", "jobs", "parallel"), "--workers N"),
    **dict.fromkeys(("in", "input"), "the file's name alone"),
    **dict.fromkeys(("half", "fp16"), "--precision float16, or bfloat16"),
    "continue": "--resume",
    "quality": "--fidelity F, 0 to 1, or --preset fast",
    "sigma": "--noise S, in [0, 1] units",
}


def task(name: str) -> str | None:
    """Finds the task meant by a wrong name, with the options that it needs, "enlarge --by 2"; None if none is near."""
    meant = MEANT.get(name.lower().replace("_", "-"))
    return None if meant is None else meant + _NEEDS.get(meant, "")


def command(name: str, commands: Sequence[str]) -> UsageError:
    """Makes the error for an unknown command, with the nearest one."""
    from ..catalogue import tasks
    from ..restoration.spelling import word

    low = name.lower().replace("_", "-")
    if low in _COMMANDS:
        hint = f"say {_COMMANDS[low]}"
    elif low in tasks.names():
        hint = f"say {_RESTORE} --task {low}{_NEEDS.get(low, '')}"
    elif meant := task(low):
        hint = f"say {_RESTORE} --task {meant}"
    elif Path(name).suffix and Path(name).exists():
        hint = f"to restore a file, say pellucid restore {word(name)} -o OUT"
    elif near := get_close_matches(low, commands, n=1, cutoff=0.5):
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"there is {', '.join(sorted(commands))}"
    return UsageError(f"unknown command {name!r}: {hint} (see pellucid --help)")


def option(flag: str, arguments: Sequence[str]) -> UsageError | None:
    """Makes the error for an unknown option of `restore`, with the nearest one; None if none is near.

    Args:
        flag: the option, with its dashes.
        arguments: the whole command line; a number may follow the option.
    """
    from ..catalogue import tasks

    name = flag.lstrip("-").partition("=")[0].lower()
    words = [word for one in arguments for word in one.partition("=")[::2]]
    after = words[words.index(flag.partition("=")[0]) + 1 :] if flag.partition("=")[0] in words else []
    value = next((word for word in after if word), "")
    meant = name if name in tasks.names() else task(name)
    if meant is not None and meant.startswith("enlarge"):
        right = f"--task enlarge --by {value if value in map(str, tasks.FACTORS) else 2}"
    elif meant is not None:
        right = f"--task {meant}{_NEEDS.get(meant, '')}"
    elif name in _OPTIONS:
        right = _OPTIONS[name]
    else:
        return None
    return UsageError(f"{flag}: there is no such option; say {right}")


def dashed(arguments: Sequence[str]) -> str | None:
    """Finds a file whose name was taken for options, and says how to name it; None without one."""
    from ..restoration.spelling import word

    file = next((one for one in arguments if one.startswith("-") and os.path.lexists(one)), None)
    return None if file is None else f"for the file, say {word(file)}"


def second_as_output(inputs: Sequence[Path]) -> UsageError | None:
    """Makes the error for `restore a.png b.png`, where b.png is meant as the output; None for other inputs."""
    if len(inputs) != 2 or not inputs[0].exists() or inputs[1].exists():
        return None
    from ..restoration.spelling import word

    said = word(str(inputs[1]))
    return UsageError(f"{inputs[1]}: there is no such file; to write the restored picture there, say -o {said}")


class Commands(TyperGroup):
    """The group of all commands; the error for a wrong name has the right one."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command; an interruption is reported whatever the release of typer makes of it.

        Raises:
            typer.Abort: it was interrupted.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Newer releases end with the code 130, and without a word.
            raise typer.Abort from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds a command.

        Raises:
            UsageError: unknown name.
        """
        if (
            args
            and not args[0].startswith("-")
            and self.get_command(ctx, args[0]) is None
            and not ctx.resilient_parsing
        ):
            raise command(args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)
