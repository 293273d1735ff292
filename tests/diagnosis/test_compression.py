"""JPEG compression from a file's tables and from pixels."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pellucid.degradations import compress, multiple_jpeg
from pellucid.diagnosis import Finding, compression
from pellucid.diagnosis.coefficients import quality as quality_of
from pellucid.images import JpegCoding, from_pil
from pellucid.maths.problem import to_model, to_unit
from pellucid.operators import Jpeg


def saved(clean: Tensor, quality: int, subsampling: str) -> Image.Image:
    file = io.BytesIO()
    pixels = (clean[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(file)


@pytest.mark.parametrize("quality", range(1, 101, 11))
def test_the_quality_of_a_standard_table(quality: int) -> None:
    assert quality_of(Jpeg(quality).coding) == quality


@pytest.mark.parametrize(("quality", "subsampling"), [(20, "4:2:0"), (40, "4:2:0"), (60, "4:4:4"), (85, "4:2:2")])
@pytest.mark.parametrize("cut", [(0, 0), (3, 5)])
def test_pixels_tell(bundled: dict[str, Tensor], quality: int, subsampling: str, cut: tuple[int, int]) -> None:
    clean = to_unit(bundled["coffee"][..., 32:224, 32:224])
    picture = from_pil(saved(clean, quality, subsampling))
    y = to_model(picture.tensor())[..., cut[0] :, cut[1] :]
    found = compression.estimate(y)
    assert isinstance(found, Finding)
    assert found.text == f"JPEG quality {quality}, {subsampling}"
    assert found.remedy == "--task jpeg"
    assert found.confidence > 0.9
    assert found.coding.tables == Jpeg(quality).coding.tables
    assert tuple(at % 8 for at in found.coding.offset) == tuple(-by % 8 for by in cut)
    tall, wide = found.coding.shrunk
    assert found.coding.offset == (-cut[0] % (8 * tall), -cut[1] % (8 * wide))


def test_nothing_is_said_of_what_was_not_compressed(bundled: dict[str, Tensor]) -> None:
    clean = F.avg_pool2d(to_unit(bundled["coffee"]), 2)
    rng = torch.Generator().manual_seed(0)
    for image in (clean, clean + 0.1 * torch.randn(clean.shape, generator=rng), torch.zeros(1, 3, 64, 64)):
        eight = (image.clamp(0, 1) * 255).round() / 255
        assert compression.estimate(to_model(eight)) is None
    assert compression.estimate(torch.zeros(1, 3, 5, 5)) is None


@pytest.mark.parametrize("quality", [10, 40, 80, 90])
def test_of_one_compression_no_second_is_said(bundled: dict[str, Tensor], quality: int) -> None:
    clean = F.avg_pool2d(to_unit(bundled["coffee"]), 2)
    assert compression.known(to_model(compress(clean, quality)), Jpeg(quality).coding).before is None


@pytest.mark.parametrize(("first", "last"), [(75, 80), (40, 80), (60, 90), (20, 40)])
def test_a_coarser_compression_on_the_same_blocks(bundled: dict[str, Tensor], first: int, last: int) -> None:
    clean = F.avg_pool2d(to_unit(bundled["coffee"]), 2)
    found = compression.known(to_model(compress(compress(clean, first), last)), Jpeg(last).coding)
    assert found.before is not None
    assert abs(found.before.quality - first) <= 1
    assert found.before.aligned
    assert found.text.endswith(f"after quality {found.before.quality}")
    assert found.evidence["before"] == found.before.quality


def test_a_coarser_compression_on_other_blocks(bundled: dict[str, Tensor]) -> None:
    clean = F.avg_pool2d(to_unit(bundled["coffee"]), 2)
    y = to_model(multiple_jpeg(clean, (20, 60), (3, 0)))
    found = compression.known(y, Jpeg(60).coding)
    assert found.before is not None
    assert (found.before.quality, found.before.aligned) == (20, False)
    assert "another grid" in found.text
    turned = compression.known(y.flip(-2, -1), replace(Jpeg(60).coding, orientation=3))
    assert turned.before == found.before


def test_a_file_is_believed_unless_its_pixels_are_others(bundled: dict[str, Tensor]) -> None:
    picture = from_pil(saved(to_unit(bundled["coffee"][..., 64:192, 64:192]), 25, "4:2:0"))
    found = compression.of(picture)
    assert found is not None
    assert (found.quality, found.told, found.confidence) == (25, True, 1.0)
    other = from_pil(saved(to_unit(bundled["cat"][..., 64:192, 64:192]), 95, "4:4:4"))
    object.__setattr__(other, "jpeg", picture.jpeg)
    assert compression.of(other) is None


def test_odd_files(bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., :64, :64])
    file = io.BytesIO()
    saved(clean, 90, "4:4:4").convert("CMYK").save(file, "JPEG")
    assert from_pil(Image.open(file)).jpeg is None
    file = io.BytesIO()
    saved(clean, 90, "4:4:4").copy().save(file, "JPEG", progressive=True, quality=40)
    assert from_pil(Image.open(file)).jpeg == Jpeg(40).coding
    grey = io.BytesIO()
    saved(clean, 90, "4:4:4").convert("L").save(grey, "JPEG", quality=40)
    assert from_pil(Image.open(grey)).jpeg == JpegCoding(Jpeg(40).coding.tables[:1])


@pytest.mark.parametrize("tone", [0.0, 0.04, 0.5, 1.0])
def test_a_file_of_one_tone(tone: float) -> None:
    # No frequency of it has any number, as in a night picture.
    for side in (40, 64):
        picture = from_pil(saved(torch.full((1, 3, side, side), tone), 80, "4:2:0"))
        found = compression.of(picture)
        assert found is not None
        assert (found.quality, found.before) == (80, None)


@pytest.mark.parametrize(
    ("quality", "clear", "remedy"), [(15, 1.0, "--task jpeg"), (15, 0.03, "--task jpeg"), (15, 0.0, ""), (97, 1.0, "")]
)
def test_the_remedy_is_named_only_where_it_changes_the_picture(quality: int, clear: float, remedy: str) -> None:
    assert compression.Compression(Jpeg(quality).coding, clear=clear).remedy == remedy


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("dither", [0.0, 1.0])
def test_an_even_gradient_is_no_jpeg(slope: float, dither: float) -> None:
    noise = torch.rand(1, 1, 96, 160, generator=torch.Generator().manual_seed(0)) - 0.5
    levels = (10 + slope * torch.arange(160) + dither * noise).round()
    assert compression.estimate((levels / 127.5 - 1).expand(-1, 3, -1, -1)) is None
