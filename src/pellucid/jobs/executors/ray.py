"""Processes of a Ray cluster on all of its machines.

Ray does each task at least once: the tasks of a lost machine run again elsewhere. Each image is restored to the same
bytes, takes its name atomically, and only one process writes the manifest. Together this gives each output exactly
once.

References:
    Ray's documentation of fault tolerance. https://docs.ray.io/en/latest/ray-core/fault_tolerance/actors.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...errors import PellucidError, UsageError
from ...priors.prior import device_of
from ..plan import Item
from ..run import Outcome, Outcomes, Progress
from ..work import Work
from .executor import Groups, clear

_ATTEMPTS = 3
"""Number of restarts of an image whose process or machine was lost."""


@dataclass(frozen=True)
class Ray:
    """See `Executor`. Each actor holds the prior once and has one thread or one GPU.

    All machines see the same files under the same names, and have the same version of pellucid.

    Args:
        address: address of the cluster for `ray.init`. None uses the environment variable RAY_ADDRESS; without it, a
            cluster on this machine alone runs as long as the job.
        workers: number of actors; None for one for each core of the cluster, or for each GPU if the prior is on one.

    Raises:
        UsageError: workers is out of range, or Ray is not installed.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"workers are 1 or more, not {self.workers}")
        _ray()

    def __call__(self, work: Work, items: Iterable[Item], progress: Progress | None = None) -> Outcomes:
        """See `Executor`; it reports no progress within an image.

        Raises:
            PellucidError: there is no cluster at the address.
        """
        ray = _ray()
        groups = Groups(items, work.batch)
        with _cluster(ray, self.address):
            kind = "GPU" if device_of(work.restorer.prior).type == "cuda" else "CPU"
            number = self.workers or max(1, int(ray.cluster_resources().get(kind, 1)))
            # An actor needs a core to be placed and none to stay, so that those of a lost machine find a place.
            options = {"num_gpus": 1} if kind == "GPU" else {}
            actor = ray.remote(_Actor).options(
                max_restarts=-1, max_task_retries=_ATTEMPTS, scheduling_strategy="SPREAD", **options
            )
            # In a list, so that an actor fetches it once and not for each image.
            shared = [ray.put(work)]
            idle: list[Any] = []
            busy: dict[Any, tuple[Any, list[Item]]] = {}
            made = []
            try:
                while True:
                    while len(busy) < number and (group := groups.next()):
                        if not idle:
                            idle.append(actor.remote(str(Path.cwd())))
                            made.append(idle[-1])
                        one = idle.pop()
                        busy[one.outcomes.remote(shared, group)] = one, group
                    if not busy:
                        return
                    (finished,), _ = ray.wait(list(busy), num_returns=1)
                    one, group = busy.pop(finished)
                    idle.append(one)
                    try:
                        yield from ray.get(finished)
                    except ray.exceptions.RayActorError as error:
                        if error.actor_init_failed:
                            raise PellucidError(f"a machine of the cluster lacks something: {_last(error)}") from None
                        yield from groups.lost(group, f"its process was lost {1 + _ATTEMPTS} times", work.seed)
                    except ray.exceptions.RayError as error:
                        raise PellucidError(f"Ray cannot go on: {_last(error)}") from None
            finally:
                for one in made:
                    ray.kill(one)
                for _, group in busy.values():
                    clear(group)


def _last(error: Exception) -> str:
    """Returns the last line of a traceback from another machine."""
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]


class _Actor:
    """One process of the cluster."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)
        torch.set_num_threads(1)
        self._work: Work | None = None

    def outcomes(self, work: list[Any], items: list[Item]) -> list[Outcome]:
        self._work = self._work or _ray().get(work[0])
        return list(self._work.outcomes(items))


@contextmanager
def _cluster(ray: Any, address: str | None) -> Iterator[None]:
    """Connects to a cluster; an existing connection stays."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise PellucidError(f"there is no Ray cluster at {address or 'RAY_ADDRESS'}: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> Any:
    # Ray tells its makers about its use where nobody says that it must not; restoring images uses no network.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError('Ray is not installed: pip install "pellucid[ray]"') from None
    return ray
