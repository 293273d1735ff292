"""Weak noise under a JPEG: its signs one by one, and what the default makes of such a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pellucid
from pellucid.diagnosis.noise.coded import judged
from pellucid.diagnosis.noise.stationary import BANDS

LEVEL = 2 / 127.5


def taken(grey: Tensor, colour: float = 0.4) -> Tensor:
    """Power of what a prior takes from 40 blocks, level by block, with so much colour for the grey."""
    power = (3**0.5 * grey * LEVEL).square()[:, None, None].expand(-1, 3, BANDS).clone()
    power[:, 1:] *= colour**2
    return power


def activity(room: float) -> Tensor:
    return torch.full((40,), (room / 127.5) ** 2) + torch.arange(40) * 1e-7


def test_what_is_taken_everywhere_alike_is_noise() -> None:
    found = judged(activity(5), taken(torch.ones(40)), 3)
    assert found.confidence == 0.65
    assert found.level == pytest.approx(2 * LEVEL), "half of it is gone with the compression"
    assert found.text == "noise of 4.0 of 255"
    assert {"everywhere", "even", "colours", "room"} <= set(found.evidence)


def test_a_grey_picture_has_its_noise_on_the_grey_axis() -> None:
    found = judged(activity(5), taken(torch.ones(40), 0.0), 1)
    assert found.confidence == 0.65
    assert found.white == pytest.approx(2 * LEVEL * 3**0.5)


@pytest.mark.parametrize(
    ("grey", "colour", "room"),
    [
        (torch.full((40,), 0.5), 0.4, 5.0),
        (torch.tensor([0.8, 3.0]).repeat(20), 0.4, 5.0),
        (torch.ones(40), 0.4, 25.0),
        (torch.ones(40), 0.1, 14.0),
    ],
    ids=["little", "uneven", "no calm place", "grey texture"],
)
def test_the_weakest_sign_decides(grey: Tensor, colour: float, room: float) -> None:
    assert judged(activity(room), taken(grey, colour), 3).confidence < 0.3


def test_a_fine_file_keeps_the_colours_of_noise_so_that_what_has_few_is_texture() -> None:
    room = activity(5)
    assert judged(room, taken(torch.ones(40), 0.33), 3).confidence == 0.65
    assert judged(room, taken(torch.ones(40), 0.33), 3, fine=True).confidence < 0.3
    assert judged(room, taken(torch.ones(40), 0.5), 3, fine=True).confidence == 0.65
    assert judged(room, taken(torch.ones(40), 0.0), 1, fine=True).confidence == 0.65


def test_what_is_taken_from_other_blocks_of_a_grey_picture_is_no_more_than_from_the_flat_ones() -> None:
    lace = torch.cat([torch.ones(12), torch.full((28,), 1.5)])
    assert judged(activity(5), taken(lace, 0.0), 1).confidence < 0.3


CAMERA = {"steady": 0.7, "slow": 0.7, "peaks": 1.0}


def test_noise_of_a_coarse_file_may_depend_on_brightness() -> None:
    uneven = taken(torch.tensor([1.0, 2.5]).repeat(20))
    assert judged(activity(5), uneven, 3).confidence < 0.05
    assert judged(activity(5), uneven, 3, tint=CAMERA).confidence == 0.65
    little = taken(torch.full((40,), 0.3))
    assert judged(activity(5), little, 3, tint={**CAMERA, "steady": 0.8}).confidence < 0.3


@pytest.mark.parametrize("texture", [{"steady": 0.5}, {"slow": 1.4}, {"peaks": 4.0}], ids=str)
def test_what_is_uneven_slow_or_peaked_in_a_coarse_file_is_texture(texture: dict[str, float]) -> None:
    assert judged(activity(5), taken(torch.ones(40)), 3, tint={**CAMERA, **texture}).confidence < 0.1


def test_even_noise_needs_less_colour() -> None:
    for steady, found in ((0.7, True), (0.6, False)):
        noise = judged(activity(14), taken(torch.ones(40), 0.25), 3, tint={**CAMERA, "steady": steady})
        assert (noise.confidence == 0.65) == found


def test_noise_that_is_stronger_in_the_dark_is_removed_from_a_coarse_file(tmp_path: Path) -> None:
    clean = np.full((128, 128, 3), 60.0)
    clean[:, 64:] = 190
    noise = np.random.default_rng(0).standard_normal((128, 128, 3)) * np.where(clean < 128, 9, 6)
    Image.fromarray((clean + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "noisy.jpg", quality=75)
    found = pellucid.diagnose(tmp_path / "noisy.jpg").noise
    assert found is not None
    assert found.coded
    assert found.evidence["even"] < 0.65 < found.evidence["steady"]
    restored = np.array(pellucid.restore(tmp_path / "noisy.jpg")).astype(float)
    before = np.array(Image.open(tmp_path / "noisy.jpg")).astype(float)
    assert ((restored - clean) ** 2).mean() < ((before - clean) ** 2).mean() / 3


def test_colours_make_up_for_calm_places() -> None:
    assert judged(activity(14), taken(torch.ones(40), 0.4), 3).confidence == 0.65


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_a_photograph_with_weak_noise_in_a_coarse_file_gains(grey: bool, tmp_path: Path) -> None:
    down, along = torch.meshgrid(torch.linspace(0, 1, 128), torch.linspace(0, 1, 128), indexing="ij")
    clean = torch.stack([90 + 60 * down, 110 + 40 * along, 120 - 30 * down], 2)
    clean[40:80, 30:90] += 50
    noise = 5 * torch.randn(128, 128, 1 if grey else 3, generator=torch.Generator().manual_seed(0))
    results = {}
    for name, picture in (("clean", clean), ("noisy", clean + noise)):
        pixels = Image.fromarray(picture.clamp(0, 255).byte().numpy())
        (pixels.convert("L") if grey else pixels).save(tmp_path / f"{name}.jpg", quality=75)
        results[name] = np.array(pellucid.restore(tmp_path / f"{name}.jpg")).astype(float)
    assert pellucid.diagnose(tmp_path / "clean.jpg").noise is None
    found = pellucid.diagnose(tmp_path / "noisy.jpg").noise
    assert found is not None
    assert found.coded
    truth = np.array(Image.open(tmp_path / "clean.jpg")).astype(float)
    before = np.array(Image.open(tmp_path / "noisy.jpg")).astype(float)
    assert ((results["noisy"] - truth) ** 2).mean() < ((before - truth) ** 2).mean() / 2


@pytest.mark.parametrize("tint", [{"pale": 0.1, "together": 0.0}, {"pale": 1.0, "together": 0.7}], ids=str)
def test_texture_of_a_deep_colour_or_in_the_colour_of_its_surface_is_no_noise(tint: dict[str, float]) -> None:
    noise = judged(activity(5), taken(torch.ones(40)), 3, tint={"pale": 1.0, "together": 0.2})
    assert noise.confidence == 0.65
    found = judged(activity(5), taken(torch.ones(40)), 3, tint=tint)
    assert found.confidence < 0.05
    assert found.evidence["pale"] == tint["pale"]


@pytest.mark.parametrize("subsampling", [0, 2])
def test_red_cloth_is_left_to_the_compression(tmp_path: Path, subsampling: int) -> None:
    draw = np.random.default_rng(5).standard_normal
    threads = np.sin(2 * np.pi * np.arange(128) / 3)
    weave = threads[:, None] + threads + draw((128, 128))
    cloth = np.array([170, 25, 30]) * (1 + 0.03 * weave[..., None])
    path = tmp_path / "cloth.jpg"
    Image.fromarray(cloth.round().clip(0, 255).astype(np.uint8)).save(path, quality=75, subsampling=subsampling)
    assert pellucid.diagnose(path).noise is None
