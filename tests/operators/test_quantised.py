"""JPEG's quantisation as a linear operator against its laws, and against what Pillow writes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.images import JpegCoding, from_pil
from pellucid.maths.problem import to_model, to_unit
from pellucid.methods.dpir import DataStep
from pellucid.operators import Jpeg, Quantised, quantised
from pellucid.operators.macroblock import plane_changes

KINDS = ["grey", "4:4:4", "4:2:2", "4:2:0"]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coding(kind: str, offset: tuple[int, int] = (0, 0), orientation: int = 1) -> JpegCoding:
    whole = Jpeg(35, "4:4:4" if kind == "grey" else kind).coding
    return replace(whole, tables=whole.tables[: 1 if kind == "grey" else 3], offset=offset, orientation=orientation)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), offset=st.sampled_from([(0, 0), (3, 6)]),
    orientation=st.sampled_from([1, 6]),
)  # fmt: skip
def test_laws(kind: str, height: int, width: int, offset: tuple[int, int], orientation: int) -> None:
    operator = Quantised(coding(kind, offset, orientation), (3, height, width))
    x = draw(0, 2, 3, height, width)
    y, decomposed = operator.A(x), operator.svd((2, 3, height, width))
    u, z, scale = draw(1, *y.shape), decomposed.Vt(x), y.abs().max().item()
    assert operator.image_shape(tuple(y.shape)) == tuple(x.shape)
    torch.testing.assert_close(decomposed.U(decomposed.s * z), y, atol=1e-6 * scale, rtol=1e-6)
    torch.testing.assert_close(decomposed.V(z), x, atol=1e-10, rtol=0)
    seen = z * (decomposed.s > 0)
    torch.testing.assert_close(decomposed.Ut(decomposed.U(z)), seen, atol=1e-10, rtol=0)
    forward, backward = (y * u).sum().item(), (x * operator.At(u)).sum().item()
    assert forward == pytest.approx(backward, rel=1e-5, abs=1e-4 * scale)
    torch.testing.assert_close(operator.A(operator.pinv(y)), y, atol=1e-6 * scale, rtol=1e-6)
    torch.testing.assert_close(operator.A(x[1:]), y[1:], atol=0, rtol=0)


@pytest.mark.parametrize("orientation", [1, 6])
def test_marks_reach_their_whole_macroblocks(orientation: int) -> None:
    operator = Quantised(coding("4:2:0", (8, 3), orientation), (3, 40, 40))
    marks = torch.zeros(1, 3, 40, 40, dtype=torch.bool)
    assert not operator.around(marks).any()
    marks[0, 1, 20, 20] = True
    around, numbers = operator.around(marks)[0], operator.A(marks.double())
    assert around.sum() == 3 * 16 * 16
    assert around[:, 20, 20].all()
    # No number of another macroblock depends on these pixels, and all of that one do.
    assert (operator.A(around.double()[None]) != 0).any(-1).sum() == (numbers != 0).any(-1).sum() == 1


def test_it_has_the_promised_size() -> None:
    assert Quantised(coding("4:2:0"), (3, 32, 48)).A(draw(0, 1, 3, 32, 48)).shape == (1, 6, 384)
    assert Quantised(coding("4:4:4"), (3, 32, 48)).A(draw(0, 1, 3, 32, 48)).shape == (1, 24, 192)
    assert Quantised(coding("grey"), (1, 32, 48)).A(draw(0, 1, 1, 32, 48)).shape == (1, 24, 64)


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:2", "4:2:0"])
def test_rounded_it_is_the_compression(kind: str) -> None:
    """Of what the nonlinear operator decodes it measures whole numbers, and these are a file's."""
    x = draw(0, 1, 3, 32, 48) / 4
    operator, whole = Quantised(coding(kind), (3, 32, 48)), Jpeg(35, kind)
    decoded = whole.A(x)
    q = operator.coefficients(decoded)
    torch.testing.assert_close(operator.A(decoded), q, atol=1e-8, rtol=0)
    assert ((operator.A(x) - q).abs() <= 0.5 + 1e-8).all()


@pytest.mark.parametrize(("quality", "wrong"), [(10, 0.001), (80, 0.03)])
@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0"])
def test_numbers_of_a_file_are_found_from_its_pixels(
    bundled: dict[str, Tensor], kind: str, quality: int, wrong: float
) -> None:
    pixels = (to_unit(bundled["cat"][0, :, :128, :128]) * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=kind)
    picture = from_pil(Image.open(file))
    assert picture.jpeg == Jpeg(quality, kind).coding
    operator = Quantised(picture.jpeg, (3, 128, 128))
    q = operator.coefficients(to_model(picture.tensor()).double())
    # What libjpeg's encoder rounded, but for its own arithmetic.
    truth = operator.A(to_model(torch.from_numpy(pixels.astype(np.float64) / 255).permute(2, 0, 1)[None]))
    assert ((q - truth).abs() > 0.6).double().mean() < wrong


def test_cells_hold(bundled: dict[str, Tensor]) -> None:
    x = bundled["cat"][..., :64, :96].double()
    operator = Quantised(coding("4:2:0"), (3, 64, 96))
    q = operator.A(x).round()
    moved = operator.within(draw(0, 1, 3, 64, 96), q)
    assert (operator.A(moved) - q).abs().max() <= 0.5 + 1e-5
    inside = operator.pinv(q)
    torch.testing.assert_close(operator.within(inside, q), inside)


def test_apart_a_change_of_the_brightness_is_grey() -> None:
    x, fine = draw(0, 1, 3, 32, 32).double(), draw(1, 1, 1, 32, 32).double()
    q = Quantised(coding("4:2:0"), (3, 32, 32)).A(x + fine)
    for apart in (False, True):
        operator = Quantised(coding("4:2:0"), (3, 32, 32), apart=apart)
        moved = operator.within(x, q, 0.0)
        torch.testing.assert_close(operator.A(moved), q, atol=1e-4, rtol=0)
        assert torch.allclose(moved, x + fine, atol=1e-5) == apart


@pytest.mark.parametrize(("size", "offset"), [((32, 32), (0, 0)), ((37, 50), (3, 6)), ((9, 7), (12, 1))])
def test_apart_the_nearest_is_so_in_the_planes_changes(size: tuple[int, int], offset: tuple[int, int]) -> None:
    x = draw(0, 1, 3, *size)
    operator = Quantised(coding("4:2:0", offset), (3, *size), apart=True)
    q = operator.A(x + draw(1, 1, 3, *size))
    # The gradient of |A x - q|^2 + w |B^-1 (x - x0)|^2, with the planes' changes B, is 0 at the nearest.
    planes, nearest = plane_changes(), operator.nearest(x, q, 0.3)
    pull = torch.einsum("cp,bchw->bphw", planes, operator.At(q - operator.A(nearest)))
    away = torch.einsum("pc,bchw->bphw", torch.linalg.inv(planes), nearest - x)
    torch.testing.assert_close(pull, 0.3 * away, atol=1e-4, rtol=1e-4)


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="3 components is no image of 1 channels"):
        Quantised(coding("4:2:0"), (1, 8, 8))
    with pytest.raises(UsageError, match="this JPEG is of images"):
        Quantised(coding("4:2:0"), (3, 8, 8)).A(draw(0, 1, 3, 8, 9))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("offset", "orientation"), [((0, 0), 1), ((3, 6), 6), ((5, 0), 3)])
@pytest.mark.parametrize("size", [(40, 33), (7, 50), (70, 9)])
def test_the_nearest_in_strips_is_the_data_step(
    kind: str, offset: tuple[int, int], orientation: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Quantised(coding(kind, offset, orientation), (3, *size))
    x0 = draw(1, 2, 3, *size)
    q = operator.A(draw(0, 2, 3, *size))
    seen = operator.A(x0)
    cells = x0 + operator.pinv(seen.clamp(q - 0.5, q + 0.5) - seen)
    step = DataStep(operator, q)
    for strip in (2**20, 1):
        monkeypatch.setattr(quantised, "_STRIP", strip)
        torch.testing.assert_close(operator.within(x0, q), cells, atol=1e-5, rtol=0)
        for weight in (0.0, 0.3):
            torch.testing.assert_close(operator.nearest(x0, q, weight), step(x0, weight), atol=1e-5, rtol=0)
