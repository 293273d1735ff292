"""Every operator against its laws, on random shapes, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.operators import (
    AveragePool,
    Bicubic,
    Blur,
    Denoise,
    Fourier,
    Grayscale,
    Hadamard,
    Mask,
    Operator,
    PhaseRetrieval,
    Stack,
    Thumbnail,
    ToneCurve,
)
from pellucid.operators import blur as kernels

Make = Callable[[int, int], Operator]

SPECTRAL: dict[str, tuple[Make, int]] = {
    "denoise": (lambda h, w: Denoise(), 1),
    "mask": (lambda h, w: Mask.random(h, w, 0.4, seed=1), 1),
    "mask of an image": (lambda h, w: Mask((torch.rand(2, 1, h, w) < 0.5).float()), 1),
    "grey": (lambda h, w: Grayscale(), 1),
    "luma": (lambda h, w: Grayscale((0.299, 0.587, 0.114)), 1),
    "pool 2": (lambda h, w: AveragePool(2), 2),
    "pool 3": (lambda h, w: AveragePool(3), 3),
    "bicubic 2": (lambda h, w: Bicubic(2), 2),
    "bicubic 3": (lambda h, w: Bicubic(3), 3),
    "thumbnail 2": (lambda h, w: Thumbnail(2), 2),
    "thumbnail 3": (lambda h, w: Thumbnail(3), 3),
    "gaussian": (lambda h, w: Blur(kernels.gaussian(0.7)), 1),
    "uniform": (lambda h, w: Blur(kernels.uniform(3)), 1),
    "motion": (lambda h, w: Blur(kernels.motion(3.5, 30)), 1),
    "even kernel": (lambda h, w: Blur(torch.tensor([[1.0, 2.0], [3.0, 4.0]]) / 10), 1),
    "fourier": (lambda h, w: Fourier(torch.rand(h, w, generator=torch.Generator().manual_seed(0)) < 0.5), 1),
    "lines": (lambda h, w: Fourier.lines(h, w, 0.5), 1),
    "delta": (lambda h, w: Blur(torch.ones(1, 1)), 1),
}
OTHERS: dict[str, tuple[Make, int]] = {
    "replicate": (lambda h, w: Blur(kernels.gaussian(0.5, 3), "replicate"), 1),
    "replicate, large kernel": (lambda h, w: Blur(kernels.gaussian(0.5, 9), "replicate"), 1),
    "replicate, even kernel": (lambda h, w: Blur(torch.tensor([[1.0, 2.0], [3.0, 14.0]]) / 20, "replicate"), 1),
    "grey pool": (lambda h, w: Grayscale() @ AveragePool(2), 2),
    "masked blur": (lambda h, w: Mask.random(h, w, 0.3) @ Blur(kernels.gaussian(0.5, 3)), 1),
    "stack": (lambda h, w: Stack([Grayscale(), AveragePool(2)], (3, h, w)), 2),
}
LINEAR = SPECTRAL | OTHERS


def make(name: str, rows: int, columns: int) -> tuple[Operator, Tensor]:
    """An operator and a batch of two images that it takes."""
    maker, multiple = LINEAR[name]
    height, width = rows * multiple, columns * multiple
    torch.manual_seed(0)
    return maker(height, width), draw(2, 3, height, width)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(a.double(), b.double(), rtol=tolerance, atol=tolerance)


SIZES = {"rows": st.integers(1, 6), "columns": st.integers(1, 6)}


@pytest.mark.parametrize("name", LINEAR)
@given(**SIZES)
def test_the_adjoint_is_the_adjoint(name: str, rows: int, columns: int) -> None:
    operator, x = make(name, rows, columns)
    before = x.clone()
    y = operator.A(x)
    u = draw(*y.shape, seed=1)
    forward, backward = ((a * b).flatten(1).sum(1) for a, b in ((y, u), (x, operator.At(u))))
    close(forward, backward)
    assert torch.equal(x, before)
    assert operator.image_shape(tuple(y.shape)) == tuple(x.shape)


@pytest.mark.parametrize("name", LINEAR)
@given(**SIZES)
def test_the_vector_jacobian_product_is_the_adjoint(name: str, rows: int, columns: int) -> None:
    operator, x = make(name, rows, columns)
    result: Any = torch.func.vjp(operator.A, x)
    y, pull = result
    u = draw(*y.shape, seed=1)
    close(pull(u)[0], operator.At(u))


@pytest.mark.parametrize("name", SPECTRAL)
@given(**SIZES)
def test_the_pseudo_inverse_is_penroses(name: str, rows: int, columns: int) -> None:
    operator, x = make(name, rows, columns)
    y = operator.A(x)
    u = draw(*y.shape, seed=1)
    close(operator.A(operator.pinv(y)), y)
    close(operator.pinv(operator.A(operator.pinv(u))), operator.pinv(u), 1e-4)


@pytest.mark.parametrize("name", SPECTRAL)
def test_a_consistent_image_is_the_nearest_that_agrees(name: str) -> None:
    operator, x = make(name, 4, 4)
    y = operator.A(draw(*x.shape, seed=2))
    moved = operator.consistent(x, y)
    close(operator.A(moved), y)
    # The way there has no part that A does not see.
    close(operator.pinv(operator.A(moved - x)), moved - x)
    if isinstance(operator, Mask):
        known = operator.known.expand_as(x) > 0
        assert torch.equal(moved[known], y[known])
        assert torch.equal(moved[~known], x[~known])


@pytest.mark.parametrize("name", OTHERS)
@given(**SIZES)
def test_iterative_pseudo_inverses_are_near(name: str, rows: int, columns: int) -> None:
    operator, x = make(name, rows, columns)
    y = operator.A(x)
    close(operator.A(operator.pinv(y)), y, 1e-3)
    # Of least norm: nothing of it lies in the null space, where x may lie.
    close(operator.pinv(operator.A(operator.pinv(y))), operator.pinv(y), 1e-3)


@pytest.mark.parametrize("name", SPECTRAL)
@given(**SIZES)
def test_the_decomposition_is_orthonormal_and_is_the_operator(name: str, rows: int, columns: int) -> None:
    operator, x = make(name, rows, columns)
    svd = operator.svd(tuple(x.shape))
    assert svd is not None
    z, y = svd.Vt(x), operator.A(x)
    u = draw(*y.shape, seed=1)
    assert z.shape == x.shape == torch.broadcast_shapes(x.shape, svd.s.shape)
    assert (svd.s >= 0).all()
    close(svd.V(z), x)
    close(svd.Vt(svd.V(z)), z)
    close((z * z).sum(), (x * x).sum())
    close(svd.U(svd.s * z), y)
    close(svd.V(svd.s * svd.Ut(u)), operator.At(u))
    kept = (svd.s > 0).expand_as(x)
    close(svd.Ut(svd.U(z)) * kept, z * kept)
    assert (svd.Ut(u)[~kept].abs() < 1e-6).all()


@pytest.mark.parametrize("name", SPECTRAL)
def test_singular_values_are_those_of_the_dense_matrix(name: str) -> None:
    operator, x = make(name, 3, 2)
    x = x[:1]
    if name == "mask of an image":
        operator = Mask(operator.known[:1])  # type: ignore[attr-defined]
    units = torch.eye(x.numel(), dtype=torch.float64).view(-1, *x.shape[1:])
    dense = torch.linalg.svdvals(operator.A(units).flatten(1))
    svd = operator.svd(tuple(x.shape))
    assert svd is not None
    ours = svd.s.expand_as(x).flatten().double().sort(descending=True).values
    close(ours[: len(dense)], dense)
    assert (ours[len(dense) :] == 0).all()


@pytest.mark.parametrize("name", [name for name in SPECTRAL if name != "mask of an image"])
def test_a_batch_is_its_images(name: str) -> None:
    operator, x = make(name, 5, 4)
    y = operator.A(x)
    close(operator.A(x[1:]), y[1:], 1e-12)
    close(operator.pinv(y[1:]), operator.pinv(y)[1:], 1e-12)


# --- each for what it is ----------------------------------------------------------------------------------------------


def test_hadamard() -> None:
    operator, x = Hadamard(8, 16, 0.3), draw(2, 3, 8, 16)
    svd, y = operator.svd((2, 3, 8, 16)), operator.A(x)
    assert y.shape == (2, 3, 38)
    close(svd.U(svd.s * svd.Vt(x)), y)
    close(svd.V(svd.Vt(x)), x)
    close(operator.A(operator.pinv(y)), y)
    close((y * y).sum(), (x * operator.At(y)).sum())
    # A constant image, one coefficient without the random signs, is spread over all of them.
    flat = Hadamard(8, 16, 1.0).A(torch.ones(1, 1, 8, 16))
    assert flat.abs().max() < 0.6 * flat.norm()
    for wrong in ((8, 12, 0.5), (8, 8, 0.0), (8, 8, 1.5)):
        with pytest.raises(UsageError):
            Hadamard(*wrong)


def test_a_mask_of_a_share_misses_that_many_pixels_in_all_channels(tmp_path: Path) -> None:
    mask = Mask.random(10, 10, 0.25, seed=3)
    assert mask.known.sum() == 75
    y = mask.A(torch.ones(1, 3, 10, 10))
    assert torch.equal(y[:, 0], y[:, 2])
    assert (Mask.box(10, 10, 2, 3, 4, 5).known == 0).sum() == 20
    Image.fromarray(np.array([[0, 255], [100, 200]], np.uint8)).save(tmp_path / "mask.png")
    for path in (tmp_path / "mask.png", str(tmp_path / "mask.png")):
        assert Mask.read(path).known.tolist() == [[[[1, 0], [1, 0]]]]
    for wrong in (torch.ones(3), torch.full((2, 2), 0.5)):
        with pytest.raises(UsageError):
            Mask(wrong)
    with pytest.raises(UsageError, match="does not fit"):
        mask.A(torch.ones(1, 3, 9, 10))


def test_pooling_is_the_mean_and_its_pseudo_inverse_repeats_it() -> None:
    x = draw(1, 1, 4, 4)
    y = AveragePool(2).A(x)
    assert y[0, 0, 0, 1].item() == pytest.approx(x[0, 0, :2, 2:].mean().item())
    assert AveragePool(2).pinv(y)[0, 0, 1, 3] == y[0, 0, 0, 1]
    with pytest.raises(UsageError, match="sizes that 2 divides"):
        AveragePool(2).A(draw(1, 1, 4, 5))


def test_bicubic_keeps_straight_lines_and_agrees_with_torchs_own_inside() -> None:
    ramp = torch.arange(48, dtype=torch.float64).expand(1, 1, 48, 48).contiguous()
    small = Bicubic(4).A(ramp)
    close(small[..., 3:-3], torch.arange(12, dtype=torch.float64)[3:-3].expand(1, 1, 12, 6) * 4 + 1.5)
    close(small[..., 3:-3, 3:-3], torch.nn.functional.interpolate(
        ramp, scale_factor=0.25, mode="bicubic", antialias=True)[..., 3:-3, 3:-3], 1e-4)  # fmt: skip


def test_blur_is_a_convolution_about_the_kernels_middle() -> None:
    image = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    image[..., 4, 4] = 1
    kernel = torch.arange(6, dtype=torch.float64).view(2, 3)
    for border in ("circular", "replicate"):
        out = Blur(kernel, border).A(image)
        close(out[0, 0, 3:5, 3:6], kernel)
        assert out.sum().item() == pytest.approx(15)
    # A flat image stays flat where the edge goes on, and everywhere on a circle.
    flat = torch.ones(1, 1, 5, 7)
    for border in ("circular", "replicate"):
        close(Blur(kernels.motion(9, 20), border).A(flat), flat)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(9, 9), (10, 13), (33, 33), (3, 31)])
@pytest.mark.parametrize("size", [(12, 17), (40, 37)])
def test_a_large_kernel_is_the_same_convolution(shape: tuple[int, int], size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.rand(shape, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    (h, w), (height, width) = shape, size
    rows, columns = (torch.arange(side + n - 1) - (n - 1) // 2 for side, n in zip(size, shape, strict=True))
    beyond = x[..., rows.clamp(0, height - 1)[:, None], columns.clamp(0, width - 1)]
    windows = beyond.unfold(2, h, 1).unfold(3, w, 1)
    expected = (windows * kernel.flip(0, 1)).sum((-2, -1))
    torch.testing.assert_close(Blur(kernel, "replicate").A(x), expected)


def test_kernels() -> None:
    for kernel in (kernels.gaussian(2), kernels.uniform(9), kernels.motion(15, 30), kernels.anisotropic(3, 1, 45)):
        assert kernel.sum().item() == pytest.approx(1)
        assert (kernel >= 0).all()
        close(kernel, kernel.flip(0, 1), 1e-3)  # symmetric about the middle: nothing moves
    position = torch.arange(17, dtype=torch.float64) - 8
    spread = (kernels.gaussian(2, 17).sum(0) * position**2).sum()
    assert spread.item() == pytest.approx(4, rel=0.01)
    right = kernels.motion(8)
    assert right[4].sum().item() == pytest.approx(1)
    assert kernels.motion(8, 90)[:, 4].sum().item() == pytest.approx(1)
    rising = kernels.motion(8, 45)
    assert rising[2, 6] > 0.05 > rising[2, 2]
    assert kernels.anisotropic(3, 1, 45)[11, 13] > kernels.anisotropic(3, 1, 45)[13, 13]


def test_kernels_are_read_from_images(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100], [100, 200]], np.uint8)).save(tmp_path / "kernel.png")
    for path in (tmp_path / "kernel.png", str(tmp_path / "kernel.png")):
        close(kernels.read(path), torch.tensor([[0, 0.25], [0.25, 0.5]]))
    Image.new("L", (3, 3)).save(tmp_path / "black.png")
    with pytest.raises(UsageError, match="black"):
        kernels.read(tmp_path / "black.png")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Blur(torch.ones(3)),
        lambda: Blur(torch.ones(3, 3), "zero"),  # type: ignore[arg-type]
        lambda: kernels.gaussian(0),
        lambda: kernels.uniform(0),
        lambda: kernels.motion(0),
        lambda: AveragePool(0),
        lambda: Mask.random(4, 4, 2.0),
        lambda: ToneCurve(0),
        lambda: PhaseRetrieval(0.5),
        lambda: Stack([], (3, 4, 4)),
        lambda: Grayscale().A(torch.ones(1, 4, 2, 2)),
        lambda: Grayscale().pinv(torch.ones(1, 3, 2, 2)),
    ],
)
def test_nonsense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        wrong()


def test_what_is_not_linear_says_so() -> None:
    y = torch.ones(1, 3, 4, 4)
    for operator in (ToneCurve(2, 0.5), PhaseRetrieval()):
        assert not operator.linear
        with pytest.raises(UsageError, match="not linear"):
            operator.At(y)
    assert not (Grayscale() @ ToneCurve()).linear
    with pytest.raises(UsageError, match="phases are unknown"):
        PhaseRetrieval().pinv(y)


def test_tone_curve_and_its_inverse() -> None:
    x = torch.linspace(-1, 1, 9).view(1, 1, 3, 3)
    curve = ToneCurve(0.5, 2.2)
    assert curve.A(x)[0, 0, 2, 2].item() == pytest.approx(0)  # white at half the exposure is mid grey
    close(curve.pinv(curve.A(x)), x)


def test_phase_retrieval_measures_magnitudes_and_projects_onto_them() -> None:
    x = draw(2, 1, 8, 6)
    operator = PhaseRetrieval()
    y = operator.A(x)
    assert y.shape == (2, 1, 16, 12)
    assert operator.image_shape((2, 1, 16, 12)) == (2, 1, 8, 6)
    with pytest.raises(UsageError, match="no measurements of size 14"):
        operator.image_shape((2, 1, 14, 14))
    close((y**2).sum(), (x**2).sum())
    close(operator.A(-x), y)
    close(operator.A(x.flip(-1, -2)), y)
    close(operator.project(x, y), x)
    near = x + 0.1 * draw(2, 1, 8, 6, seed=1)
    assert (operator.A(operator.project(near, y)) - y).norm() < (operator.A(near) - y).norm()


def test_frequencies_are_those_of_the_fourier_transform() -> None:
    x = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    operator = Fourier.lines(6, 8, 0.5, 0.25, seed=1)
    known = operator.known[0]
    assert known.sum() == 4
    assert known[:2].tolist() == [1, 1]  # round(8 / 4) lines around frequency 0: itself and the next
    y = operator.A(x)
    assert operator.image_shape(tuple(y.shape)) == tuple(x.shape)
    spectrum = torch.fft.fft2(x, norm="ortho") * operator.known
    torch.testing.assert_close(Fourier.complex(y), spectrum)
    torch.testing.assert_close(Fourier.real(spectrum), y)
    for wrong in (torch.ones(3), torch.full((2, 2), 0.5)):
        with pytest.raises(UsageError, match="mask of frequencies"):
            Fourier(wrong)
    for shape, says in (((1, 3, 6, 8), "two channels"), ((1, 2, 6, 6), "does not fit")):
        with pytest.raises(UsageError, match=says):
            operator.At(torch.zeros(shape))
    with pytest.raises(UsageError, match="shares of lines"):
        Fourier.lines(6, 8, 0.1, 0.2)


def test_methods_take_frequencies() -> None:
    """A measurement of all of them, without noise, is the image."""
    from pellucid.maths.problem import Problem
    from pellucid.methods import DDNM, DDRM
    from pellucid.priors import GaussianPrior

    x = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prior = GaussianPrior(torch.zeros(3, 1, 1).double(), variance=torch.full((3, 1, 1), 0.3).double())
    for operator in (Fourier(torch.ones(6, 8)), Fourier.lines(6, 8, 0.5)):
        y = operator.A(x)
        for method in (DDRM(steps=5), DDNM(steps=5)):
            out = method(Problem(y, operator, 0.0), prior)
            torch.testing.assert_close(operator.A(out), y, atol=1e-4, rtol=1e-4)
