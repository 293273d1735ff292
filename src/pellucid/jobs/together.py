"""Images restored side by side: simultaneous evaluations of the prior become one batch.

Each image's restoration runs alone until it needs the prior. There it waits until all others need it, too. Then calls
of one shape go to the network together, which keeps a GPU busy, and all restorations continue. Methods do not notice
it. Each restoration has a thread for its stack, but only one of them runs at a time, so the order of the work does not
depend on the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ..priors import Prior
from ..priors.prior import Wrapper

T = TypeVar("T")
R = TypeVar("R")


def together(work: Callable[[T, Prior], R], items: Iterable[T], prior: Prior, number: int) -> Generator[R, None, None]:
    """Works on several items at once, with joint evaluations of the prior.

    Args:
        work: works on one item with a stand-in for the prior.
        items: each is requested when there is room for it.
        prior: the prior, called with batches of any size.
        number: largest number of items at once.

    Yields:
        The results in order of completion.
    """
    source = iter(items)
    waiting: list[_Side[T, R]] = []
    try:
        while True:
            while len(waiting) < number and (item := next(source, None)) is not None:
                waiting.append(side := _Side(work, item, prior))
                side.advance()
                if side.question is None:
                    waiting.remove(side)
                    yield side.result()
            if not waiting:
                return
            answers = answered(prior, [side.question for side in waiting if side.question is not None])
            for side, answer in zip(tuple(waiting), answers, strict=True):
                side.advance(answer)
                if side.question is None:
                    waiting.remove(side)
                    yield side.result()
    finally:
        for side in waiting:
            side.abandon()


class Question(NamedTuple):
    """A call of a prior: its arguments."""

    x: Tensor
    sigma: float | Tensor


Answer = Tensor | BaseException


def answered(prior: Prior, questions: Sequence[Question]) -> list[Answer]:
    """Evaluates a prior for several calls, those of one shape together.

    Returns:
        For each, the estimate or the prior's exception. If a batch fails, for want of memory for example, each call is
        evaluated alone.
    """
    alike: dict[object, list[int]] = {}
    for index, (x, _) in enumerate(questions):
        alike.setdefault((x.shape[1:], x.dtype, x.device), []).append(index)
    answers: dict[int, Answer] = {}
    for indices in alike.values():
        asked = [questions[index] for index in indices]
        given: Sequence[Answer] = _in_one(prior, asked) or [_alone(prior, one) for one in asked]
        answers |= zip(indices, given, strict=True)
    return [answers[index] for index in range(len(questions))]


@torch.no_grad()
def _in_one(prior: Prior, questions: Sequence[Question]) -> list[Tensor] | None:
    """All estimates from one evaluation; None for a single call or a failure."""
    if len(questions) == 1:
        return None
    x = torch.cat([question.x for question in questions])
    sigma = torch.cat(
        [torch.as_tensor(sigma, dtype=torch.float64, device=x.device).expand(len(x)) for x, sigma in questions]
    )
    try:
        return list(prior(x, sigma).split([len(question.x) for question in questions]))
    except Exception:  # the one that is at fault hears of it when it is asked alone
        return None


@torch.no_grad()
def _alone(prior: Prior, question: Question) -> Answer:
    try:
        return prior(*question)
    except Exception as error:
        return error


class _Side(Generic[T, R]):
    """The work on one item, which pauses at each call of the prior.

    Attributes:
        question: the call that it waits for; None after its end.
    """

    def __init__(self, work: Callable[[T, Prior], R], item: T, prior: Prior) -> None:
        self.question: Question | None = None
        self._result: R | BaseException | None = None
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._stops: SimpleQueue[Question | None] = SimpleQueue()
        arguments = (work, item, _Asking(prior, self.ask))
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def advance(self, answer: Answer | None = None) -> None:
        """Continues it, with an answer to its call, to the next call or the end."""
        self._answers.put(answer)
        self.question = self._stops.get()

    def abandon(self) -> None:
        """Ends it at its next call, and waits until it has cleaned up."""
        self._answers.put(_Abandoned())
        self._thread.join()

    def ask(self, question: Question) -> Tensor:
        """Waits for an answer; called from the work."""
        self._stops.put(question)
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        assert answer is not None
        return answer

    def result(self) -> R:
        """Result after the end."""
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result  # type: ignore[return-value]

    def _run(self, work: Callable[[T, Prior], R], item: T, prior: Prior) -> None:
        self._answers.get()
        try:
            self._result = work(item, prior)
        except BaseException as error:  # raised again where the result is asked for
            self._result = error
        self._stops.put(None)


class _Asking(Wrapper):
    """Stand-in for a prior in one item's work."""

    def __init__(self, prior: Prior, ask: Callable[[Question], Tensor]) -> None:
        super().__init__(prior)
        self._ask = ask

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`. Calls with gradients cannot be shared and are evaluated at once."""
        if torch.is_grad_enabled() and x.requires_grad:
            return self.prior(x, sigma)
        return self._ask(Question(x, sigma))


class _Abandoned(BaseException):
    """Ends abandoned work; not an Exception, so that the work does not catch it."""
