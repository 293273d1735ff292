"""Grey pictures: those saved as pictures of colours are treated as the grey ones that they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid

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
