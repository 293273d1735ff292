"""BM3D, with a stand-in for the package."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pellucid
from pellucid.diagnosis.estimate import noise_level
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import BM3D
from pellucid.operators import AveragePool, Denoise
from pellucid.priors.prior import Unused

NONE = Unused(torch.device("cpu"))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / 2


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The package `bm3d`, which takes the noise's level away from each pixel."""
    told = SimpleNamespace(calls=[], result=None)

    def bm3d(z: Any, sigma_psd: float) -> Any:
        assert z.ndim == 2
        assert z.dtype == np.float64
        told.calls.append(("bm3d", z.shape, sigma_psd))
        return z - sigma_psd if told.result is None else told.result * z

    def bm3d_rgb(z: Any, sigma_psd: float) -> Any:
        assert z.ndim == 3
        told.calls.append(("bm3d_rgb", z.shape, sigma_psd))
        return z - sigma_psd

    module: Any = ModuleType("bm3d")
    module.bm3d, module.bm3d_rgb = bm3d, bm3d_rgb
    monkeypatch.setitem(sys.modules, "bm3d", module)
    return told


def test_it_is_told_or_finds_the_level_in_zero_to_one_units(package: SimpleNamespace) -> None:
    y = draw(2, 3, 20, 18)
    out = BM3D()(Problem(y, Denoise(), 0.2), NONE)
    # 0.1 in [0, 1] is 0.2 in [-1, 1].
    torch.testing.assert_close(out, y - 0.2)
    assert package.calls == [("bm3d_rgb", (20, 18, 3), 0.1)] * 2
    package.calls.clear()
    *_, state = BM3D().iterate(Problem(y), NONE, Streams([0, 1]))
    levels = [noise_level((image + 1) / 2) for image in y.split(1)]
    assert [level for _, _, level in package.calls] == levels == list(state.curves["noise"])


def test_grey_goes_plane_by_plane_and_small_images_are_padded(package: SimpleNamespace) -> None:
    y = draw(1, 2, 5, 20)
    torch.testing.assert_close(BM3D()(Problem(y, Denoise(), 0.2), NONE), y - 0.2)
    assert package.calls == [("bm3d", (16, 20), 0.1)] * 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (3, 5, 7), (1, 5, 7)])
def test_laws(package: SimpleNamespace, shape: tuple[int, ...]) -> None:
    y = draw(2, *shape)
    before = y.clone()
    out = BM3D()(Problem(y), NONE, seed=3)
    assert out.shape == y.shape
    assert torch.equal(y, before)
    assert torch.equal(out, BM3D()(Problem(y), NONE, seed=4))
    assert torch.equal(out[1:], BM3D()(Problem(y[1:]), NONE))
    *_, state = BM3D().iterate(Problem(y), NONE, Streams([3, 4]))
    assert state.nfe == BM3D().nfe(NONE) == 0


def test_what_it_cannot_do_is_said(package: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    y = draw(1, 1, 16, 16)
    with pytest.raises(UsageError, match="removes noise alone: it cannot use AveragePool"):
        BM3D()(Problem(y, AveragePool(2), 0.1), NONE)
    with pytest.raises(UsageError, match="only with the operator Denoise"):
        BM3D()(Problem(y, None, 0.1), NONE)
    package.result = float("nan")
    with pytest.raises(PellucidError, match="not finite"):
        BM3D()(Problem(y), NONE)
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(PellucidError, match=r"non-commercial use only: pip install 'pellucid\[bm3d\]'"):
        pellucid.restore(torch.zeros(1, 1, 2, 2), "bm3d")


def test_restore_hands_the_noise_on(package: SimpleNamespace) -> None:
    image = torch.full((1, 1, 16, 16), 0.5)
    out = pellucid.restore(image, "bm3d", operator=Denoise(), noise=0.25)
    torch.testing.assert_close(out, image - 0.25)
