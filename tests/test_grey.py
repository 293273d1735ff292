"""Grey pictures: those saved as pictures of colours are treated as the grey ones that they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.diagnosis.content import is_grey

TASKS = [None, "denoise", "jpeg", "enlarge", "unblur", "lowlight", "inpaint", "sr4", "unfade"]


@pytest.fixture
def grey() -> Image.Image:
    draws = torch.rand(6, 6, generator=torch.Generator().manual_seed(1)).mul(255).byte().numpy()
    return Image.fromarray(draws).resize((32, 32), Image.Resampling.BICUBIC)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    marked = Image.new("L", (32, 32))
    marked.paste(255, (8, 8, 20, 12))
    marked.save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.mark.parametrize("task", TASKS)
def test_one_saved_in_colours_comes_back_as_the_grey_file_does(
    task: str | None, grey: Image.Image, mask: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"task": task, "prior": str(tiny_prior), "device": "cpu"}
    options |= {"mask": mask} if task == "inpaint" else {}
    results = []
    for mode in ("L", "RGB"):
        file = tmp_path / f"{mode}.jpg"
        grey.convert(mode).save(file, quality=20)
        results.append(np.array(pellucid.restore(file, **options)))
    one, three = results
    assert (one[..., None] == three).all()


@pytest.fixture
def rounded(grey: Image.Image) -> Image.Image:
    """The grey picture with a step off in one colour at a few pixels, as a lossy WebP has it."""
    pixels = np.array(grey.convert("RGB"))
    pixels[::8, ::8, 0] ^= 1
    return Image.fromarray(pixels)


@pytest.mark.parametrize("task", ["denoise", "enlarge", "sr4"])
def test_one_that_a_codec_rounded_comes_back_grey_where_it_was_restored(
    task: str, rounded: Image.Image, tiny_prior: Path
) -> None:
    result = np.array(pellucid.restore(rounded, task=task, noise=0.05, prior=tiny_prior, device="cpu"))
    before = np.array(rounded)
    same = (result == before).all(2) if result.shape == before.shape else np.zeros(result.shape[:2], bool)
    assert (result == result[..., :1]).all(2)[~same].all()
    assert not same.all()


def test_its_known_pixels_stay_as_they_are(rounded: Image.Image, mask: Path, tiny_prior: Path) -> None:
    result = pellucid.restore(rounded, task="inpaint", mask=mask, prior=tiny_prior, device="cpu")
    known = np.array(Image.open(mask)) == 0
    assert (np.array(result)[known] == np.array(rounded)[known]).all()
    assert (np.array(result)[~known] == np.array(result)[~known][:, :1]).all()


@pytest.mark.parametrize(("spread", "share", "expected"), [(1, 0.02, True), (1, 0.2, False), (2, 0.02, False)])
def test_one_step_at_few_pixels_is_no_colour(spread: int, share: float, expected: bool) -> None:
    image = torch.zeros(1, 3, 10, 100)
    image[:, 0].view(-1)[: int(1000 * share)] = spread * 2 / 255
    assert is_grey(image) is expected


def test_each_picture_of_a_batch_is_seen_by_itself(grey: Image.Image, tiny_prior: Path) -> None:
    alone = torch.tensor(np.array(grey) / 255, dtype=torch.float32).expand(3, 32, 32)
    coloured = alone * torch.tensor([0.5, 1.0, 1.0]).view(3, 1, 1)
    result = pellucid.restore(torch.stack([alone, coloured]), task="sr4", noise=0.01, prior=tiny_prior, device="cpu")
    spread = (result.amax(1) - result.amin(1)).amax((1, 2))
    assert spread[0] == 0
    assert spread[1] > 0


def test_what_colours_a_grey_picture_may_do_so(grey: Image.Image, tiny_prior: Path) -> None:
    result = np.array(pellucid.restore(grey.convert("RGB"), task="colorize", prior=tiny_prior, device="cpu"))
    assert (result != result[..., :1]).any()


def test_texture_keeps_its_brightness_when_it_gets_colours(tiny_prior: Path) -> None:
    rough = Image.fromarray(torch.rand(24, 24, generator=torch.Generator().manual_seed(2)).mul(255).byte().numpy())
    result = np.array(pellucid.restore(rough, task="colorize", prior=tiny_prior, device="cpu")).astype(float)
    inside = (result > 0).all(2) & (result < 255).all(2)
    assert inside.any()
    assert np.abs(result.mean(2) - np.array(rough))[inside].max() <= 1
