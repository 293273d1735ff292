from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from pellucid import methods
from pellucid.diagnosis.estimate import noise_level
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_unit
from pellucid.methods import DreamClean
from pellucid.methods.method import Method, State
from pellucid.metrics import psnr
from pellucid.operators import AveragePool, Blur, Denoise, Mask, Operator
from pellucid.operators.blur import gaussian
from pellucid.priors import GaussianPrior, Prior
from pellucid.priors.prior import Padded
from pellucid.restoration import levels, runner
from pellucid.restoration.runner import Runner

SHORT = DreamClean(strength=30, steps=100)
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def test_tiles_change_little_and_the_work_is_counted_right(tiny_prior: Path) -> None:
    image = torch.rand(1, 3, 100, 70, generator=torch.Generator().manual_seed(0))
    whole, tiled = (Runner(SHORT, tiny_prior, tile=tile) for tile in (None, 64))
    assert (whole.tiles(100, 70).number, tiled.tiles(100, 70).number) == (1, 4)
    seen: list[int] = []
    result = tiled.run(image, progress=seen.append)
    assert sum(seen) == tiled.work(100, 70) == tiled.nfe() * 4 * 60 * 44
    assert result.nfe == tiled.nfe() == 9
    assert (result.colours - whole.run(image).colours).abs().max() < 0.005


def test_which_prior_it_is_is_found_out_once_for_all_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Prior] = []

    def fingerprint(prior: Prior) -> str:
        asked.append(prior)
        return "a hash"

    monkeypatch.setattr(runner, "fingerprint", fingerprint)
    whole = Runner(SHORT, PRIOR)
    copies = (whole.with_tile(64), whole.with_prior(Padded(PRIOR)), whole.with_tile(64).with_prior(Padded(PRIOR)))
    assert {copy.fingerprint for copy in (whole, *copies)} == {"a hash"}
    assert asked == [PRIOR]


def test_images_whose_noise_is_found_one_by_one_keep_their_own_masks_and_seeds() -> None:
    rng = torch.Generator().manual_seed(0)
    known = (torch.rand(2, 1, 12, 12, generator=rng) > 0.3).float()
    images = torch.rand(2, 3, 12, 12, generator=rng)
    both = Runner("ddrm", PRIOR, operator=Mask(known), steps=3).run(images, [5, 9])
    assert len(set(both.noise)) == 2
    for i, seed in enumerate((5, 9)):
        one = Runner("ddrm", PRIOR, operator=Mask(known[i]), steps=3).run(images[i : i + 1], seed)
        assert torch.equal(both.colours[i], one.colours[0])
        assert both.noise[i] == one.noise[0]
    with pytest.raises(UsageError, match="1 seeds for a batch of 2"):
        Runner("ddrm", PRIOR, operator=Mask(known), steps=3).run(images, [5])


@dataclass(frozen=True)
class Talker(Method):
    """Says something of images that are bright, and learns each one's mean."""

    blind: ClassVar[bool] = False

    def nfe(self, prior: Prior) -> int:
        return 0

    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        mean = problem.y.mean((1, 2, 3))
        notes = tuple("bright" if each > 0 else "" for each in mean) if (mean > 0).any() else ()
        yield State(1, 1, 0.0, problem.y, problem.y, 0, {}, notes, {"mean": mean})


def test_what_is_said_and_learnt_of_each_is_kept() -> None:
    images = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.8)])
    result = Runner(Talker(), PRIOR, operator=Denoise()).run(images)
    assert result.notes == ("", "bright")
    assert torch.allclose(result.found["mean"], torch.tensor([-0.6, 0.6]))
    assert Runner(Talker(), PRIOR, operator=Denoise()).run(images[:1].repeat(2, 1, 1, 1)).notes == ()


def test_whether_anything_is_random_is_known() -> None:
    image = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    for method, random in ((SHORT, True), (replace(SHORT, schedule="none"), False)):
        once, other = (Runner(method, PRIOR).run(image, seed) for seed in (0, 7))
        assert (once.random, torch.equal(once.colours, other.colours)) == (random, not random)


def test_what_is_rounded_is_not_known_exactly(bundled: dict[str, Tensor]) -> None:
    """A strong blur's differences are all below a step of 8 bits, which looks like no noise at all."""
    operator = Blur(torch.full((9, 9), 1 / 81), "replicate")
    colours = (operator.A(to_unit(bundled["coffee"])[..., :40, :40]) * 255).round() / 255
    assert noise_level(colours) == pytest.approx(0, abs=1e-6)
    restored = Runner("red", "natural", operator=operator, iterations=2).run(colours)
    assert list(restored.noise) == pytest.approx([0.5 / 255])


@pytest.mark.parametrize("operator", [AveragePool(2), Denoise()])
def test_a_level_that_is_told_is_that_of_the_axis_in_grey_pictures(operator: Operator) -> None:
    draws = torch.Generator().manual_seed(5)
    grey, coloured = torch.rand(1, 1, 8, 8, generator=draws), torch.rand(1, 3, 8, 8, generator=draws)
    both = torch.cat([grey.expand(-1, 3, -1, -1), coloured])
    method = methods.get("ddrm")
    result = Runner("ddrm", PRIOR, operator=operator, noise=0.05, device="cpu").run(both).colours
    alone = [
        to_unit(method(Problem.of(y[None], operator, level), PRIOR, seed=seed))
        for seed, (y, level) in enumerate(zip(both, (0.05 * 3**0.5, 0.05), strict=True))
    ]
    torch.testing.assert_close(result[:1], alone[0].mean(1, keepdim=True).expand(-1, 3, -1, -1))
    torch.testing.assert_close(result[1:], alone[1])


@pytest.mark.parametrize(
    ("operator", "method", "told", "axis"),
    [
        (Blur(torch.ones(1, 1)), "ddrm", False, True),
        (AveragePool(2), "ddrm", False, False),
        (AveragePool(2), "ddrm", True, True),
        (Denoise(), "denoise", True, False),
        (AveragePool(2), "bm3d", True, False),
        (None, "ddrm", True, False),
    ],
    ids=["a blur", "texture", "told", "its own way", "no prior", "no operator"],
)
def test_levels_of_grey_pictures(operator: Operator | None, method: str, told: bool, axis: bool) -> None:
    both = torch.stack([torch.full((3, 4, 4), 0.5), torch.tensor([0.2, 0.5, 0.8]).view(3, 1, 1).expand(3, 4, 4)])
    found = levels.for_method((0.1, 0.1), both, operator, methods.get(method), told=told)
    assert found == pytest.approx((0.1 * 3**0.5 if axis else 0.1, 0.1))


def test_a_blurred_grey_picture_with_weak_noise_is_not_amplified(natural: Prior, bundled: dict[str, Tensor]) -> None:
    sharp = bundled["coffee"][..., 64:128, 64:128].mean(1, keepdim=True)
    blur = Blur(gaussian(1.5))
    y = (to_unit(blur.A(sharp)) + torch.randn(sharp.shape, generator=torch.Generator().manual_seed(1)) / 255).clamp(
        0, 1
    )
    for method in ("ddrm", "ddnm"):
        result = Runner(method, natural, operator=blur, device="cpu").run(y).colours
        assert psnr(result, to_unit(sharp)).item() > psnr(y, to_unit(sharp)).item()
