from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid.api import Restorer
from pellucid.errors import PellucidError
from pellucid.jobs import plan, run
from pellucid.jobs.together import Question, answered, together
from pellucid.maths.noise import linear_ladder
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior, Prior
from pellucid.priors.adapters import VENetwork
from pellucid.priors.network import DenoisingUNet


class Seen(GaussianPrior):
    """Remembers the shapes and levels of its batches, and fails for batches of more than `room` images."""

    def __init__(self, room: int = 100) -> None:
        super().__init__(torch.zeros(3, 1, 1), torch.tensor(0.3))
        self.room, self.batches = room, list[tuple[tuple[int, ...], list[float]]]()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.batches.append((tuple(x.shape), torch.as_tensor(sigma).flatten().tolist()))
        if len(x) > self.room:
            raise MemoryError
        return super().__call__(x, sigma)


def calls(levels: list[float], prior: Prior) -> Tensor:
    """Work: an evaluation at each level."""
    x = torch.full((1, 3, 4, 4), levels[0])
    for level in levels:
        x = prior(x, level)
    return x


def test_evaluations_are_made_together_and_answered_alike() -> None:
    jobs = [[0.1, 0.2, 0.3], [0.5], [0.7, 0.8], [0.9]]
    prior = Seen()
    results = list(together(calls, jobs, prior, 2))
    expected = {round(job[0], 3): calls(job, Seen()) for job in jobs}
    # As they are finished: the second is over first, the third takes its place.
    for job, result in zip((jobs[1], jobs[0], jobs[2], jobs[3]), results, strict=True):
        torch.testing.assert_close(result, expected[round(job[0], 3)], rtol=1e-6, atol=0)
    assert [shape[0] for shape, _ in prior.batches] == [2, 2, 2, 1]
    assert prior.batches[1][1] == pytest.approx([0.2, 0.7])


def test_an_item_is_asked_for_when_there_is_room() -> None:
    asked: list[int] = []

    def items() -> Iterator[list[float]]:
        for index in range(4):
            asked.append(index)
            yield [0.1 * (index + 1)]

    results = together(calls, items(), Seen(), 2)
    assert asked == []
    next(results)
    assert asked == [0, 1]
    assert len(list(results)) == 3


def test_other_shapes_and_failing_batches_are_asked_alone() -> None:
    prior = Seen(room=1)
    shapes = [(1, 3, 4, 4), (1, 3, 4, 4), (1, 3, 4, 6), (2, 3, 4, 6)]
    answers = answered(prior, [Question(torch.ones(shape), 0.5) for shape in shapes])
    assert [shape[0] for shape, _ in prior.batches] == [2, 1, 1, 3, 1, 2]
    assert [tuple(answer.shape) if isinstance(answer, Tensor) else type(answer) for answer in answers] == [
        *shapes[:3],
        MemoryError,
    ]


def test_what_one_raises_is_its_own() -> None:
    def work(fails: bool, prior: Prior) -> str:
        prior(torch.ones(1, 3, 2, 2), 0.5)
        if fails:
            raise PellucidError("this one")
        return "fine"

    results = together(work, [False, True], Seen(), 2)
    assert next(results) == "fine"
    with pytest.raises(PellucidError, match="this one"):
        next(results)


def test_what_is_given_up_ends() -> None:
    ended: list[int] = []

    def work(index: int, prior: Prior) -> None:
        try:
            for _ in range(2 if index else 1):
                prior(torch.ones(1, 3, 2, 2), 0.5)
        except Exception:  # an ending is none of the errors that work may catch
            raise AssertionError from None
        finally:
            ended.append(index)

    results = together(work, [0, 1, 2], Seen(), 3)
    next(results)
    results.close()
    assert sorted(ended) == [0, 1, 2]


def test_gradients_stay_with_their_own() -> None:
    prior = Seen()

    def work(scale: float, prior: Prior) -> Tensor:
        x = torch.full((1, 3, 2, 2), scale, requires_grad=True)
        (gradient,) = torch.autograd.grad(prior(x, 0.5).square().sum(), x)
        return gradient

    one, two = together(work, [1.0, 2.0], prior, 2)
    torch.testing.assert_close(2 * one, two)
    assert [shape[0] for shape, _ in prior.batches] == [1, 1]


def test_images_of_different_sizes_come_out_as_they_do_alone(
    tmp_path: Path, tiny_network: Callable[..., DenoisingUNet]
) -> None:
    (tmp_path / "in").mkdir()
    for index, size in enumerate([(20, 8), (9, 33), (5, 5), (16, 16), (40, 24)]):
        noise = torch.randint(0, 256, (*size[::-1], 3), generator=torch.Generator().manual_seed(index))
        Image.fromarray(noise.byte().numpy()).save(tmp_path / "in" / f"{index}.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"broken")
    restorer = Restorer(DreamClean(strength=20), VENetwork(tiny_network(), linear_ladder(), multiple=4), tile=16)
    nfe = []
    for batch in (1, 3):
        (tmp_path / str(batch)).mkdir()
        outcomes = list(run(plan([tmp_path / "in"], tmp_path / str(batch)), restorer, batch=batch))
        nfe.append({outcome.item.name: (outcome.nfe, outcome.seed, outcome.error) for outcome in outcomes})
    assert nfe[0] == nfe[1]
    assert [name for name, (_, _, error) in nfe[0].items() if error] == ["bad.png"]
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "3" / path.name).read_bytes()
