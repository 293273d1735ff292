"""Both ways with the deepinv library; skipped where it, or the torchvision that it needs, does not import."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.methods import DDNM, DDRM, DPS, DiffPIR, PiGDM
from pellucid.methods.deepinv import reconstructor, restore_with
from pellucid.operators.deepinv import DeepinvOperator
from pellucid.priors import GaussianPrior

try:
    import deepinv
except (ImportError, RuntimeError) as error:  # torchvision of another build than torch's raises the second
    pytest.skip(f"deepinv does not import: {error}", allow_module_level=True)

COLOUR, GREY = (3, 16, 16), (1, 16, 16)
PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.2), variance=torch.full((3, 1, 1), 0.3))


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def crooked(side: int) -> Tensor:
    """A kernel without any symmetry."""
    return torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(1)) / side**2


def mask(*shape: int) -> Tensor:
    return (draw(*shape) > 0).float()


DECOMPOSED: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "BlurFFT": (lambda: deepinv.physics.BlurFFT(COLOUR, filter=crooked(5)), COLOUR),
    "Downsampling by 2": (lambda: deepinv.physics.Downsampling(COLOUR, filter="gaussian", factor=2), COLOUR),
    "Downsampling by 4": (lambda: deepinv.physics.Downsampling(COLOUR, filter=crooked(5), factor=4), COLOUR),
    "decimation": (lambda: deepinv.physics.Downsampling(COLOUR, filter=None, factor=2), COLOUR),
    "CompressedSensing": (lambda: deepinv.physics.CompressedSensing(40, GREY), GREY),
    "channelwise": (lambda: deepinv.physics.CompressedSensing(40, COLOUR, channelwise=True), COLOUR),
    "Inpainting": (lambda: deepinv.physics.Inpainting(COLOUR, mask=0.5), COLOUR),
    "Demosaicing": (lambda: deepinv.physics.Demosaicing(COLOUR), COLOUR),
    "MRI": (lambda: deepinv.physics.MRI(mask=mask(16, 16), img_size=(2, 16, 16)), (2, 16, 16)),
    "SinglePixelCamera": (lambda: deepinv.physics.SinglePixelCamera(m=60, img_size=GREY), GREY),
    "random SinglePixelCamera": (lambda: deepinv.physics.SinglePixelCamera(m=60, img_size=GREY, fast=False), GREY),
    "Decolorize": (lambda: deepinv.physics.Decolorize(), COLOUR),
    "Denoising": (lambda: deepinv.physics.Denoising(), COLOUR),
}


@pytest.mark.parametrize("name", DECOMPOSED)
def test_decompositions(name: str) -> None:
    torch.manual_seed(0)
    make, shape = DECOMPOSED[name]
    operator, x = DeepinvOperator(make(), shape), draw(2, *shape)
    svd = operator.svd((2, *shape))
    assert svd is not None
    y, z, s = operator.A(x), svd.Vt(x), svd.s
    torch.testing.assert_close(svd.V(z), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(z.norm(), x.norm())
    torch.testing.assert_close(svd.U(s * z), y, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(svd.V(s * svd.Ut(y)), operator.At(y), rtol=1e-3, atol=1e-4)
    assert not svd.Ut(y)[(s <= 0).expand_as(z)].any()
    # Noise stays white: U's columns are orthonormal.
    seen = (s > 0).expand_as(z).float()
    torch.testing.assert_close(svd.U(seen * z).norm(), (seen * z).norm(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: deepinv.physics.Blur(filter=crooked(5), padding="valid"),
        lambda: deepinv.physics.Downsampling(COLOUR, filter="bicubic", factor=2, padding="reflect"),
    ],
)
def test_what_has_none_is_linear_all_the_same(make: Any) -> None:
    physics = make()
    operator, x = DeepinvOperator(physics, COLOUR), draw(1, *COLOUR)
    assert operator.svd((1, *COLOUR)) is None
    y = operator.A(x)
    w = draw(*y.shape)
    torch.testing.assert_close((y * w).sum(), (x * operator.At(w)).sum(), rtol=1e-3, atol=1e-3)
    assert restore_with(physics, y, PiGDM(steps=3), PRIOR, noise=0.1).shape == x.shape


def test_methods_are_reconstructors() -> None:
    x = torch.rand(2, *COLOUR, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.02, 0.2])
    physics = deepinv.physics.Inpainting(COLOUR, mask=mask(*COLOUR), noise_model=deepinv.physics.GaussianNoise(sigma))
    y = physics(x)
    for method in (DDRM(), DDNM(steps=5), DiffPIR(steps=5)):
        model = reconstructor(method, PRIOR, seed=3)
        assert isinstance(model, deepinv.models.Reconstructor)
        both = model(y, physics)
        assert both.shape == x.shape
        for i in range(2):  # with its own level, as by itself
            alone = reconstructor(method, PRIOR, noise=float(sigma[i]), seed=3 + i)(y[i : i + 1], physics)
            torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-4, atol=1e-4)


def test_what_is_not_linear_has_its_gradient() -> None:
    x = torch.rand(1, *COLOUR, generator=torch.Generator().manual_seed(0))

    class Square(deepinv.physics.Physics):  # type: ignore[misc]  # untyped
        def A(self, x: Tensor, **more: Any) -> Tensor:
            return x**2

    y = Square().A(x)
    restored = restore_with(Square(), y, DPS(steps=200, scale=1.0), PRIOR, noise=0.01)
    assert (restored**2 - y).abs().mean() < 0.1
    with pytest.raises(UsageError, match="Square is not linear, which DDRM needs"):
        restore_with(Square(), y, DDRM(), PRIOR, noise=0.01)


def test_noise_without_a_level_is_named() -> None:
    physics = deepinv.physics.Denoising(noise_model=deepinv.physics.PoissonNoise(gain=0.1))
    with pytest.raises(UsageError, match="PoissonNoise has no sigma"):
        restore_with(physics, torch.rand(1, *COLOUR), DDRM(), PRIOR)
