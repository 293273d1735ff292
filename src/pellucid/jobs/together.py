"""Images restored side by side: what they ask of the prior at the same time is one evaluation of a batch.

Each image's restoration runs as if it were alone, up to where it needs the prior. There it waits until all others do,
too; then questions of one shape are put to the network together, which keeps a GPU full, and all go on. Methods know
nothing of it. Each restoration has a thread of its own for a stack to wait on, but only one of them ever runs: what
one does, and in which order, does not depend on the machine.
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
    """Does the work on several items at once, and evaluates the prior for all of them in one.

    Args:
        work: does one item, with a prior that stands for the one given.
        items: one is asked for when there is room for it.
        prior: called with batches of any size.
        number: how many items are in work at once, at most.

    Yields:
        The works' results, each when it is there.
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
    """Evaluates a prior for several questions, those of one shape together.

    Returns:
        For each, the estimate, or what the prior raised. Where a batch fails, for want of memory for example, each
        question is put by itself.
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
    """All estimates from one evaluation; None if there is but one question, or it failed."""
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
    """The work on one item, which stops where it asks the prior.

    Attributes:
        question: what it waits for; None when it is over.
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
        """Lets it go on, with an answer if it asked, to its next question or its end."""
        self._answers.put(answer)
        self.question = self._stops.get()

    def abandon(self) -> None:
        """Ends it where it asks next, and waits until it has left nothing behind."""
        self._answers.put(_Abandoned())
        self._thread.join()

    def ask(self, question: Question) -> Tensor:
        """Waits for an answer; called by the work."""
        self._stops.put(question)
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        assert answer is not None
        return answer

    def result(self) -> R:
        """Result, once it is over."""
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
    """Stands for a prior in one item's work."""

    def __init__(self, prior: Prior, ask: Callable[[Question], Tensor]) -> None:
        super().__init__(prior)
        self._ask = ask

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`. What has a gradient cannot be shared, and is evaluated at once."""
        if torch.is_grad_enabled() and x.requires_grad:
            return self.prior(x, sigma)
        return self._ask(Question(x, sigma))


class _Abandoned(BaseException):
    """Ends work that nobody waits for any more; no error of the work's own, so that nothing catches it."""
