from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from pellucid import images
from pellucid.metrics import Pristine, SetMetric, registry

Command = Callable[..., Any]


def flat(path: Path, value: int, size: tuple[int, int] = (16, 14)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value,) * 3).save(path)
    return path


def decibels(steps: float) -> float:
    return -20 * math.log10(steps / 255)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Restored, clean and damaged images: off by 10 and 20, from 40 and 10."""
    for name, restored, damaged in (("a.png", 110, 140), ("sub/b.png", 120, 110)):
        flat(tmp_path / "restored" / name, restored)
        flat(tmp_path / "clean" / name, 100)
        flat(tmp_path / "damaged" / name, damaged)
    return tmp_path / "restored", tmp_path / "clean", tmp_path / "damaged"


class Means(SetMetric):
    """The difference of means, in steps of 8 bits."""

    name, better = "fid", "lower"

    def features(self, images: Tensor) -> Tensor:
        return 255 * images.double().mean((2, 3))

    def distance(self, features_a: Tensor, features_b: Tensor) -> float:
        return abs(features_a.mean() - features_b.mean()).item()


def test_two_files_in_a_table(pellucid_command: Command, folders: tuple[Path, ...]) -> None:
    restored, clean, _ = folders
    said = pellucid_command("compare", restored / "a.png", clean / "sub" / "b.png", "-m", "psnr")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "IMAGE  PSNR",
        f"a.png  {decibels(10):.2f}",
        "",
        "PSNR (dB): higher is better; beside the clean images",
    ]


def test_two_folders_have_means_with_their_standard_errors(
    pellucid_command: Command, folders: tuple[Path, ...]
) -> None:
    said = pellucid_command("compare", *folders[:2])
    assert (said.code, said.err) == (0, "")
    a, b = decibels(10), decibels(20)
    heading, *lines, _, psnr, ssim = said.out.splitlines()
    assert heading.split() == ["IMAGE", "PSNR", "SSIM"]
    assert [line.split()[:2] for line in lines[:2]] == [["a.png", f"{a:.2f}"], ["sub/b.png", f"{b:.2f}"]]
    assert lines[2].startswith(f"mean of 2  {(a + b) / 2:.2f} ±{(a - b) / 2:.2f}")
    assert (psnr[:5], ssim[:5]) == ("PSNR ", "SSIM:")


def test_json_has_a_line_for_each_and_one_for_all(pellucid_command: Command, folders: tuple[Path, ...]) -> None:
    restored, clean, damaged = folders
    flat(restored / "c.png", 7)
    flat(clean / "c.png", 7)
    flat(damaged / "c.png", 8)
    said = pellucid_command("compare", restored, clean, "--damaged", damaged, "-m", "psnr", "--json")
    assert said.code == 0
    first, second, _, whole = (json.loads(line, parse_constant=pytest.fail) for line in said.out.splitlines())
    assert first["figures"] == {"psnr": pytest.approx(decibels(10), abs=1e-4)}
    assert first["before"] == {"psnr": pytest.approx(decibels(40), abs=1e-4)}
    expected = {
        "restored": str(restored / "a.png"), "truth": str(clean / "a.png"), "damaged": str(damaged / "a.png"),
        "page": None, "width": 16, "height": 14, "error": None,
    }  # fmt: skip
    assert {key: first[key] for key in expected} == expected
    # JSON has no infinity.
    assert (second["figures"], second["before"]) == ({"psnr": None}, {"psnr": pytest.approx(decibels(1), abs=1e-3)})
    a, b = decibels(10), decibels(20)
    assert whole == {
        "images": 3, "mean": {"psnr": pytest.approx((a + b) / 2, abs=1e-4)},
        "standard_error": {"psnr": pytest.approx((a - b) / 2, abs=1e-4)},
        "gain": {"psnr": pytest.approx((a - decibels(40) + b - decibels(10)) / 2, abs=1e-4)},
        "infinite": {"psnr": 1}, "sets": {},
    }  # fmt: skip


def test_equal_images_are_counted_and_the_mean_is_of_the_others(
    pellucid_command: Command, folders: tuple[Path, ...]
) -> None:
    restored, clean, damaged = folders
    for folder in folders:
        flat(folder / "c.png", 7)
    said = pellucid_command("compare", restored, clean, "--damaged", damaged, "-m", "psnr")
    mean, note = said.out.splitlines()[4:6]
    a, b = decibels(10), decibels(20)
    gain = (a - decibels(40) + b - decibels(10)) / 2
    assert mean == f"mean of 3  {(a + b) / 2:.2f} ±{(a - b) / 2:.2f} ({gain:+.2f})"
    assert note == "PSNR of 1 image is infinite (nothing differs): the mean is of the others"
    said = pellucid_command("compare", clean, clean, "-m", "psnr")
    assert said.out.splitlines()[4:6] == ["mean of 3  inf", ""]


def test_csv_is_the_table_alone_with_every_digit(pellucid_command: Command, folders: tuple[Path, ...]) -> None:
    restored, clean, damaged = folders
    said = pellucid_command("compare", restored, clean, "--damaged", damaged, "-m", "psnr", "--csv")
    assert (said.code, said.err) == (0, "")
    heading, first, second = csv.reader(said.out.splitlines())
    assert heading == ["image", "page", "width", "height", "psnr", "psnr_before"]
    assert first[:4] == ["a.png", "", "16", "14"]
    assert [float(cell) for cell in first[4:]] == pytest.approx([decibels(10), decibels(40)], abs=1e-4)
    assert second[0] == "sub/b.png"
    (restored / "a.png").write_bytes(b"none")
    said = pellucid_command("compare", restored, clean, "-m", "psnr", "--csv")
    assert said.code == 1
    assert said.out.splitlines()[:2] == ["image,page,width,height,psnr", "a.png,,,,"]


def test_gains_over_the_damaged(pellucid_command: Command, folders: tuple[Path, ...]) -> None:
    restored, clean, damaged = folders
    said = pellucid_command("compare", restored, clean, "--damaged", damaged, "-m", "psnr")
    gains = decibels(10) - decibels(40), decibels(20) - decibels(10)
    assert [line.rpartition("(")[2] for line in said.out.splitlines()[1:4]] == [
        f"{gain:+.2f})" for gain in (*gains, sum(gains) / 2)
    ]


def test_what_does_not_fit_is_named_and_the_others_are_measured(
    pellucid_command: Command, folders: tuple[Path, ...]
) -> None:
    restored, clean, _ = folders
    flat(restored / "large.png", 1, (32, 28))
    flat(clean / "large.png", 1)
    (restored / "none.png").write_bytes(b"none")
    flat(clean / "none.png", 1)
    flat(restored / "alone.png", 1)
    flat(clean / "lonely.png", 1)
    said = pellucid_command("compare", restored, clean, "-m", "psnr")
    assert said.code == 1
    assert said.err.splitlines() == [
        f"pellucid: {restored / 'alone.png'}: has no partner in {clean}",
        f"pellucid: {clean / 'lonely.png'}: has no partner in {restored}",
        f"pellucid: {restored / 'large.png'}: has 32x28 pixels, {clean / 'large.png'} has 16x14",
        f"pellucid: {restored / 'none.png'}: is no image (or one of a kind that cannot be read)",
    ]
    shown = [line.split() for line in said.out.splitlines()]
    assert shown[1:5] == [
        ["a.png", f"{decibels(10):.2f}"], ["large.png", "-"], ["none.png", "-"], ["sub/b.png", f"{decibels(20):.2f}"],
    ]  # fmt: skip


def test_nothing_in_common_is_an_error(pellucid_command: Command, folders: tuple[Path, ...], tmp_path: Path) -> None:
    flat(tmp_path / "others" / "x.png", 1)
    said = pellucid_command("compare", folders[0], tmp_path / "others")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[-1].startswith("pellucid: ")
    assert "no image in it has a partner" in said.err


def test_samples_are_compared_with_what_they_are_of(
    pellucid_command: Command, folders: tuple[Path, ...], tmp_path: Path
) -> None:
    for name, value in (("a-1.png", 110), ("a-2.png", 120), ("sub/b-1.png", 140)):
        flat(tmp_path / "samples" / name, value)
    said = pellucid_command("compare", tmp_path / "samples", folders[1], "--samples", "-m", "psnr", "--json")
    assert (said.code, said.err) == (0, "")
    whole = json.loads(said.out.splitlines()[-1])
    a, b = (decibels(10) + decibels(20)) / 2, decibels(40)
    assert whole["mean"]["psnr"] == pytest.approx((a + b) / 2, abs=1e-4)
    assert whole["standard_error"]["psnr"] == pytest.approx((a - b) / 2, abs=1e-4)
    assert pellucid_command("compare", tmp_path / "samples", folders[1]).code == 1


def test_a_metric_may_need_no_truth(pellucid_command: Command, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in "ab":
        Image.fromarray(generator.integers(0, 255, (192, 192, 3), np.uint8)).save(tmp_path / f"{name}.png")
    own = tmp_path / "own.safetensors"
    Pristine.of([images.read(tmp_path / "a.png").tensor()]).write(own)
    said = pellucid_command("compare", tmp_path / "b.png", "-m", "niqe", "--weights", f"niqe={own}")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("IMAGE  NIQE:OWN\nb.png  ")
    assert "the clean ones are not looked at" in said.out


def test_sets_are_the_folders_whole(
    pellucid_command: Command, folders: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._SETS, "fid", Means)
    restored, clean, _ = folders
    # Partners and sizes do not matter.
    flat(restored / "more.png", 160, (3, 2))
    said = pellucid_command("compare", restored, clean, "-m", "fid")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("FID of the two folders: 30.00\n\nFID: lower is better; of all images of both folders")
    whole = json.loads(pellucid_command("compare", restored, clean, "-m", "fid", "--json").out)
    assert whole["sets"] == {"fid": pytest.approx(30, abs=1e-4)}
    (restored / "more.png").write_bytes(b"none")
    said = pellucid_command("compare", restored, clean, "-m", "fid", "-m", "psnr")
    assert said.code == 1
    assert f"pellucid: fid: {restored / 'more.png'}: is no image" in said.err
    assert "FID of the two folders: -" in said.out
    assert f"{decibels(10):.2f}" in said.out
    assert pellucid_command("compare", restored / "a.png", clean / "a.png", "-m", "fid").code == 2
    assert pellucid_command("compare", restored, "-m", "fid").code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("restored", "clean", "-m", "psnrs"), 2, "did you mean 'psnr'"),
        (("restored", "clean", "-m", "lpips"), 2, "say --weights lpips=FILE"),
        (("restored", "clean", "--weights", "lpips"), 2, "--weights takes KEY=VALUE"),
        (("restored", "clean", "--set", "psnr.space=x"), 2, "space must be 'rgb', 'y' or 'grey'"),
        (("restored", "clean/a.png"), 2, "folders with folders"),
        (("restored", "clean", "--csv", "--json"), 2, "exclude each other"),
        (("restored",), 2, "psnr compares with the clean images"),
        (("restored", "nowhere"), 1, "nowhere: there is no such file or folder"),
        ((), 2, "Missing argument"),
    ],
)
def test_a_wrong_call_is_one_line(
    pellucid_command: Command, folders: tuple[Path, ...], tmp_path: Path, arguments: tuple[str, ...], code: int,
    says: str,
) -> None:  # fmt: skip
    places = [tmp_path / one if "/" in one or one in ("restored", "clean", "nowhere") else one for one in arguments]
    said = pellucid_command("compare", *places)
    assert (said.code, said.out, len(said.err.splitlines())) == (code, "", 1)
    assert says in said.err


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['pellucid', 'compare', '--help']\nfrom pellucid.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nprint([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_names_cannot_end_a_line_or_speak_to_the_terminal(pellucid_command: Command, folders: tuple[Path, ...]) -> None:
    for folder in folders[:2]:
        flat(folder / "new\nline\x1b[2J.png", 1)
    said = pellucid_command("compare", *folders[:2], "-m", "psnr")
    assert "new\\nline\\x1b[2J.png" in said.out
    assert "\x1b" not in said.out
