from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors import Checkpointed, VPNetwork, checkpoint
from pellucid.priors.ddpm import DDPMConfig, DDPMUNet, config_of, matches

SMALL = DDPMConfig(32, (32, 64), 1, (1,))


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def random_network(config: DDPMConfig = SMALL) -> DDPMUNet:
    torch.manual_seed(0)
    return DDPMUNet(config).eval().requires_grad_(False)


@pytest.mark.parametrize(
    "config", [SMALL, DDPMConfig(32, (64, 32, 64), 2, (0, 2)), DDPMConfig(64, (32,), 1, (), channels=1)]
)
def test_tensors_give_the_network_back(config: DDPMConfig) -> None:
    with torch.device("meta"):
        shapes = shapes_of(DDPMUNet(config))
    assert matches(list(shapes))
    assert config_of(shapes) == config


@pytest.mark.parametrize("name", ["ddpm", "ddpm_list"])
def test_the_original_code_computes_the_same(shared: Path, name: str) -> None:
    """Networks with random weights, and what the original code makes of an image with them."""
    folder = shared / "data" / "parity"
    expected = load_file(folder / f"{name}.expected.safetensors")
    got = checkpoint.load(folder / f"{name}.ckpt").network(expected["x"], expected["t"])
    assert (got - expected["out"]).abs().max() < 1e-5


def test_published_files_have_these_tensors(shared: Path) -> None:
    published = json.loads((shared / "data" / "parity" / "published_keys.json").read_text())["celeba_hq.ckpt"]
    config = config_of(published)
    with torch.device("meta"):
        network = DDPMUNet(config)
    assert shapes_of(network) == {key: tuple(shape) for key, shape in published.items()}
    assert sum(weight.numel() for weight in network.parameters()) == 113_673_219
    assert config.size == 256


def test_parts_are_their_formulas() -> None:
    network: Any = random_network()
    attention, x = network.mid.attn_1, draw(1, 64, 3, 5)
    q, k, v = (part(attention.norm(x))[0].flatten(1) for part in (attention.q, attention.k, attention.v))
    seen = v @ torch.softmax(q.T @ k / 64**0.5, 1).T
    expected = x + attention.proj_out(seen.view(1, 64, 3, 5))
    torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=1e-5)

    shrink, h = network.down[0].downsample, draw(1, 32, 4, 4)
    by_hand = torch.zeros(1, 32, 5, 5)
    by_hand[..., :4, :4] = h
    torch.testing.assert_close(shrink(h), F.conv2d(by_hand, shrink.conv.weight, shrink.conv.bias, stride=2))


def test_laws_of_a_prior() -> None:
    network = random_network()
    prior = VPNetwork(network, torch.linspace(0.01, 2, 10).double(), multiple=network.multiple)
    x = draw(2, 3, 6, 4)
    before = x.clone()
    both = prior(x, 0.7)
    assert torch.equal(x, before)
    assert torch.equal(both, torch.cat([prior(x[:1], 0.7), prior(x[1:], 0.7)]))
    assert both.shape == x.shape


def test_gradients_by_block_are_the_gradients() -> None:
    network = random_network()
    prior = VPNetwork(network, torch.linspace(0.01, 2, 10).double(), multiple=network.multiple)
    gradients = []
    for each in (prior, Checkpointed(prior, "block")):
        x = draw(1, 3, 4, 4).requires_grad_()
        each(x, 0.5).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_what_does_not_add_up_is_told() -> None:
    with torch.device("meta"):
        shapes = shapes_of(DDPMUNet(SMALL))
    with pytest.raises(PellucidError, match="makes 6 channels of 3"):
        config_of(shapes | {"conv_out.weight": (6, 32, 3, 3)})
    with pytest.raises(PellucidError, match=r"has no 'conv_in\.weight'"):
        config_of({name: shape for name, shape in shapes.items() if name != "conv_in.weight"})
    with pytest.raises(PellucidError, match="divide by 32"):
        DDPMConfig(32, (30,), 1, ())
