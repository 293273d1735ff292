"""A network of another shape has the function of the trained one: exactly where nothing is lost, else nearly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.train.grow import grow
from pellucid.train.reshape import reshape

from .test_grow import outputs, shaken

SMALL = UNetConfig(patch=2, widths=(6, 10), blocks=(1, 2), embedding=8)


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    chance = torch.Generator().manual_seed(3)
    while True:
        sigma = torch.exp(torch.randn(4, generator=chance) - 1.2)
        x0 = torch.rand(4, 3, 1, 1, generator=chance) - 0.5
        yield x0 + sigma.view(-1, 1, 1, 1) * torch.randn(4, 3, 16, 16, generator=chance), sigma


@pytest.mark.parametrize(
    "larger",
    [
        replace(SMALL, widths=(9, 16)),
        replace(SMALL, blocks=(2, 3)),
        replace(SMALL, widths=(8, 10), blocks=(1, 4)),
    ],
    ids=["wider", "deeper", "both"],
)
def test_what_holds_nothing_is_left_out(larger: UNetConfig) -> None:
    small, large, again = shaken(SMALL), DenoisingUNet(larger), shaken(SMALL, seed=2)
    with torch.no_grad():
        for parameter in large.parameters():
            parameter.zero_()
    grow(large, small)
    reshape(again, large, batches())
    torch.testing.assert_close(outputs(again), outputs(small), rtol=1e-3, atol=1e-4)


def test_finer_levels_in_front_are_fitted() -> None:
    old = shaken(SMALL)
    with torch.no_grad():
        # Head and tail that see no other patches: a level of pixels can do the same.
        for kernel in (old.head.weight, old.tail.weight):
            kernel *= torch.zeros(3, 3).index_put((torch.tensor(1), torch.tensor(1)), torch.tensor(3.0))
    fresh = DenoisingUNet(replace(SMALL, patch=1, widths=(8, 6, 10), blocks=(1, 1, 2)))
    inner = {name: value.clone() for name, value in old.state_dict().items() if name.startswith("down.1")}
    unfitted = (outputs(fresh) - outputs(old)).square().mean()
    reshape(fresh, old, batches(), updates=150)
    assert (outputs(fresh) - outputs(old)).square().mean() < 0.2 * unfitted
    made = fresh.state_dict()
    assert all(torch.equal(made[name.replace("down.1", "down.2")], value) for name, value in inner.items())
    assert all(parameter.grad is None for parameter in fresh.parameters())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(SMALL, widths=(12, 8)), "narrower or shallower"),
        (replace(SMALL, widths=(6, 8), blocks=(2, 2)), "narrower or shallower"),
        (replace(SMALL, embedding=4), "resolutions"),
        (replace(SMALL, patch=1), "resolutions"),
        (replace(SMALL, widths=(6,), blocks=(1,)), "resolutions"),
        (replace(SMALL, channels=1), "resolutions"),
    ],
    ids=["wider", "deeper", "embedding", "patch", "fewer levels", "grey"],
)
def test_refuses_other_shapes(other: UNetConfig, message: str) -> None:
    network = shaken(other)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(PellucidError, match=message):
        reshape(network, shaken(SMALL), batches())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
