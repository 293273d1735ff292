"""Executors of a job: in this process, in several, on several machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from ...errors import PellucidError, UsageError, unknown_name
from ...support.settings import imported, names_object
from ..plan import Item
from ..run import Outcome, Outcomes, Progress
from ..work import Work
from .executor import Executor
from .processes import Processes
from .this import InProcess

__all__ = ["Executor", "InProcess", "Processes", "find", "names", "usual"]

_NAMES = ("this", "processes", "ray")

_LARGE = 100_000_000
"""Pixels through the network from which several processes gain more than their start costs."""


def names() -> tuple[str, ...]:
    """Names of all executors."""
    return _NAMES


def usual(work: int, number: int, device: torch.device) -> str:
    """Default executor for a job.

    On a CPU, one process for each core is faster than one process with all cores (`benchmarks/throughput.py`), apart
    from the start of the processes. A GPU has one process.

    Args:
        work: pixels through the network, of all images; see `Restorer.work`.
        number: of images.
        device: device of the prior.
    """
    several = device.type == "cpu" and torch.get_num_threads() > 1 and number > 1 and work >= _LARGE
    return "processes" if several else "this"


def find(name: str, workers: int | None = None, address: str | None = None) -> Executor:
    """Finds an executor by name.

    Args:
        name: one of `names()`; or FILE.py:OBJECT, an `Executor` or a class of executors, which receives `workers` and
            `address` if given.
        workers: number of processes; None for one for each core.
        address: of a Ray cluster.

    Raises:
        UsageError: unknown name, or a setting that the executor does not take.
    """
    if ".py:" in name and names_object(name):
        return _own(name, {key: value for key, value in (("workers", workers), ("address", address)) if value})
    if address is not None and name != "ray":
        raise UsageError("--address names a Ray cluster: it goes with --executor ray")
    if name == "processes":
        return Processes(torch.get_num_threads() if workers is None else workers)
    if name == "ray":
        from .ray import Ray

        return Ray(address, workers)
    if name != "this":
        raise unknown_name("executor", name, _NAMES)
    if workers is not None:
        raise UsageError("--workers goes with --executor processes or ray: this process is one")
    return InProcess()


def _own(name: str, options: dict[str, Any]) -> Executor:
    """Makes a custom executor from a file."""
    found = imported(name)
    try:
        made = found(**options) if isinstance(found, type) else found
    except TypeError as error:
        raise UsageError(f"{name}: does not accept its options ({error})") from error
    if not callable(made):
        raise UsageError(f"{name}: is no executor: something to call with a Work and its items")
    if options and not isinstance(found, type):
        raise UsageError(f"{name}: is made already: leave --{min(options)} out")
    return _guarded(name, made)


def _guarded(name: str, executor: Executor) -> Executor:
    """An executor of whose faults each is one line, and which loses no image in silence."""

    def run(work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        left, begun = iter(items), dict[Path, Item]()

        def requested() -> Iterator[Item]:
            for item in left:
                begun[item.target] = item
                yield item

        try:
            for outcome in executor(work, requested(), progress):
                begun.pop(outcome.item.target, None)
                yield outcome
        except PellucidError:
            raise
        except Exception as error:
            raise PellucidError(f"{name}: failed unexpectedly ({type(error).__name__}: {error})") from error
        for item in (*begun.values(), *left):
            why = f"{item.source}: {name} returned no outcome of it"
            yield Outcome(item, item.seed(work.seed), 0, 0.0, None, why, lost=True)

    return run
