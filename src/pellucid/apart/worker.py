"""Loop of a separate process: answers questions from a pipe until there are no more."""

from __future__ import annotations

import contextlib
import os
import signal

from ..errors import PellucidError, UsageError
from .answers import question, send
from .bounds import data


def main() -> None:
    """Answers questions: limit of memory, function, arguments; each answer is a kind and a value."""
    # Ctrl-C reaches all processes of a terminal; this one ends with the one that began it, whose end closes the pipe.
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints, or reads, is no part of what is said here.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        # Should memory run out for all, this process is the one to end.
        score.write("1000")
    from .. import images  # noqa: F401  # while nobody waits

    begun = data()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            memory, function, arguments, named = question(source)
            if begun and memory is not None:
                _limit(begun[0] + memory)
            try:
                said = "done", function(*arguments, **named)
            except UsageError as error:
                said = "usage", str(error)
            except PellucidError as error:
                said = "error", str(error)
            except MemoryError:
                said = "error", "does not fit into memory"
            except Exception as error:
                first = (str(error) or type(error).__name__).splitlines()[0]
                said = "error", f"failed unexpectedly ({type(error).__name__}: {first})"
            del function, arguments, named
            send(target, said)
            del said


def _limit(memory: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
