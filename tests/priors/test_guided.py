from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors import Checkpointed, VPNetwork, checkpoint
from pellucid.priors.guided import GuidedConfig, GuidedUNet, config_of, matches

SMALL = GuidedConfig(32, (32, 64), 1, (1,))
CONFIGS = [
    SMALL,
    replace(SMALL, widths=(32, 32, 64), attention=(1, 2), blocks=2, head_channels=32),
    replace(SMALL, learned_sigma=False, scale_shift=False, conv_resample=True),
    replace(SMALL, width=64, classes=5, channels=1),
    replace(SMALL, widths=(64,), attention=()),
]


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def random_network(config: GuidedConfig) -> GuidedUNet:
    torch.manual_seed(0)
    return GuidedUNet(config).eval().requires_grad_(False)


@pytest.mark.parametrize("config", CONFIGS)
def test_tensors_give_the_network_back(config: GuidedConfig) -> None:
    with torch.device("meta"):
        shapes = shapes_of(GuidedUNet(config))
    assert matches(list(shapes))
    assert config_of(shapes) == config


@pytest.mark.parametrize("name", ["legacy", "new_order", "class_cond", "conv_resample", "half_mult", "num_heads4"])
def test_the_original_code_computes_the_same(shared: Path, name: str) -> None:
    """Networks with random weights, and what the original code makes of an image with them."""
    folder = shared / "data" / "parity"
    expected = load_file(folder / f"adm_{name}.expected.safetensors")
    told = origin(folder / f"adm_{name}.expected.safetensors")
    heads = None if told["num_heads"] < 0 else told["num_heads"]
    width = None if told["head_channels"] < 0 else told["head_channels"]
    prior = checkpoint.load(folder / f"adm_{name}.pt", heads=heads, head_channels=width, order=told["qkv_order"])
    network = prior.network
    assert isinstance(network, GuidedUNet)
    got = network(expected["x"], expected["t"], expected.get("class_labels"))
    assert (got - expected["out"]).abs().max() < 1e-5


def origin(path: Path) -> dict[str, Any]:
    """How the original network was made; names as they are, everything else as Python writes it."""
    with safe_open(path, "pt") as file:
        told = file.metadata()
    return {key: value if value.isidentifier() else ast.literal_eval(value) for key, value in told.items()}


def test_published_files_have_these_tensors(shared: Path) -> None:
    sizes = {
        "256x256_diffusion_uncond.pt": (256, 552_814_086),
        "256x256_diffusion.pt": (256, 553_838_086),
        "512x512_diffusion.pt": (512, 558_997_638),
        "lsun_bedroom.pt": (256, 552_814_086),
        "64x64_diffusion.pt": (64, 295_904_454),
        "128x128_diffusion.pt": (128, None),
        "ffhq_10m.pt": (256, 93_563_910),
    }
    for name, published in json.loads((shared / "data" / "parity" / "published_keys.json").read_text()).items():
        if not matches(list(published)):
            continue
        size, parameters = sizes.pop(name)
        config = config_of(published)
        with torch.device("meta"):
            network = GuidedUNet(config)
        assert shapes_of(network) == {key: tuple(shape) for key, shape in published.items()}, name
        assert parameters in (None, sum(weight.numel() for weight in network.parameters())), name
        assert config.published is not None
        assert config.published.size == size
    assert not sizes


def test_what_tensors_do_not_say_is_known_of_published_networks() -> None:
    def known(config: GuidedConfig) -> GuidedConfig:
        with torch.device("meta"):
            return config_of(shapes_of(GuidedUNet(config)))

    classes = known(GuidedConfig(192, (192, 384, 576, 768), 3, (1, 2, 3), classes=1000))
    assert (classes.order, classes.heads, classes.head_channels) == ("new", None, 64)
    assert classes.published is not None
    assert classes.published.schedule == "cosine"
    assert known(GuidedConfig(256, (256, 256, 512, 768, 1024), 2, (2, 3, 4))).heads == 4
    assert known(SMALL).published is None


def test_the_order_of_attention_is_a_permutation_of_its_rows() -> None:
    """Both orders are the same network when its rows are put in the other's order: [head][q k v] or [q k v][head]."""
    config = replace(SMALL, head_channels=16)
    legacy = random_network(config)
    new = GuidedUNet(replace(config, order="new"))
    weights = legacy.state_dict()
    for name, weight in weights.items():
        if ".qkv." in name:
            rows = weight.unflatten(0, (4, 3, 16))
            weights[name] = rows.transpose(0, 1).flatten(0, 2)
    new.load_state_dict(weights)
    x, t = draw(1, 3, 8, 12), torch.tensor([40.5])
    torch.testing.assert_close(new(x, t), legacy(x, t), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(new(x, t), GuidedUNet(config)(x, t), atol=1e-2)


def test_attention_is_the_formula() -> None:
    network = random_network(replace(SMALL, heads=2))
    attention: Any = network.middle_block[1]
    x = draw(1, 64, 3, 5)
    rows = attention.qkv(attention.norm(x).flatten(2))[0]
    seen = []
    for head in rows.chunk(2):
        q, k, v = head.chunk(3)
        seen.append(v @ torch.softmax(q.T @ k / 32**0.5, 1).T)
    expected = x + attention.proj_out(torch.cat(seen)[None]).view(1, 64, 3, 5)
    torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=1e-5)


def test_a_class_changes_what_is_seen_and_none_is_their_mean() -> None:
    network = random_network(replace(SMALL, classes=3))
    x, t = draw(1, 3, 4, 4), torch.tensor([10.0])
    named = network(x, t, torch.tensor([2]))
    mean = network(x, t)
    assert not torch.allclose(named, mean)
    network.label = 2
    assert torch.equal(network(x, t), named)
    network.label = None
    network.label_emb.weight.copy_(network.label_emb.weight[2].expand(3, -1))
    torch.testing.assert_close(network(x, t), named)


def test_laws_of_a_prior() -> None:
    network = random_network(SMALL)
    prior = VPNetwork(network, torch.linspace(0.01, 2, 10).double(), multiple=network.multiple)
    x = draw(2, 3, 6, 4)
    before = x.clone()
    both = prior(x, 0.7)
    assert torch.equal(x, before)
    assert torch.equal(both, torch.cat([prior(x[:1], 0.7), prior(x[1:], 0.7)]))
    assert both.shape == x.shape


def test_gradients_by_block_are_the_gradients() -> None:
    network = random_network(SMALL)
    prior = VPNetwork(network, torch.linspace(0.01, 2, 10).double(), multiple=network.multiple)
    gradients = []
    for each in (prior, Checkpointed(prior, "block")):
        x = draw(1, 3, 4, 4).requires_grad_()
        each(x, 0.5).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_what_does_not_add_up_is_told() -> None:
    with torch.device("meta"):
        shapes = shapes_of(GuidedUNet(SMALL))
    stem, out = "input_blocks.0.0.weight", "out.2.weight"
    with pytest.raises(PellucidError, match="needs a small image"):
        config_of(shapes | {stem: (32, 6, 3, 3)})
    with pytest.raises(PellucidError, match="takes 4 channels"):
        config_of(shapes | {stem: (32, 4, 3, 3), out: (4, 32, 3, 3)})
    with pytest.raises(PellucidError, match="makes 5 channels of 3"):
        config_of(shapes | {out: (5, 32, 3, 3)})
    with pytest.raises(PellucidError, match=r"has no 'time_embed\.0\.weight'"):
        config_of({name: shape for name, shape in shapes.items() if name != "time_embed.0.weight"})
    with pytest.raises(PellucidError, match="5 blocks up for 2 levels"):
        config_of(shapes | {"output_blocks.4.0.in_layers.2.weight": (32, 32, 3, 3)})
    with pytest.raises(PellucidError, match="divide by 32"):
        replace(SMALL, widths=(30, 64))
    with pytest.raises(PellucidError, match="64 channels cannot have heads of 24"):
        replace(SMALL, head_channels=24)
    with pytest.raises(PellucidError, match="at least one head"):
        replace(SMALL, heads=0)
    with pytest.raises(PellucidError, match="legacy or new"):
        replace(SMALL, order="old")  # type: ignore[arg-type]
