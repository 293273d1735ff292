"""The adapter, on objects that have what deepinv's have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.errors import PellucidError, UsageError
from pellucid.maths.problem import Problem
from pellucid.methods import DDNM, DDRM, DPS, DreamClean
from pellucid.methods.deepinv import reconstructor, restore_with
from pellucid.operators import AveragePool, Mask
from pellucid.operators.deepinv import DeepinvOperator
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2), variance=torch.full((3, 1, 1), 0.3))


class Pool:
    """A linear physics without a decomposition."""

    noise_model = SimpleNamespace(sigma=torch.tensor(0.05))

    def A(self, x: Tensor) -> Tensor:
        return AveragePool(2).A(x)

    def A_adjoint(self, y: Tensor) -> Tensor:
        return AveragePool(2).At(y)


class Inpainting:
    """A decomposable physics, one of its singular values negative."""

    def __init__(self) -> None:
        self.mask = torch.ones(1, 8, 8)
        self.mask[0, ::2] = 0
        self.mask[0, 1, 1] = -2

    def U(self, z: Tensor) -> Tensor:
        return z

    V = U_adjoint = V_adjoint = U

    def A(self, x: Tensor) -> Tensor:
        return x * self.mask

    A_adjoint = A


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_a_physics_without_a_decomposition() -> None:
    operator, x = DeepinvOperator(Pool(), (3, 8, 8)), draw(2, 3, 8, 8)
    y = operator.A(x)
    assert operator.svd((2, 3, 8, 8)) is None
    assert operator.image_shape(tuple(y.shape)) == (2, 3, 8, 8)
    torch.testing.assert_close(operator.pinv(y), AveragePool(2).pinv(y), rtol=1e-4, atol=1e-4)
    out = DDNM(steps=10)(Problem(y, operator, 0.0), PRIOR)
    torch.testing.assert_close(operator.A(out), y, rtol=1e-3, atol=1e-3)
    with pytest.raises(UsageError, match="DeepinvOperator has none"):
        DDRM()(Problem(y, operator, 0.1), PRIOR)


def test_a_decomposable_physics() -> None:
    operator, x = DeepinvOperator(Inpainting(), (3, 8, 8)), draw(2, 3, 8, 8)
    svd, y = operator.svd((2, 3, 8, 8)), operator.A(x)
    assert svd is not None
    assert (svd.s >= 0).all()
    torch.testing.assert_close(svd.U(svd.s * svd.Vt(x)), y)
    torch.testing.assert_close(svd.V(svd.s * svd.Ut(y)), operator.At(y))
    torch.testing.assert_close(operator.A(DDRM()(Problem(y, operator, 0.0), PRIOR)), y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mask", [torch.ones(1, 3, 8, 5, dtype=torch.complex64), torch.ones(3, 4, 4)])
def test_other_coordinates_than_the_images_are_no_decomposition(mask: Tensor) -> None:
    physics: Any = Inpainting()
    physics.mask = mask
    assert DeepinvOperator(physics, (3, 8, 8)).svd((2, 3, 8, 8)) is None


def test_measurements_of_images_in_0_1_mean_the_same() -> None:
    x01 = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    physics = Inpainting()
    physics.mask = physics.mask.abs().clamp(max=1)
    restored = restore_with(physics, physics.A(x01), DDRM(), PRIOR, noise=0.0)
    known = Mask(physics.mask).known.expand_as(x01) > 0
    torch.testing.assert_close(restored[known], x01[known], rtol=1e-4, atol=1e-4)
    pooled = restore_with(Pool(), Pool().A(x01), DPS(steps=100, scale=1.0), PRIOR)
    assert (Pool().A(pooled) - Pool().A(x01)).abs().mean() < 0.15


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match="blind"):
        reconstructor(DreamClean(strength=300), PRIOR)
    with pytest.raises(UsageError, match="give noise"):
        restore_with(Inpainting(), draw(1, 3, 8, 8), DDRM(), PRIOR)


def test_without_deepinv_its_reconstructor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "deepinv.models", None)
    with pytest.raises(PellucidError, match=r'pip install "pellucid\[deepinv\]"'):
        reconstructor(DDRM(), PRIOR)
