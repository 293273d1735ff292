from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid import images, metrics
from pellucid.bench.compare import MeasuredPair, chosen, means, measured, of_sets
from pellucid.bench.pairs import Pair
from pellucid.errors import PellucidError, UsageError
from pellucid.metrics import Metric, SetMetric

PSNR: dict[str, Metric] = {"psnr": metrics.get("psnr")}
BOTH = ("truth", "input")


def write(path: Path, *pages: NDArray[Any]) -> Path:
    images.write(images.bound([images.from_array(page) for page in pages]), path)
    return path


def flat(value: int, dtype: Any = np.uint8, shape: tuple[int, ...] = (12, 13, 3)) -> NDArray[Any]:
    return np.full(shape, value, dtype)


def decibels(error: float) -> float:
    return -20 * math.log10(error)


def one(pair: Pair, of: dict[str, Metric] = PSNR) -> MeasuredPair:
    (row,) = measured(pair, of)
    return row


def test_figures_are_the_metrics_and_gains_their_differences(tmp_path: Path) -> None:
    pair = Pair("x", *(write(tmp_path / f"{v}.png", flat(v)) for v in (110, 100, 140)))
    row = one(pair)
    assert row.figures["psnr"] == pytest.approx(decibels(10 / 255), abs=1e-4)
    assert row.gain["psnr"] == pytest.approx(decibels(10 / 255) - decibels(40 / 255), abs=1e-4)
    assert (row.size, row.page, row.errors) == ((12, 13), None, ())


def test_sixteen_bits_are_read_whole(tmp_path: Path) -> None:
    for name in ("grey.png", "grey.tif", "colour.tif"):
        shape = (5, 6) if name.startswith("grey") else (5, 6, 3)
        pair = Pair("x", *(write(tmp_path / f"{v}-{name}", flat(v, np.uint16, shape)) for v in (40_000, 40_001)))
        assert one(pair).figures["psnr"] == pytest.approx(decibels(1 / 65535), abs=0.05)


def test_equal_images_are_infinitely_good_and_transparency_is_not_looked_at(tmp_path: Path) -> None:
    clear, dense = (np.dstack([flat(70), flat(alpha, shape=(12, 13))]) for alpha in (30, 255))
    pair = Pair("x", write(tmp_path / "a.png", clear), write(tmp_path / "b.png", dense))
    assert one(pair).figures == {"psnr": math.inf}


def test_grey_counts_as_three_equal_channels_beside_colour(tmp_path: Path) -> None:
    truth = np.dstack([flat(value, shape=(12, 13)) for value in (100, 110, 120)])
    pair = Pair("x", write(tmp_path / "a.png", flat(110, shape=(12, 13))), write(tmp_path / "b.png", truth))
    assert one(pair).figures["psnr"] == pytest.approx(decibels(math.sqrt(200 / 3) / 255), abs=1e-4)


def test_pages_are_measured_each(tmp_path: Path) -> None:
    pair = Pair("x", write(tmp_path / "a.tif", flat(1), flat(9)), write(tmp_path / "b.tif", flat(1), flat(4)))
    first, second = measured(pair, PSNR)
    assert (first.page, second.page) == (1, 2)
    assert first.figures == {"psnr": math.inf}
    assert second.figures["psnr"] == pytest.approx(decibels(5 / 255), abs=1e-4)
    row = one(Pair("x", pair.restored, write(tmp_path / "c.tif", flat(1))))
    assert row.errors == (f"{pair.restored}: has 2 pages, {tmp_path / 'c.tif'} has 1",)


def test_sizes_that_differ_and_files_that_are_none_are_named(tmp_path: Path) -> None:
    small, large = write(tmp_path / "a.png", flat(1)), write(tmp_path / "b.png", flat(1, shape=(13, 12, 3)))
    assert one(Pair("x", small, large)).errors == (f"{small}: has 13x12 pixels, {large} has 12x13",)
    (tmp_path / "c.png").write_bytes(b"none")
    for pair in (Pair("x", tmp_path / "c.png", small), Pair("x", small, tmp_path / "c.png")):
        row = one(pair)
        assert (row.figures, len(row.errors)) == ({}, 1)
        assert "c.png: is no image" in row.errors[0]
        assert str(pair.restored) in row.errors[0]
    # A small damaged image, as of super-resolution, has no figures to gain on.
    assert one(Pair("x", small, small, large)).before == {}


def test_one_metric_that_cannot_takes_no_other_with_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", flat(1, shape=(2, 3, 3)))
    row = one(Pair("x", path, path), PSNR | {"ssim": metrics.get("ssim")})
    assert row.figures == {"psnr": math.inf}
    assert [error.startswith(f"{path}: SSIM needs images of at least") for error in row.errors] == [True]


def test_each_metric_gets_what_it_compares_with(tmp_path: Path) -> None:
    class Told(Metric):
        better = "lower"

        def __init__(self, against: Any) -> None:
            self.name = self.against = against  # type: ignore[misc]

        def one(self, image: Tensor, truth: Tensor) -> Tensor:
            return (255 * truth.mean()).round()[None]

    pair = Pair("x", *(write(tmp_path / f"{v}.png", flat(v)) for v in (1, 2, 3)))
    told: dict[str, Metric] = {name: Told(name) for name in ("truth", "input", "nothing")}
    row = one(pair, told)
    assert row.figures == {"truth": 2, "input": 3, "nothing": 1}
    assert row.before == {"truth": 2, "nothing": 3}
    assert one(Pair("x", pair.restored), told).figures == {"nothing": 1}


def test_means_are_of_images_and_of_each_that_of_its_samples() -> None:
    def row(truth: str, value: float) -> MeasuredPair:
        return MeasuredPair(Pair("x", Path("x"), Path(truth)), None, (1, 1), {"psnr": value}, {"psnr": value - 1})

    rows = [row("a", 10), row("a", 20), row("b", 19)]
    found = means(rows, lambda each: each.figures)["psnr"]
    assert found.mean == 17
    assert found.error == pytest.approx(2)  # of 15 and 19: their spread over the root of two
    assert means(rows, lambda each: each.gain)["psnr"].mean == 1


def test_sets_are_compared_whole(tmp_path: Path) -> None:
    class Means(SetMetric):
        name, better = "means", "lower"

        def features(self, images: Tensor) -> Tensor:
            return 255 * images.double().mean((2, 3))

        def distance(self, features_a: Tensor, features_b: Tensor) -> float:
            assert (len(features_a), len(features_b)) == (2, 1)
            return (features_a.mean() - features_b.mean()).item()

    a, b, c = (write(tmp_path / f"{v}.png", flat(v)) for v in (10, 20, 3))
    assert of_sets(Means(), [a, b], [c]) == pytest.approx(12, abs=1e-4)


def test_what_is_measured_is_what_was_asked_for(tmp_path: Path) -> None:
    assert list(chosen([], {}, {}, BOTH)) == ["psnr", "ssim"]
    assert list(chosen(["loe", "psnr", "loe"], {}, {}, BOTH)) == ["loe", "psnr"]
    luma = chosen(["psnr"], {}, {"psnr.space": "y", "psnr.crop": "2", "psnr.rounded": "true"}, BOTH)["psnr"]
    assert luma == metrics.get("psnr", space="y", crop=2, rounded=True)
    own = tmp_path / "own.safetensors"
    metrics.Pristine(torch.zeros(36).double(), torch.eye(36).double()).write(own)
    assert list(chosen([], {"niqe": own}, {}, BOTH)) == ["psnr", "ssim", "niqe"]
    assert list(chosen(["niqe"], {"niqe": own}, {}, ())) == ["niqe"]


@pytest.mark.parametrize(
    ("names", "weights", "protocol", "given", "says"),
    [
        (["psnrs"], {}, {}, BOTH, "did you mean 'psnr'"),
        ([], {"lpisp": "x"}, {}, BOTH, "did you mean 'lpips'"),
        (["psnr"], {"lpips": "x"}, {}, BOTH, "say --metric lpips, too"),
        (["psnr"], {}, {"ssim.crop": "1"}, BOTH, "say --metric ssim, too"),
        (["psnr"], {}, {"psnr.window": "x"}, BOTH, "psnr has no 'window'; it has space, crop, rounded"),
        (["psnr"], {}, {"psnr": "x"}, BOTH, "psnr has no ''"),
        (["psnr"], {}, {"psnr.crop": "x"}, BOTH, "crop must be a valid integer, not 'x'"),
        (["lpips"], {}, {}, BOTH, "say --weights lpips=FILE"),
        (["consistency"], {}, {}, BOTH, "compare does not"),
        (["pi"], {}, {}, BOTH, "is not measured"),
        (["ssim"], {}, {}, ("input",), "ssim compares with the clean images"),
        (["loe"], {}, {}, ("truth",), "say --damaged"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    names: list[str], weights: dict[str, Path], protocol: dict[str, str], given: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        chosen(names, weights, protocol, given)


def test_weights_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "none.pth").write_bytes(b"none")
    with pytest.raises(PellucidError, match=r"none\.pth"):
        chosen([], {"lpips": tmp_path / "none.pth"}, {}, BOTH)
