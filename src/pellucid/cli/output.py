"""Output of all commands: results to stdout, everything else to stderr, one line an event."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..jobs import Left

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes beside 0: some images failed; the call is wrong; stopped by the user or the time limit."""


class _Lasting(io.RawIOBase):
    """Bytes to a stream that may be full or closed: bytes that it does not accept are lost.

    Attributes:
        problem: reason for the first loss; None without a loss.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.problem: OSError | None = None

    def writable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def write(self, data: Any) -> int:
        """Accepts all bytes, whatever the stream does."""
        if self.problem is None:
            try:
                self._stream.write(data)
                self._stream.flush()
            except OSError as error:
                self.problem = error
        return len(data)

    def isatty(self) -> bool:
        """True if the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """File descriptor of the stream."""
        return self._stream.fileno()


@contextlib.contextmanager
def lasting() -> Iterator[Callable[[], str]]:
    """Makes stdout and stderr streams that never stop the work: a closed, full or unread stream takes nothing more.

    Yields:
        A function that describes lost results; "" without a loss.
    """
    before = sys.stdout, sys.stderr
    for number in range(3):
        # One that is closed leaves its number to the next file that is opened, which a library might print to.
        with contextlib.suppress(OSError):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
    streams: dict[str, _Lasting] = {}
    with contextlib.ExitStack() as made:
        for name, stream in zip(("stdout", "stderr"), before, strict=True):
            if stream is None:
                setattr(sys, name, made.enter_context(open(os.devnull, "w", encoding="utf-8")))  # noqa: PTH123
            elif isinstance(stream, io.TextIOWrapper):
                with contextlib.suppress(OSError):
                    stream.flush()
                lasts = streams[name] = _Lasting(stream.buffer)
                # A file's name need not be text, or not of the terminal's: a line about it must not end a night's work.
                text = io.TextIOWrapper(
                    cast(BinaryIO, lasts),
                    encoding=stream.encoding,
                    errors="backslashreplace",
                    write_through=True,
                )
                setattr(sys, name, text)

        def lost() -> str:
            problem = streams["stdout"].problem if "stdout" in streams else None
            return "" if problem is None else f"stdout: cannot be written ({problem.strerror}): results are lost"

        try:
            yield lost
        finally:
            for name, stream in zip(("stdout", "stderr"), before, strict=True):
                if name in streams and streams[name].problem is not None:
                    _forget(stream)
            sys.stdout, sys.stderr = before


def _forget(stream: Any) -> None:
    """Redirects a stream so that its buffered bytes cause no error at the end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def complain(line: str) -> None:
    """Prints one line about an error."""
    typer.echo("pellucid: " + plain(" ".join(line.split())), err=True)


def tell(line: str) -> None:
    """Prints one line of information for people."""
    typer.echo(plain(line), err=True)


def plain(line: str) -> str:
    """Escapes characters of a line that would control a terminal or end the line, as names of files may have."""
    return "".join(letter if letter.isprintable() or letter == "\t" else _sign(letter) for letter in line)


def _sign(letter: str) -> str:
    # What is no text comes from names in no known encoding; the stream writes it.
    return letter if 0xD800 <= ord(letter) < 0xE000 else letter.encode("unicode_escape").decode()


def left_out(left: Sequence[Left], json: bool) -> int:
    """Prints the ignored files and those that cannot be begun; returns the number of the latter."""
    from ..jobs import described

    for line in described(left):
        tell(line)
    for one in left:
        line = f"{one.path}: {one.why}"
        if one.failed:
            complain(line)
        if json:
            as_json({"input": str(one.path), "output": None, "error" if one.failed else "left_out": one.why})
    return sum(one.failed for one in left)


def counts(failed: int, left: Sequence[Left]) -> str:
    """Counts failed, impossible and ignored files for the end of a summary; "" without any."""
    unread = sum(one.failed for one in left)
    kinds = {"failed": failed, "not begun": unread, "not taken": len(left) - unread}
    return "".join(f", {number} {kind}" for kind, number in kinds.items() if number)


def as_json(record: Any) -> None:
    """Prints a result for programs on one line; paths and the like become texts."""
    # In ASCII: what a stream in another encoding would make of other letters is no JSON.
    typer.echo(json.dumps(record, default=str))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows, the first one their headings, in aligned columns; the last column has the width it needs."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        typer.echo("  ".join([*cells, row[-1]]).rstrip())


class Hidden:
    """Progress that nobody sees: a stand-in for rich's, which takes a fifteenth of a second to import."""

    def __enter__(self) -> Hidden:
        return self

    def __exit__(self, *error: object) -> None:
        """Does nothing."""

    def add_task(self, description: str, total: float | None = None) -> TaskID:
        """Gives any number for a task."""
        return cast("TaskID", 0)

    def update(self, task: TaskID, *, completed: float | None = None, description: str | None = None) -> None:
        """Does nothing."""

    def advance(self, task: TaskID, advance: float = 1) -> None:
        """Does nothing."""


def bar() -> Progress | Hidden:
    """Shows a progress bar with the remaining time on stderr; shows nothing if stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return Hidden()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    shown = sys.stdout is not None and sys.stdout.isatty()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        # Results go above the bar on a terminal, but stay on stdout where a program reads them.
        redirect_stdout=shown,
    )
