"""Named validation sets."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import PellucidError, UsageError
from pellucid.train.recipe import preset
from pellucid.train.report import Log, LossRow
from pellucid.train.validation import VALIDATED, named_folders, open_sets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_folders_have_their_own_names_or_given_ones() -> None:
    assert named_folders(["a/kodak", "scans=/b/c"]) == {"kodak": Path("a/kodak"), "scans": Path("/b/c")}
    assert named_folders(["two-words=/x=y"]) == {"two-words": Path("/x=y")}
    with pytest.raises(UsageError, match="'c' is there twice"):
        named_folders(["a/c", "b/c"])
    with pytest.raises(UsageError, match="no name for a column"):
        named_folders(["a b=c"])


def test_each_named_folder_is_a_set(folder: Path) -> None:
    sets = open_sets(preset("tiny"), {"one": folder, "other": folder}, (), 1)
    assert {name: len(images) for name, images in sets.items()} == {"one": 3, "other": 3}
    assert all(image.shape == (1, 3, 20, 24) for images in sets.values() for image in images.values())
    with pytest.raises(PellucidError, match="no such folder"):
        open_sets(preset("tiny"), {"one": folder / "missing"}, (), 1)


def test_held_out_photographs_come_with_grey_and_drawn_ones_if_the_recipe_has_them(folder: Path) -> None:
    from pellucid.train.data import find

    held = find(folder)
    sets = open_sets(preset("tiny"), {}, held, 1)
    assert list(sets) == ["photographs", "grey", "drawn"]
    assert all((image == image[:, :1]).all() for image in sets["grey"].values())
    assert sets["grey"].keys() == sets["photographs"].keys()
    assert list(open_sets(preset("tiny", grey=0.0, drawn=0.0), {}, held, 1)) == ["photographs"]
    assert open_sets(preset("tiny"), {}, (), 1) == {}


def test_a_log_keeps_its_lines_when_the_sets_change(tmp_path: Path) -> None:
    def row(step: int, name: str) -> LossRow:
        return LossRow(step, 4 * step, 1e-3, 10.0, 1.0, (1.0,) * 7, {name: dict.fromkeys(VALIDATED, 30.0 + step)})

    path = tmp_path / "log.csv"
    log = Log(path, 0, ["photographs"])
    log.add(row(1, "photographs"))
    log.add(row(2, "photographs"))
    again = Log(path, 1, ["scans"])
    again.add(row(2, "scans"))
    assert [(one.step, dict(one.psnr)) for one in again.rows()] == [
        (1, {"photographs": dict.fromkeys(VALIDATED, 31.0)}),
        (2, {"scans": dict.fromkeys(VALIDATED, 32.0)}),
    ]
    with path.open() as file:
        first, second = csv.DictReader(file)
    assert (first["photographs_psnr_25"], first["scans_psnr_25"]) == ("31.0000", "")
    assert (second["photographs_psnr_25"], second["scans_psnr_25"]) == ("", "32.0000")


def test_a_log_of_one_unnamed_set_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    losses = ",".join(f"loss_below_{high}" for high in ("0.05", "0.15", "0.4", "1", "4", "20", "inf"))
    path.write_text(f"step,seen,lr,images_per_second,gradient,{losses},psnr_15,psnr_25\n3,12,.1,5,1{',1' * 7},,29.5\n")
    assert [one.psnr for one in Log(path, 3).rows()] == [{"photographs": {25: 29.5}}]
