"""A grown network is the smaller one, until it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.train.grow import grow

SMALL = UNetConfig(patch=2, widths=(8, 12, 16), blocks=(1, 2, 1), embedding=8)


def shaken(config: UNetConfig, seed: int = 0) -> DenoisingUNet:
    """A network without a zero among its weights."""
    torch.manual_seed(seed)
    network = DenoisingUNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def outputs(network: DenoisingUNet) -> Tensor:
    x = torch.randn(2, 3, 24, 16, generator=torch.Generator().manual_seed(1))
    return network.forward(x, torch.tensor([0.1, 5.0]))


@pytest.mark.parametrize(
    "larger",
    [
        SMALL,
        replace(SMALL, widths=(12, 12, 20)),
        replace(SMALL, blocks=(2, 2, 3)),
        replace(SMALL, widths=(9, 16, 24), blocks=(3, 4, 2)),
    ],
    ids=["equal", "wider", "deeper", "both"],
)
def test_the_function_stays(larger: UNetConfig) -> None:
    small, large = shaken(SMALL), shaken(larger, seed=1)
    grow(large, small)
    torch.testing.assert_close(outputs(large), outputs(small), rtol=1e-4, atol=1e-5)


def test_the_zeros_are_filled_by_the_first_updates() -> None:
    large = shaken(replace(SMALL, widths=(12, 16, 24), blocks=(2, 2, 2)), seed=1)
    grow(large, shaken(SMALL))
    before = zeros(large)
    assert before > 10_000
    optimiser = torch.optim.SGD(large.parameters(), 1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        outputs(large).square().mean().backward()
        optimiser.step()
    # All but what a rectifier that never opens keeps from its gradients.
    assert zeros(large) < before / 20


def zeros(network: DenoisingUNet) -> int:
    return sum(int((parameter == 0).sum()) for parameter in network.parameters())


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, widths=(6, 12, 16)),
        replace(SMALL, blocks=(1, 1, 1)),
        replace(SMALL, embedding=4),
        replace(SMALL, widths=(8, 12), blocks=(1, 2)),
        replace(SMALL, widths=(8, 12, 16, 16), blocks=(1, 2, 1, 1)),
        replace(SMALL, channels=1),
        replace(SMALL, patch=4),
    ],
    ids=["narrower", "shallower", "embedding", "fewer levels", "more levels", "grey", "patch"],
)
def test_refuses_what_is_not_larger(other: UNetConfig) -> None:
    network = shaken(other)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(PellucidError, match="weights of"):
        grow(network, shaken(SMALL))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
