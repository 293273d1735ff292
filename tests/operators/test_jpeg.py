from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.operators import Jpeg
from pellucid.problem import to_unit


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
    assert Jpeg(quality).tables[0].flatten().tolist() == sorted_table(file, 0)


def sorted_table(file: io.BytesIO, index: int) -> list[float]:
    """A file's quantisation table row by row."""
    with Image.open(file) as image:
        return [float(value) for value in image.quantization[index]]


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
