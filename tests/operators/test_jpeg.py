from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid import images
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.problem import to_model, to_unit
from pellucid.operators import Jpeg


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]), st.sampled_from(["4:2:0", "4:4:4"]))
def test_the_second_time_changes_nothing(height: int, width: int, channels: int, subsampling: str) -> None:
    x = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    operator, before = Jpeg(20, subsampling), x.clone()
    once = operator.A(x)
    assert once.shape == x.shape
    if height % 16 == 0 and width % 16 == 0:
        # Otherwise the edge that is repeated is another one the second time.
        torch.testing.assert_close(operator.A(once), once, rtol=0, atol=1e-8)
    assert torch.equal(operator.A(x[1:]), once[1:])
    assert torch.equal(x, before)


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_it_agrees_with_libjpeg(bundled: dict[str, Tensor], quality: int) -> None:
    """But for rounding to 8 bits, which the file does twice."""
    x = bundled["cat"]
    file = io.BytesIO()
    pixels = (to_unit(x[0]) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:4:4")
    theirs = np.asarray(Image.open(file)).astype(float)
    ours = (to_unit(Jpeg(quality, "4:4:4").A(x))[0] * 255).permute(1, 2, 0).numpy()
    assert np.abs(theirs - ours).mean() < 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["grey", "4:2:0", "4:2:2", "4:4:4"])
def test_a_file_says_how_it_was_compressed(
    bundled: dict[str, Tensor], tmp_path: Path, kind: str, orientation: int
) -> None:
    """Turned as its EXIF data says, a file's own compression changes it least; sides that no block divides."""
    pixels = (to_unit(bundled["cat"][0, :, 4:201, :253]) * 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    chosen: dict[str, str] = {} if kind == "grey" else {"subsampling": kind}
    (image.convert("L") if kind == "grey" else image).save(tmp_path / "x.jpg", quality=23, exif=exif, **chosen)
    picture = images.read(tmp_path / "x.jpg")
    coding = Jpeg(23, "4:4:4" if kind == "grey" else kind).coding
    assert picture.jpeg == replace(coding, tables=coding.tables[: 1 if kind == "grey" else 3], orientation=orientation)
    y = to_model(picture.tensor())
    changed = (Jpeg.of(picture).A(y) - y).abs().mean()
    # Rounding to 8 bits, and libjpeg's smoother way of enlarging the colours, are what is left.
    assert changed < 0.02
    assert changed < (Jpeg(23).A(y.roll((3, 3), (2, 3))) - y.roll((3, 3), (2, 3))).abs().mean() / 1.5
    assert picture.with_tensor(picture.tensor()).jpeg is None


def test_what_is_no_jpeg_file_says_so(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    Image.new("CMYK", (9, 9)).convert("RGB").save(tmp_path / "x.jpg", keep_rgb=True)
    for name in ("x.png", "x.jpg"):
        with pytest.raises(PellucidError, match="no JPEG file"):
            Jpeg.of(images.read(tmp_path / name))


def test_nonsense_is_refused() -> None:
    for wrong in (0, 101):
        with pytest.raises(UsageError, match="quality"):
            Jpeg(wrong)
    with pytest.raises(UsageError, match="subsampling"):
        Jpeg(50, "4:1:1")
    with pytest.raises(UsageError, match="2 channels"):
        Jpeg(50).A(torch.zeros(1, 2, 8, 8))
    with pytest.raises(UsageError, match="not linear"):
        Jpeg(50).At(torch.zeros(1, 3, 8, 8))
