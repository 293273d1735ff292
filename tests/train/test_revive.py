"""Channels that never fire begin anew, without a change of the function."""

from __future__ import annotations

import copy
from itertools import islice, repeat

import torch

from pellucid.priors.network import Block, DenoisingUNet, UNetConfig
from pellucid.train.reshape import blocks_of
from pellucid.train.revive import revive

CONFIG = UNetConfig(patch=1, widths=(6, 8), blocks=(1, 1), embedding=8)
NOISY = torch.randn(2, 3, 16, 12, generator=torch.Generator().manual_seed(1))
SIGMA = torch.tensor([0.1, 2.0])


def coarse(network: DenoisingUNet) -> Block:
    """Its coarsest block."""
    return next(block for name, _, block in blocks_of(network) if name == "down.1.blocks.0")


def trained(*silent: int) -> DenoisingUNet:
    """A network whose coarsest block has channels that are below zero everywhere."""
    torch.manual_seed(0)
    network = DenoisingUNet(CONFIG)
    with torch.no_grad():
        network.tail.weight.normal_(std=0.1)
        for channel in silent:
            coarse(network).film.bias[8 + channel] = -1e3
    return network


def test_silent_channels_learn_again() -> None:
    network = trained(2, 5)
    before, fresh = copy.deepcopy(network), DenoisingUNet(CONFIG)
    assert revive(network, fresh, islice(repeat((NOISY, SIGMA)), 2)) == 2
    torch.testing.assert_close(network(NOISY, SIGMA), before(NOISY, SIGMA))
    one, old, new = (coarse(each) for each in (network, before, fresh))
    assert torch.equal(one.first.weight[[2, 5]], new.first.weight[[2, 5]])
    network(NOISY, SIGMA).square().mean().backward()
    before(NOISY, SIGMA).square().mean().backward()
    assert one.second.weight.grad is not None
    assert old.second.weight.grad is not None
    assert (one.second.weight.grad[:, [2, 5]].abs().amax((0, 2, 3)) > 0).all()
    assert not old.second.weight.grad[:, [2, 5]].any()


def test_a_network_that_is_awake_stays_as_it_is() -> None:
    network = trained()
    before = copy.deepcopy(network.state_dict())
    assert revive(network, DenoisingUNet(CONFIG), iter([(NOISY, SIGMA)])) == 0
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name]), name
