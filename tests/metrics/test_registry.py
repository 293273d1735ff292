from __future__ import annotations

from pathlib import Path

import pytest

from pellucid import metrics
from pellucid.errors import PellucidError, UsageError


def test_what_needs_nothing_is_there() -> None:
    for name in ("psnr", "ssim", "loe"):
        assert metrics.missing(name) is None
        assert metrics.get(name).name == name
    assert (metrics.get("psnr").better, metrics.get("psnr").unit) == ("higher", "dB")
    assert metrics.get("loe").better == "lower"


@pytest.mark.parametrize("name", ["lpips", "niqe", "fid"])
def test_what_is_missing_is_one_line(name: str, tmp_path: Path) -> None:
    line = metrics.missing(name)
    assert line is not None
    assert line.startswith(f"{name} needs ")
    assert line.endswith(": give weights")
    assert "\n" not in line
    lost = tmp_path / "lost.pth"
    assert (metrics.missing(name, weights=lost) or "").endswith(f"there is no file {lost}")
    lost.touch()
    assert metrics.missing(name, weights=str(lost)) is None
    make = metrics.get_set if name == "fid" else metrics.get
    with pytest.raises(UsageError, match="give weights"):
        make(name)
    with pytest.raises(PellucidError, match=r"lost\.pth"):
        make(name, weights=lost)


def test_consistency_must_be_told_the_damage() -> None:
    assert metrics.missing("consistency") == "consistency needs the damage itself, without its noise: give damage"
    assert metrics.missing("consistency", damage=lambda x: x) is None


def test_pi_is_known_and_never_approximated() -> None:
    assert "pi" in metrics.names()
    assert "not measured" in (metrics.missing("pi") or "")
    with pytest.raises(UsageError, match="not measured"):
        metrics.get("pi")


def test_sets_and_images_are_told_apart() -> None:
    with pytest.raises(UsageError, match="use get_set"):
        metrics.get("fid")
    with pytest.raises(UsageError, match="use get"):
        metrics.get_set("psnr")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("psnrs", {}, "unknown metric 'psnrs': did you mean 'psnr'"),
        ("psnr", {"window": "uniform"}, "psnr has no 'window'; it has space, crop, rounded"),
        ("psnr", {"space": "lab"}, "psnr: space must be one of rgb, y, grey, not 'lab'"),
        ("psnr", {"crop": -1}, "psnr: crop must be 0 or more pixels, not -1"),
        ("ssim", {"window": "box"}, "ssim: window must be gaussian or uniform, not 'box'"),
        ("ssim", {"border": "zero"}, "ssim: border must be valid or reflect, not 'zero'"),
        ("loe", {"side": 1}, "loe: side must be 2 pixels or more, not 1"),
        ("loe", {"reduction": "box"}, "loe: reduction must be bicubic or sampled, not 'box'"),
        ("lpips", {"weights": __file__, "net": "squeeze"}, "lpips: net must be alex or vgg, not 'squeeze'"),
        ("niqe", {"weights": __file__, "space": "lab"}, "niqe: space must be one of rgb, y, grey"),
    ],
)
def test_what_does_not_fit_is_said(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        metrics.get(name, **options)


def test_options_are_read_as_they_are_typed() -> None:
    read = metrics.options("ssim", {"window": "uniform", "crop": "4", "signed": "true"})
    assert metrics.get("ssim", **read) == metrics.get("ssim", window="uniform", crop=4, signed=True)
    assert metrics.options("fid", {}) == {}
    # What it needs is given in another way.
    for name, key in (("lpips", "weights"), ("consistency", "damage"), ("psnr", "windows")):
        with pytest.raises(UsageError, match=f"{name} has no '{key}'"):
            metrics.options(name, {key: "x"})
    with pytest.raises(UsageError, match="net must be 'alex' or 'vgg', not 'vgg19'"):
        metrics.options("lpips", {"net": "vgg19"})


def test_metrics_of_sets_are_no_metrics_of_images() -> None:
    for name in metrics.sets():
        with pytest.raises(UsageError, match="use get_set"):
            metrics.get(name)
