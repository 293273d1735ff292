"""The processes for untrusted work, from the side of the caller."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, cast

from ..errors import PellucidError, UsageError
from .answers import answer, send
from .bounds import Bounds, free_memory

_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from pellucid.apart.worker import main; main()"


class Processes:
    """A pool of warm processes, as many as were needed at a time.

    Args:
        bounds: limits of each call.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._room = threading.BoundedSemaphore(bounds.most)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []

    def call(self, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """See `apart.call`."""
        with self._room:
            one = self._take()
            try:
                kind, value = one.ask(self._bounds, function, arguments, named)
            except BaseException:
                # It may be in the midst of an answer that nobody waits for.
                one.end()
                raise
            with self._lock:
                self._idle.append(one)
        if kind == "done":
            return value
        raise (UsageError if kind == "usage" else PellucidError)(str(value))

    def warm(self) -> None:
        """Starts a process if none is waiting."""
        one = self._take()
        with self._lock:
            self._idle.append(one)

    def _take(self) -> _Process:
        with self._lock:
            while self._idle:
                one = self._idle.pop()
                if one.alive:
                    return one
                one.end()
        return _Process()

    def close(self) -> None:
        """Ends the waiting processes."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()


class _Process:
    def __init__(self) -> None:
        # Few threads begin sooner, and take less memory: those of linear algebra have nothing to do here.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # Not by a module's name, which runpy would look for along a path of its own.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._to = cast(IO[bytes], self._process.stdin)
        self._from = cast(IO[bytes], self._process.stdout)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(
        self, bounds: Bounds, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[str, Any]:
        """Asks the process and returns its answer.

        Raises:
            PellucidError: the process took too long, ended, or sent an invalid answer.
        """
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        memory = bounds.memory
        free = free_memory()
        if free is not None:
            memory = free if memory is None else min(memory, free)
        timer = threading.Timer(bounds.seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # its answer, which it has not, says so
                send(self._to, (memory, function, tuple(arguments), dict(named)))
            found: tuple[str, Any] = answer(self._from, memory)
            return found
        except (EOFError, OSError):
            if late.is_set():
                line = f"took more than {bounds.seconds:g} s to read and was given up"
                raise PellucidError(line) from None
            raise PellucidError(f"the process that read it {ended(self._process.wait())}") from None
        except MemoryError:
            raise PellucidError("does not fit into memory") from None
        except (pickle.UnpicklingError, ValueError, TypeError, AttributeError, IndexError, ImportError) as error:
            raise PellucidError(f"the process that read it sent an invalid answer ({error})") from None
        finally:
            timer.cancel()

    def end(self) -> None:
        """Ends the process if it still runs."""
        self._process.kill()
        self._process.wait()
        for stream in (self._to, self._from):
            with contextlib.suppress(OSError):
                stream.close()


def ended(code: int | None) -> str:
    """Describes the end of a process by its exit code; the text follows its name in a sentence."""
    if code is None or code >= 0:
        return f"ended by itself (exit code {code})"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was ended by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")


_all: dict[Bounds, Processes] = {}
_others: list[dict[Bounds, Processes]] = []
_lock = threading.Lock()


def of(bounds: Bounds) -> Processes:
    """Returns the pool for calls with these limits; its processes stay warm as long as this process lives."""
    with _lock:
        return _all.setdefault(bounds, Processes(bounds))


@atexit.register
def _close() -> None:
    for processes in list(_all.values()):
        processes.close()


def _forked() -> None:
    """Gives a fork of this process a pool of its own: two processes must not write to one pipe."""
    global _all, _lock
    _others.append(_all)  # kept, since they are not this one's to end
    _all, _lock = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
