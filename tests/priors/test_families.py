"""A new kind of network is one record: recognised, loaded, described and converted by it alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pellucid.maths.noise import linear_ladder
from pellucid.priors import families, load_prior
from pellucid.priors.convert import convert
from pellucid.priors.describe import describe
from pellucid.priors.family import Built, NetworkFamily
from pellucid.priors.prior import Padded, device_of, innermost, module_of, network_of, wrapping


@dataclass(frozen=True)
class Config:
    channels: int = 3


class Toy(nn.Module):
    multiple = 2

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.channels = config, config.channels
        self.toy = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        out: Tensor = self.toy(x)
        return out


TOYS = NetworkFamily(
    "toys", Toy, "Toy",
    to_json=lambda network: {"_class_name": "Toy", "channels": network.channels},
    build=lambda config: Toy(Config(**config)),
    matches=lambda names: set(names) == {"toy.weight", "toy.bias"},
    infer=lambda shapes, known: Built(Toy(Config(shapes["toy.weight"][1])), linear_ladder(), "a toy"),
    describe=lambda network: {"size": 8},
)  # fmt: skip


def test_a_new_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, TOYS))
    save_file(Toy(Config()).state_dict(), tmp_path / "toy.safetensors")
    prior = load_prior(tmp_path / "toy.safetensors")
    about, _ = describe(tmp_path / "toy.safetensors")
    assert (about.family, about.size, about.parameters, about.multiple) == ("toys", 8, 84, 2)
    convert(tmp_path / "toy.safetensors", tmp_path / "folder")
    again: Any = load_prior(tmp_path / "folder")
    assert isinstance(again.network, Toy)
    assert describe(tmp_path / "folder")[0].family == "toys"
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prior(x, 0.5), again(x, 0.5))


def test_records_do_not_overlap() -> None:
    assert len({family.class_name for family in families.FAMILIES}) == len(families.FAMILIES)
    for family in families.FAMILIES:
        assert (family.matches is None) == (family.infer is None)
        assert family.load is not None or family.build is not None
        assert families.named(family.class_name) is family
    with pytest.raises(LookupError, match="a Conv2d is of no known family"):
        families.family_of(nn.Conv2d(1, 1, 1))


def test_what_is_in_wrappers(tiny_prior: Path) -> None:
    prior = load_prior(tiny_prior)
    wrapped = Padded(Padded(prior))
    assert [type(one) for one in wrapping(wrapped)] == [Padded, Padded, type(prior)]
    assert innermost(wrapped) is prior
    assert module_of(wrapped) is network_of(prior)
    assert isinstance(module_of(prior), nn.Module)
    function = load_prior(lambda x, sigma: x)
    assert module_of(function) is None
    assert device_of(function) == torch.device("cpu")
