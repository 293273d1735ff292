"""What every command prints: results to stdout, everything else to stderr, one line an event."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes beside 0: some images failed; the call is wrong; stopped by the user or the time limit."""


def complain(line: str) -> None:
    """Prints one line about something that went wrong."""
    typer.echo("pellucid: " + " ".join(line.split()), err=True)


def tell(line: str) -> None:
    """Prints one line about what happens, for people."""
    typer.echo(line, err=True)


def as_json(record: Any) -> None:
    """Prints a result for programs, on one line; paths and the like as texts."""
    typer.echo(json.dumps(record, ensure_ascii=False, default=str))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows, the first one their headings, in aligned columns; the last column is as wide as it needs to be."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        typer.echo("  ".join([*cells, row[-1]]).rstrip())


def bar() -> Progress:
    """A progress bar with the time left on stderr; it shows nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        # Results go above the bar on a terminal, but stay on stdout where a program reads them.
        redirect_stdout=sys.stdout.isatty(),
    )
