"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import inspect
import re
import signal
import sys
import threading
from functools import cache
from typing import Annotated, Any

import typer

from .. import apart
from ..errors import PellucidError, UsageError
from . import app as web
from . import bench, compare, degrade, demo, diagnose, listing, restore, train
from .config import Configured
from .guesses import Commands, dashed
from .output import FAILED, INTERRUPTED, USAGE, complain, lasting
from .panels import EXAMPLES, OVERVIEW

__all__ = ["app", "main", "program"]

app = typer.Typer(
    name="pellucid",
    cls=Commands,
    help="Restores damaged images with a diffusion model, without training for the damage.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_RESTORE, _LIST, _RESEARCH = "Restore", "Look up", "Research"
app.command("restore", cls=Configured, epilog=EXAMPLES, rich_help_panel=_RESTORE)(restore.restore)
app.command("diagnose", rich_help_panel=_RESTORE)(diagnose.diagnose)
app.command("app", rich_help_panel=_RESTORE)(web.app)
app.command("demo", rich_help_panel=_RESTORE)(demo.demo)
app.command("doctor", rich_help_panel=_RESTORE)(listing.doctor)
app.command("tasks", rich_help_panel=_LIST)(listing.tasks)
app.command("methods", rich_help_panel=_LIST)(listing.methods)
app.add_typer(listing.priors_app, name="priors", rich_help_panel=_LIST)
app.command("degradations", rich_help_panel=_LIST)(listing.degradations)
app.command("degrade", rich_help_panel=_RESEARCH)(degrade.degrade)
app.command("compare", rich_help_panel=_RESEARCH)(compare.compare)
app.add_typer(bench.app, name="bench", rich_help_panel=_RESEARCH)
app.command("train", rich_help_panel=_RESEARCH)(train.train)

# typer raises its own copy of click's errors, or click's, depending on its release.
_BadCall = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from ..release import VERSION

        typer.echo(VERSION)
    elif context.invoked_subcommand is None:
        typer.echo(OVERVIEW)


@cache
def _command() -> Any:
    # Made once: it reads the signatures of all commands.
    made = typer.main.get_command(app)
    _unwrap(made)
    return made


def _unwrap(command: Any) -> None:
    """Joins the lines of each paragraph of a command's help; typer wraps them anew, but only joins the first one's."""
    command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or ""))
    for one in getattr(command, "commands", {}).values():
        _unwrap(one)


def main() -> None:
    """Runs a command; ends the process with 0, 1 (some images failed), 2 (usage) or 130 (interrupted)."""
    sys.exit(_main())


def program() -> None:
    """Runs `main` as the whole process; further signals during the end of an interrupted one are ignored."""
    sys.exit(_main(last=True))


def _main(last: bool = False) -> int:
    with lasting() as lost:
        code = _run(last)
        if line := lost():
            complain(line)
            code = code or FAILED
    return code


# How a queue's limit, a service's end and a lost terminal are said: all leave everything in order, as Ctrl-C does.
_ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _stop(number: int, frame: Any) -> None:
    """Interrupts the work; further signals during the shutdown are ignored."""
    for one in _ENDS:
        # Not SIG_IGN: Python complains of a signal that arrived at the same time and is then ignored.
        signal.signal(one, _ignore)
    raise KeyboardInterrupt


def _ignore(number: int, frame: Any) -> None:
    """Does nothing."""


def _run(last: bool) -> int:
    """Runs a command; returns the exit code.

    Args:
        last: whether the process ends with it.
    """
    handlers = {}
    # Another thread is not told of signals, and may not ask for them.
    if threading.current_thread() is threading.main_thread():
        handlers = {one: signal.getsignal(one) for one in _ENDS}
        for one, handler in handlers.items():
            # Under nohup a lost terminal means nothing.
            if handler is not signal.SIG_IGN or one == signal.SIGTERM:
                signal.signal(one, _stop)
    code = _code()
    for one, handler in handlers.items():
        signal.signal(one, signal.SIG_IGN if last and code == INTERRUPTED else handler)
    return code


def _code() -> int:
    try:
        # No command decodes a file of somebody's in its own process.
        with apart.inside():
            code = _command()(standalone_mode=False)
    except UsageError as error:
        complain(str(error))
        code = USAGE
    except PellucidError as error:
        complain(str(error))
        code = FAILED
    except (typer.Abort, KeyboardInterrupt):
        complain("interrupted")
        code = INTERRUPTED
    except OSError as error:
        complain(": ".join(filter(None, (str(error.filename or ""), error.strerror or str(error)))))
        code = FAILED
    except Exception as error:
        if not isinstance(error, _BadCall):
            raise
        # typer ends some of its messages with a full stop.
        message = error.format_message().removesuffix(".")  # type: ignore[attr-defined]
        hint = dashed(sys.argv[1:]) if getattr(error, "option_name", None) else None
        words = _words(getattr(error, "ctx", None))
        complain(f"{message} ({hint or f'see {words} --help'})")
        code = USAGE
    return code or 0


def _words(context: Any) -> str:
    """Words that name a command, however the program was started."""
    words = []
    while context is not None and context.parent is not None:
        words.append(context.info_name)
        context = context.parent
    return " ".join(["pellucid", *reversed(words)])
