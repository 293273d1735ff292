"""Equal images of a batch, as samples of one picture are, are looked at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import Auto, Denoise, DreamClean, Method, Unblur
from pellucid.methods.method import last
from pellucid.methods.onebyone import firsts
from pellucid.priors import Counted, GaussianPrior


def draw(seed: int) -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) - 0.5


def test_equals_in_a_row() -> None:
    one, other = draw(0), draw(1)
    assert firsts(torch.cat([one, one, other, other, one])) == [0, 0, 2, 2, 4]


@pytest.mark.parametrize("method", [Auto(), Denoise(), DreamClean("auto"), Unblur()])
def test_samples_share_what_is_found_out(method: Method) -> None:
    y, other = draw(0), draw(1)

    def made(batch: Tensor, *seeds: int) -> tuple[Tensor, int]:
        prior = Counted(GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.08)))
        return last(method.iterate(Problem(batch), prior, Streams(seeds))).x, prior.nfe

    each = [made(y, seed) for seed in (5, 6, 7)]
    samples, calls = made(y.expand(3, -1, -1, -1), 5, 6, 7)
    assert all(torch.equal(samples[i : i + 1], one) for i, (one, _) in enumerate(each))
    looks = (sum(nfe for _, nfe in each) - calls) / 2
    # Each of them would have looked by itself; what it does then is its own.
    assert looks == int(looks) >= (0 if isinstance(method, Unblur) else 1)
    mixed, _ = made(torch.cat([y, other, y]), 5, 6, 7)
    assert torch.equal(mixed[0], each[0][0][0])
    assert torch.equal(mixed[2], each[2][0][0])
    assert torch.equal(mixed[1:2], made(other, 6)[0])
