"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import signal
import sys
from typing import Annotated

import typer

from ..errors import PellucidError, UsageError
from . import app as web
from . import bench, compare, degrade, demo, listing, restore, train
from .config import Configured
from .output import FAILED, INTERRUPTED, USAGE, complain

app = typer.Typer(
    name="pellucid",
    help="Restores damaged images with a diffusion model, without training for the damage.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("restore", cls=Configured)(restore.restore)
app.command("demo")(demo.demo)
app.command("degrade")(degrade.degrade)
app.command("compare")(compare.compare)
app.command("train")(train.train)
app.add_typer(bench.app, name="bench")
app.command("methods")(listing.methods)
app.command("tasks")(listing.tasks)
app.command("degradations")(listing.degradations)
app.add_typer(listing.priors_app, name="priors")
app.command("app")(web.app)
app.command("doctor")(listing.doctor)

# typer raises its own copy of click's errors, or click's, depending on its release.
_BadCall = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of("pellucid"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Runs a command; ends the process with 0, 1 (some images failed), 2 (usage) or 130 (interrupted)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be text, or not of the terminal's: a line about it must not end a night's work.
        sys.stdout.reconfigure(errors="backslashreplace")
    # How a queue's limit or a service's end is said: it is to leave everything in order, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        complain(str(error))
        code = USAGE
    except PellucidError as error:
        complain(str(error))
        code = FAILED
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        if not isinstance(error, _BadCall):
            raise
        complain(f"{error.format_message()} (see pellucid --help)")  # type: ignore[attr-defined]
        code = USAGE
    if code == INTERRUPTED:
        complain("interrupted")
    sys.exit(code or 0)
