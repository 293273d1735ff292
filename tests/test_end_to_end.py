"""The whole of it, on photographs, with the embedded prior."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pellucid
from pellucid.api import Restorer
from pellucid.bench.prior import averages, denoising
from pellucid.degradations import gaussian_noise, multiple_jpeg
from pellucid.maths.problem import to_model, to_unit
from pellucid.metrics import psnr
from pellucid.operators import AveragePool, Mask
from pellucid.priors import Prior

pytestmark = pytest.mark.slow

CALM = pellucid.methods.DreamClean(strength=70, corrections=3, schedule="none")


@pytest.fixture(scope="module")
def clean(bundled: dict[str, Tensor]) -> Tensor:
    """The middles of the package's photographs, (2, 3, 128, 128) in [0, 1]."""
    return to_unit(torch.cat(list(bundled.values())))[..., 64:192, 64:192]


def test_dreamclean_repairs_jpeg(natural: Prior, clean: Tensor) -> None:
    damaged = multiple_jpeg(clean)
    restored = pellucid.restore(damaged, "dreamclean", natural, strength=50)
    assert (psnr(restored, clean) > psnr(damaged, clean)).all()


def test_dreamclean_repairs_jpeg_on_the_evaluation_photographs(natural: Prior, photographs: dict[str, Tensor]) -> None:
    clean = to_unit(torch.cat(list(photographs.values())[::6]))[..., 64:192, 64:192]
    damaged = multiple_jpeg(clean)
    restored = pellucid.restore(damaged, "dreamclean", natural, strength=50)
    assert psnr(restored, clean).mean() > psnr(damaged, clean).mean()


def test_dreamclean_removes_noise(natural: Prior, clean: Tensor) -> None:
    damaged = gaussian_noise(clean, 25 / 255).clamp(0, 1)
    paper = pellucid.restore(damaged, "dreamclean", natural, strength=10)
    assert (psnr(paper, clean) > psnr(damaged, clean)).all()
    # Without the fresh noise of each correction it goes to the most probable image, not to a probable one.
    calm = pellucid.restore(damaged, CALM, natural)
    assert (psnr(calm, clean) > psnr(damaged, clean) + 7).all()


def test_the_embedded_prior_denoises(natural: Prior, bundled: dict[str, Tensor]) -> None:
    """Not far below what `pellucid bench prior natural` printed for these two photographs when it was made."""
    mean = averages(denoising(natural, bundled))
    assert mean[25] > 31.0
    assert mean[50] > 28.0


def test_a_batch_is_its_images_one_by_one_with_the_real_network(natural: Prior, clean: Tensor) -> None:
    image = clean[..., :72, :56]
    method = pellucid.methods.DreamClean(strength=30)
    together = pellucid.restore(image, method, natural, seed=3)
    for i in range(len(image)):
        assert torch.equal(together[i : i + 1], pellucid.restore(image[i : i + 1], method, natural, seed=3 + i))


def test_tiles_do_not_show(natural: Prior, bundled: dict[str, Tensor]) -> None:
    """Whole and tiled differ by less than 0.5 % of the range where a tile covers what the network sees."""
    wide = to_unit(torch.cat(list(bundled.values()), 3))[..., 64:192, :]
    whole, tiled = (Restorer("dreamclean", natural, tile=tile, strength=50) for tile in (512, 384))
    assert (whole.tiles(128, 512).number, tiled.tiles(128, 512).number) == (1, 2)
    assert (whole.run(wide).colours - tiled.run(wide).colours).abs().max() < 0.005


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 33)])
def test_odd_sizes(natural: Prior, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    assert pellucid.restore(image, "dreamclean", natural, strength=20).shape == image.shape


def test_the_command_on_a_photograph(pellucid_command: Callable[..., Any], shared: Path, tmp_path: Path) -> None:
    photograph = shared / "data" / "eval" / "face_01.png"
    said = pellucid_command("restore", photograph, "-o", tmp_path / "out.png", "--json")
    record = json.loads(said.out)
    assert (record["method"], record["prior"], record["seed"]) == ("auto", "natural", 0)
    # Nothing is wrong with this one, and finding that out costs little.
    assert record["note"] == "nothing found to repair, left unchanged"
    assert record["nfe"] <= 10
    with Image.open(tmp_path / "out.png") as out:
        assert out.size == (256, 256)


@pytest.mark.parametrize("name", ["object_00", "object_02", "face_06", "bsds_299086"])
def test_an_undamaged_photograph_is_not_harmed(natural: Prior, photographs: dict[str, Tensor], name: str) -> None:
    """Those with the finest texture, which a prior is most tempted to smooth."""
    clean = to_unit(photographs[name])
    assert psnr(pellucid.restore(clean, prior=natural), clean).item() > 38


@pytest.mark.parametrize("method", ["ddrm", "ddnm", "dreamclean-known"])
def test_a_known_degradation_is_undone(natural: Prior, clean: Tensor, method: str) -> None:
    """Noisy x4 super-resolution and inpainting, a few steps each: far better than the pseudo-inverse."""
    steps = {"ddrm": 10, "ddnm": 10, "dreamclean-known": 20}[method]
    for operator, gain in ((AveragePool(4), 1.0), (Mask.random(128, 128, 0.25), 8.0)):
        y = to_unit(operator.A(to_model(clean)))
        y = gaussian_noise(y, 0.05)
        simple = to_unit(operator.pinv(to_model(y)))
        restored = pellucid.restore(y, method, natural, operator=operator, noise=0.05, steps=steps)
        assert restored.shape == clean.shape
        assert (psnr(restored, clean) > psnr(simple, clean) + gain).all()


def test_a_small_picture_becomes_a_large_one(natural: Prior, clean: Tensor) -> None:
    small = AveragePool(4).A(clean[:1])
    for image in (small[0].permute(1, 2, 0).numpy(), small):
        out = pellucid.restore(image, "ddrm", natural, operator=AveragePool(4), noise=0, steps=4)
        back = torch.as_tensor(out)
        assert tuple(back.shape) == ((128, 128, 3) if isinstance(image, np.ndarray) else (1, 3, 128, 128))
