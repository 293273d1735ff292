"""Images in work at once: while the network computes for one, others are read, diagnosed and written.

Each image has a thread. One at a time calls the network, and the earliest in order goes first, so that the others do
the rest of their work meanwhile. Images do not share calls: each has the same bytes as by itself.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from ..priors import Prior
from ..priors.prior import Evaluation, Wrapper

T = TypeVar("T")
R = TypeVar("R")

ROOM = 1 << 22
"""Pixels of images in work from which no other is begun."""

_MOST = 4
"""Largest number of images at once: one computes, one is read, one diagnosed, one written."""


def usual(device: torch.device) -> int:
    """Number of images at once for the cores that the network leaves free.

    On a CPU with a thread for each core it is 1: a second image would only delay the threads of the first.

    Args:
        device: device of the prior.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = cores // torch.get_num_threads() + (device.type != "cpu")
    return max(1, min(_MOST, at_once))


class Lane(Protocol):
    """The work on one image, as the others see it."""

    def has_read(self, pixels: int) -> None:
        """Tells the size of the image; the next one may be read."""
        ...

    def begins_writing(self) -> None:
        """Called before anything is written; ends work that was given up."""
        ...

    def waits_for_others(self) -> bool:
        """Waits until no other image is in work.

        Returns:
            False if it waited before, or no other can be in work.
        """
        ...


_Work: TypeAlias = Callable[[T, Prior, Lane, Callable[[T, float], object]], R]


class Single:
    """See `Lane`; for work on one image after the other."""

    def has_read(self, pixels: int) -> None:
        """Does nothing."""

    def begins_writing(self) -> None:
        """Does nothing."""

    def waits_for_others(self) -> bool:
        """Returns False."""
        return False


def overlapped(
    work: _Work[T, R],
    items: Iterable[T],
    prior: Prior,
    number: int,
    *,
    room: int = ROOM,
    progress: Callable[[T, float], object] | None = None,
    stops: Callable[[R], bool] = lambda result: False,
) -> Generator[R, None, None]:
    """Works on several items at once, with one call of the prior at a time.

    Args:
        work: works on one item with a stand-in for the prior, its lane, and a function for its progress.
        items: each is requested right before its start, after the one before was read.
        prior: the prior.
        number: largest number of items at once.
        room: no item is started while those in work have as many pixels.
        progress: called in the caller's thread with an item and what its work told.
        stops: whether a result is the last: the work on other items is given up then, and goes on with the next item.

    Yields:
        The results in order of the items. Ctrl-C gives up all work. Results of items that were written before follow,
        then the interruption.
    """
    source, lanes = iter(items), deque[_Lane[T, R]]()
    desk, order = _Desk(), 0

    def hear(told: tuple[Any, float] | None) -> None:
        if told is not None and progress is not None:
            progress(*told)

    try:
        while True:
            while len(lanes) < number and all(lane.lets_others for lane in lanes):
                if sum(lane.pixels for lane in lanes) >= room or (item := next(source, None)) is None:
                    break
                lanes.append(_Lane(desk, order := order + 1, item))
                lanes[-1].start(work, prior)
            if not lanes:
                return
            if lanes[0].ended:
                while not desk.news.empty():  # what it told before
                    hear(desk.news.get())
                result = lanes.popleft().result()
                if stops(result):
                    _give_up(lanes)
                    lanes = deque(lane for lane in lanes if lane.has_result)
                yield result
                continue
            hear(desk.news.get())
    except KeyboardInterrupt:
        _give_up(lanes)
        while lanes:
            if (lane := lanes.popleft()).has_result:
                yield lane.result()
        raise
    finally:
        _give_up(lanes)


def _give_up(lanes: Iterable[_Lane[T, R]]) -> None:
    """Ends the work on items at their next call or before they write; what is being written is completed."""
    for lane in [lane for lane in lanes if lane.give_up()]:
        lane.join()


class _Desk:
    """State that all lanes share.

    Attributes:
        changed: guards and announces every change.
        waiting: order of the lanes that wait for the prior.
        busy: whether the prior computes.
        lanes: lanes with work, by order.
        news: progress of an item, or None for any other change.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: set[int] = set()
        self.busy = False
        self.lanes: dict[int, _Lane[Any, Any]] = {}
        self.news: SimpleQueue[tuple[Any, float] | None] = SimpleQueue()


class _Lane(Generic[T, R]):
    """See `Lane`.

    Attributes:
        pixels: its size; 0 before it is read and after its end.
    """

    def __init__(self, desk: _Desk, order: int, item: T) -> None:
        self._desk, self._order, self._item = desk, order, item
        self.pixels = 0
        self._read = self._ended = self._given_up = self._aside = self._has_waited = False
        self._result: R | BaseException | None = None

    @property
    def ended(self) -> bool:
        """True after the end of the work."""
        return self._ended

    @property
    def lets_others(self) -> bool:
        """True if another item may be started."""
        return self._ended or (self._read and not self._has_waited)

    @property
    def has_result(self) -> bool:
        """True if the work ended by itself without an exception."""
        return self._ended and not isinstance(self._result, BaseException)

    def start(self, work: _Work[T, R], prior: Prior) -> None:
        """Starts the work in a thread of its own."""
        with self._desk.changed:
            self._desk.lanes[self._order] = self
        self._thread = threading.Thread(target=self._run, args=(work, _Gated(prior, self.turn)), daemon=True)
        self._thread.start()

    def _run(self, work: _Work[T, R], prior: Prior) -> None:
        try:
            self._result = work(self._item, prior, self, self._tell)
        except BaseException as error:  # raised again where the result is asked for
            self._result = error
        with self._desk.changed:
            self._ended, self.pixels = True, 0
            del self._desk.lanes[self._order]
            self._desk.changed.notify_all()
        self._desk.news.put(None)

    def result(self) -> R:
        """Result after the end."""
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result  # type: ignore[return-value]

    def give_up(self) -> bool:
        """Ends the work at the next opportunity.

        Returns:
            False if nothing has to be waited for: a reading that may take forever is followed by nothing.
        """
        with self._desk.changed:
            self._given_up = True
            self._desk.changed.notify_all()
            return self._read

    def join(self) -> None:
        """Waits for the end."""
        self._thread.join()

    def has_read(self, pixels: int) -> None:
        """See `Lane`."""
        with self._desk.changed:
            self._go_on()
            self.pixels = pixels
            self._read = True  # last: who sees it counts the pixels without the lock
        self._desk.news.put(None)

    def begins_writing(self) -> None:
        """See `Lane`."""
        with self._desk.changed:
            self._go_on()

    def waits_for_others(self) -> bool:
        """See `Lane`."""
        if self._has_waited:
            return False
        desk = self._desk
        with desk.changed:
            self._has_waited = self._aside = True
            desk.changed.notify_all()
            desk.changed.wait_for(lambda: self._given_up or self._is_alone())
            self._aside = False
            self._go_on()
        return True

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for the prior, and has it for the block."""
        desk = self._desk
        with desk.changed:
            desk.waiting.add(self._order)
            desk.changed.notify_all()
            desk.changed.wait_for(lambda: self._given_up or (not desk.busy and min(desk.waiting) == self._order))
            desk.waiting.remove(self._order)
            desk.changed.notify_all()
            self._go_on()
            desk.busy = True
        try:
            yield
        finally:
            with desk.changed:
                desk.busy = False
                desk.changed.notify_all()

    def _is_alone(self) -> bool:
        """True if all other lanes wait for that, too, and come later."""
        return all(lane._aside and order >= self._order for order, lane in self._desk.lanes.items())

    def _go_on(self) -> None:
        if self._given_up:
            raise _GivenUp

    def _tell(self, item: T, share: float) -> None:
        self._desk.news.put((item, share))


class _Gated(Wrapper):
    """Stand-in for a prior that only one image calls at a time."""

    def __init__(self, prior: Prior, turn: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(prior)
        self._turn = turn

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        with self._turn():
            return inner(x, sigma)


class _GivenUp(BaseException):
    """Ends work that was given up; not an Exception, so that the work does not catch it."""
