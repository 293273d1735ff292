from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid import methods
from pellucid.api import Restorer
from pellucid.jobs import Item, run
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior

ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
]


class Greedy(GaussianPrior):
    """Runs out of memory for what has more pixels than `room`."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__(torch.zeros(3, 1, 1), torch.tensor(0.3))
        self.room, self.error, self.sizes = room, error, list[tuple[int, ...]]()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape[-2:]))
        if x.shape[-2] * x.shape[-1] > self.room:
            raise self.error
        return super().__call__(x, sigma)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 90), "teal").save(tmp_path / "large.png")
    return tmp_path / "large.png"


def restored(prior: GaussianPrior, source: Path, tile: int | None = None) -> tuple[bytes, str | None, str | None]:
    target = source.with_name("out.png")
    target.unlink(missing_ok=True)
    (outcome,) = run([Item(source, target)], Restorer(DreamClean(strength=30), prior, tile=tile))
    return target.read_bytes() if target.exists() else b"", outcome.note, outcome.error


@pytest.mark.parametrize("error", ERRORS)
def test_what_does_not_fit_is_done_in_smaller_tiles_and_said(large: Path, error: Exception) -> None:
    prior = Greedy(10_000, error)
    written, note, failed = restored(prior, large)
    assert (note, failed) == ("did not fit into memory: done in tiles of 64 pixels", None)
    # 256 would cut nothing, 128 is too large still; tiles are as small as their number allows.
    assert list(dict.fromkeys(prior.sizes)) == [(90, 200), (90, 116), (53, 62)]
    # The same as if it had been asked for.
    assert restored(Greedy(10_000, error), large, tile=64) == (written, None, None)


def test_the_next_image_begins_anew(large: Path) -> None:
    Image.new("RGB", (20, 30)).save(large.with_name("small.png"))
    prior = Greedy(10_000, MemoryError())
    small, big = Item(large.with_name("small.png"), large.with_name("1.png")), Item(large, large.with_name("2.png"))
    outcomes = list(run([big, small, big], Restorer(DreamClean(strength=30), prior)))
    assert [outcome.note for outcome in outcomes] == [outcomes[0].note, None, outcomes[0].note]


def test_what_never_fits_is_named(large: Path) -> None:
    prior = Greedy(100, MemoryError())
    assert restored(prior, large) == (b"", None, f"{large}: does not fit into memory, in tiles of any size")
    assert (53, 62) in prior.sizes


def test_other_errors_are_not_tried_again(large: Path) -> None:
    prior = Greedy(100, RuntimeError("out of luck"))
    assert "out of luck" in str(restored(prior, large)[2])
    assert prior.sizes == [(90, 200)]


def test_a_method_without_a_prior_is_not_tried_again(large: Path) -> None:
    calls = []

    def hungry(x: Tensor) -> Tensor:
        calls.append(x.shape)
        raise MemoryError

    restorer = Restorer(methods.External(hungry))
    (outcome,) = run([Item(large, large.with_name("out.png"))], restorer)
    assert "does not fit into memory" in str(outcome.error)
    assert len(calls) == 1
