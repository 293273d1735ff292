from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from pellucid.errors import PellucidError
from pellucid.priors import embedded
from pellucid.priors.folder import read_json
from pellucid.priors.network import DenoisingUNet, UNetConfig, build_network


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@given(batch=st.integers(1, 3), channels=st.sampled_from([1, 3]), rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_any_multiple_is_a_size(
    batch: int, channels: int, rows: int, columns: int, tiny_network: Callable[..., DenoisingUNet]
) -> None:
    network = tiny_network(channels=channels)
    x = draw(batch, channels, rows * network.multiple, columns * network.multiple)
    assert network(x, torch.full((batch,), 0.3)).shape == x.shape


def test_a_fresh_network_is_the_best_linear_guess() -> None:
    network = DenoisingUNet(UNetConfig(patch=2, widths=(8, 16), blocks=(1, 1), embedding=8))
    x, sigma = draw(2, 3, 8, 8), torch.tensor([0.1, 2.0])
    expected = x * (0.25 / (sigma**2 + 0.25)).view(-1, 1, 1, 1)
    torch.testing.assert_close(network(x, sigma), expected)


def test_without_noise_the_image_is_its_own_estimate(tiny_network: Callable[..., DenoisingUNet]) -> None:
    x = draw(1, 3, 8, 8)
    torch.testing.assert_close(tiny_network()(x, torch.zeros(1)), x, rtol=0, atol=1e-6)


def test_every_weight_learns(tiny_network: Callable[..., DenoisingUNet]) -> None:
    network = tiny_network()
    network(draw(2, 3, 8, 8), torch.tensor([0.1, 1.0])).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_the_noise_level_matters(tiny_network: Callable[..., DenoisingUNet]) -> None:
    x = draw(1, 3, 8, 8)
    estimates = [tiny_network()(x, torch.tensor([sigma])) for sigma in (0.01, 0.1, 1.0, 10.0, 157.0)]
    assert all(estimate.isfinite().all() for estimate in estimates)
    assert not torch.equal(estimates[1], estimates[2])


def test_what_lies_far_away_does_not_matter(tiny_network: Callable[..., DenoisingUNet]) -> None:
    network = tiny_network()
    x = draw(1, 3, 96, 96)
    changed = x.clone()
    changed[..., 64:] = 0
    a, b = (network(image, torch.tensor([0.5])) for image in (x, changed))
    torch.testing.assert_close(a[..., :16], b[..., :16], rtol=0, atol=1e-6)


def test_config_and_network_are_inverse() -> None:
    config = UNetConfig(patch=2, widths=(8, 16), blocks=(2, 1), embedding=8)
    assert build_network(config.to_json()).config == config


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"_class_name": "Transformer"}, "unknown network 'Transformer'"),
        ({"depth": 3}, "no 'depth'"),
        ({"widths": [8]}, "as many widths as blocks"),
        ({"embedding": 0}, "above 0"),
        ({"patch": 1.5}, "above 0"),
    ],
)
def test_wrong_configs_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(PellucidError, match=says):
        build_network(UNetConfig().to_json() | change)


@pytest.mark.parametrize("name", embedded.names())
def test_the_embedded_networks_earn_their_cost(name: str) -> None:
    """At most 50 GFLOP a call at 256x256, at most 32 MB on the disk."""
    folder = embedded.folder_of(name)
    network = build_network(read_json(folder / "config.json"))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 256, 256), torch.ones(1))
    assert counter.get_total_flops() <= 50e9
    assert (folder / "model.safetensors").stat().st_size <= 32e6
