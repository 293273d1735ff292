from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import degradations
from pellucid.errors import UsageError
from pellucid.support.settings import read

RANDOM = (
    "noise", "poisson", "mixed-noise", "deform", "water-drops", "random-mask", "low-light", "rain", "snow",
    "old-photograph", "shared-noise", "grain", "chroma-noise", "poisson-gaussian", "phone", "scratched",
)  # fmt: skip


def draw(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", degradations.names())
@settings(max_examples=8)
@given(st.integers(1, 19), st.integers(1, 19), st.sampled_from([1, 3]))
def test_the_laws_of_damage(name: str, height: int, width: int, channels: int) -> None:
    damage, image = degradations.get(name), draw(2, channels, height, width)
    before = image.clone()
    damaged = damage(image, 5)
    # Three exposures lie along the channels.
    assert damaged.shape == (2, channels * (3 if name == "exposures" else 1), height, width)
    assert damaged.dtype == image.dtype
    assert torch.equal(image, before)
    # Gaussian noise alone is not clamped.
    assert name == "noise" or 0 <= damaged.min() <= damaged.max() <= 1
    assert torch.equal(damage(image, 5), damaged)
    # A batch of two is two batches of one, bit for bit.
    assert torch.equal(torch.cat([damage(image[:1], 5), damage(image[1:], 6)]), damaged)
    assert torch.equal(damage(image, [5, 6]), damaged)


@pytest.mark.parametrize("name", degradations.names())
def test_seeds_differ_where_there_is_chance(name: str) -> None:
    damage, image = degradations.get(name), draw(1, 3, 32, 32)
    assert torch.equal(damage(image, 1), damage(image, 2)) is (name not in RANDOM)
    assert not torch.equal(damage(image, 1), image)


@pytest.mark.parametrize("name", degradations.names())
def test_each_says_what_it_is(name: str) -> None:
    record = degradations.describe(name)
    assert record["name"] == name
    assert record["summary"].endswith(".")
    assert record["parameters"].keys() == degradations.parameters(name).keys()
    # The defaults are what `get` takes.
    degradations.get(name, **record["parameters"])


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UsageError, match="unknown damage 'rains': did you mean 'rain'"):
        degradations.get("rains")
    with pytest.raises(UsageError, match="poisson has no 'seed'; it has peak"):
        degradations.get("poisson", seed=3)
    with pytest.raises(UsageError, match="the peak of Poisson noise"):
        degradations.get("poisson", peak=0)


def test_parameters_are_read_from_texts() -> None:
    kinds = degradations.parameters("multiple-jpeg")
    values = read(kinds, "multiple-jpeg", {"qualities": "30,60", "shifts": "0, 5"})
    assert values == {"qualities": [30, 60], "shifts": [0, 5]}
    assert read(degradations.parameters("reduce"), "reduce", {"enlarge": "bicubic"}) == {"enlarge": "bicubic"}
    with pytest.raises(UsageError, match="qualities must be a valid integer, not '30,x'"):
        read(kinds, "multiple-jpeg", {"qualities": "30,x"})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("jpeg", {"quality": 0}),
        ("noise", {"sigma": -1.0}),
        ("noise", {"sigma": float("nan")}),
        ("mixed-noise", {"share": 1.1}),
        ("mixed-noise", {"speckle": -1.0}),
        ("shared-noise", {"sigma": -0.1}),
        ("grain", {"sigma": float("inf")}),
        ("grain", {"size": -1.0}),
        ("chroma-noise", {"luma": -1.0}),
        ("chroma-noise", {"size": 101.0}),
        ("poisson-gaussian", {"read": -1.0}),
        ("phone", {"smooth": 2.0}),
        ("faded", {"contrast": 1.5}),
        ("faded", {"cast": (1.0, 0.0, 1.0)}),
        ("jpeg", {"subsampling": "4:1:0"}),
        ("blur", {"std": -1.0}),
        ("motion-blur", {"length": 0.0}),
        ("motion-blur", {"degrees": float("inf")}),
        ("reduce", {"factor": 0}),
        ("reduce", {"enlarge": "lanczos"}),
        ("deform", {"strength": -1.0}),
        ("deform", {"smoothness": 0.0}),
        ("water-drops", {"number": -1}),
        ("water-drops", {"size": 0.0}),
        ("water-drops", {"refraction": float("nan")}),
        ("low-light", {"exposure": 2.0}),
        ("low-light", {"gamma": 0.0}),
        ("rain", {"amount": 2.0}),
        ("rain", {"length": 0.0}),
        ("snow", {"light": -0.1}),
        ("snow", {"size": 0.0}),
        ("haze", {"density": -1.0}),
        ("haze", {"light": 1.1}),
        ("uniform-blur", {"size": 0}),
        ("anisotropic-blur", {"other": 0.0}),
        ("random-mask", {"share": 1.1}),
        ("box-mask", {"fill": 2.0}),
        ("text-mask", {"text": " "}),
        ("text-mask", {"size": 0.0}),
        ("exposures", {"gains": ()}),
        ("exposures", {"gains": (1.0, 0.0)}),
        ("old-photograph", {"fade": -0.1}),
        ("scratched", {"scratches": -1}),
        ("scratched", {"specks": 1.5}),
        ("printed", {"period": 1.0}),
        ("printed", {"degrees": float("inf")}),
        ("sr4", {"noise": 0.1}),
        ("sr0", {}),
        ("jpeg:", {}),
        ("jpeg:10|", {}),
        ("jpeg:ten", {}),
        ("jpeg:10;blur=2", {}),
        ("grey:1", {}),
        ("sr4|rains", {}),
    ],
)
def test_nonsense_is_refused_before_there_are_images(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        degradations.get(name, **wrong)
