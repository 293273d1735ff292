"""Enlarge: its factors at every size, the noise of small pictures, and its two finishes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.degradations import gaussian_noise
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import DreamCleanKnown, Enlarge, get
from pellucid.methods.enlarge import FAITHFUL
from pellucid.metrics import psnr
from pellucid.operators import AveragePool, Bicubic, Operator, Thumbnail
from pellucid.priors import Counted, GaussianPrior, Prior
from pellucid.restoration import Recipe

FLAT = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 1e-6))


@pytest.mark.parametrize("by", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_factors_and_sizes(by: int, size: tuple[int, int]) -> None:
    restorer = Recipe(task="enlarge", by=by).restorer(FLAT)
    assert restorer.run(torch.full((2, 3, *size), 0.5)).colours.shape == (2, 3, by * size[0], by * size[1])
    assert restorer.run(torch.full((1, 1, *size), 0.5)).colours.shape == (1, 1, by * size[0], by * size[1])


@pytest.mark.parametrize("made_by", [AveragePool(2), Bicubic(2)])
def test_a_clean_picture_is_split_and_its_texture_is_no_noise(
    natural: Prior, bundled: dict[str, Tensor], made_by: Operator
) -> None:
    clean = to_unit(bundled["coffee"][..., 64:128, 64:128])
    small = (made_by.A(clean).clamp(0, 1) * 255).round() / 255
    counted = Counted(natural)
    *_, state = Enlarge().iterate(Problem(to_model(small), Thumbnail(2)), counted, Streams([0]))
    assert state.notes == ()
    assert counted.nfe == state.nfe <= Enlarge().nfe(natural)
    assert torch.equal(state.x, FAITHFUL(Problem(to_model(small), Thumbnail(2), 0.004), natural))
    usual = F.interpolate(small, scale_factor=2, mode="bicubic").clamp(0, 1)
    assert psnr(to_unit(state.x), clean).item() > psnr(usual, clean).item() + 0.8


def test_noise_is_removed_first(natural: Prior, bundled: dict[str, Tensor]) -> None:
    small = gaussian_noise(Bicubic(2).A(to_unit(bundled["coffee"][..., 64:128, 64:128])), 0.1)
    *_, state = Enlarge().iterate(Problem(to_model(small), Bicubic(2)), natural, Streams([0]))
    assert "removed" in state.notes[0]


def test_grain_is_not_sharpened(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., 32:224, 32:224])
    small = Bicubic(2).A(clean)
    grain = 12 / 255 * torch.randn(small[:, :1].shape, generator=torch.Generator().manual_seed(0))
    small = ((small + grain).clamp(0, 1) * 255).round() / 255
    *_, state = Enlarge().iterate(Problem(to_model(small), Thumbnail(2)), natural, Streams([0]))
    assert "grain" in state.notes[0]
    usual = F.interpolate(small, scale_factor=2, mode="bicubic").clamp(0, 1)
    assert psnr(to_unit(state.x), clean).item() > psnr(usual, clean).item() + 0.5


def test_what_is_told_is_believed() -> None:
    y, operator = 0.1 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), Bicubic(2)
    counted = Counted(FLAT)
    x = Enlarge()(Problem(y, operator, 0.05), counted)
    assert counted.nfe == 12
    assert torch.equal(x, FAITHFUL(Problem(y, operator, 0.05), FLAT))


def test_the_crisp_finish_is_dreamcleans() -> None:
    crisp = get("enlarge", preset="crisp")
    y = torch.zeros(1, 3, 8, 8)
    known = DreamCleanKnown(gamma=0.5)(Problem(y, Bicubic(2), 0.004), FLAT, seed=3)
    assert torch.equal(crisp(Problem(y, Bicubic(2), 0.004), FLAT, seed=3), known)
    with pytest.raises(UsageError, match="finish"):
        Enlarge(finish="sharp")  # type: ignore[arg-type]


def test_a_factor_goes_with_its_task() -> None:
    for wrong, says in (
        ({"by": 2}, "by goes with the task enlarge"),
        ({"task": "sr2", "by": 2}, "sr2 takes no factor"),
        ({"task": "enlarge", "by": 5}, "one of 2, 3, 4"),
    ):
        with pytest.raises(UsageError, match=says):
            Recipe(**wrong)
