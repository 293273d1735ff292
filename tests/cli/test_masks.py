"""`--task scratches`: a mask is proposed, looked at, and filled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid import Recipe, images

Command = Callable[..., Any]
SCRATCHES = ("--task", "scratches")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A plain picture with one white line down it."""
    return _scan(tmp_path / "scan.png", 20)


def _scan(path: Path, column: int) -> Path:
    pixels = np.full((72, 66, 3), 90, np.uint8)
    pixels[:, column : column + 2] = 250
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def _marked(path: Path) -> Any:
    with Image.open(path) as mask:
        return np.asarray(mask.convert("L")) > 127


def test_a_mask_is_proposed_and_nothing_else_is_done(pellucid_command: Command, scan: Path, tmp_path: Path) -> None:
    call = ("restore", scan, "-o", tmp_path / "out.png", *SCRATCHES, "--save-mask", tmp_path / "mask.png")
    said = pellucid_command(*call, "--json")
    assert said.code == 0
    marked = _marked(tmp_path / "mask.png")
    assert marked[:, 20:22].all()
    assert not marked[:, :15].any()
    assert not marked[:, 28:].any()
    assert json.loads(said.out)["share"] == pytest.approx(marked.mean())
    assert "--mask" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.png", "scan.png"]
    again = pellucid_command(*call)
    assert (again.code, len(again.err.splitlines())) == (2, 1)
    assert "exists" in again.err
    assert pellucid_command(*call, "--overwrite").code == 0


def test_a_mask_needs_no_place_for_a_restored_picture(pellucid_command: Command, scan: Path, tmp_path: Path) -> None:
    folder, other = scan.parent / "in", tmp_path / "other.png"
    _scan(folder / "a.png", 10)
    assert pellucid_command("restore", scan, *SCRATCHES, "--save-mask", other).code == 0
    assert pellucid_command("restore", folder, *SCRATCHES, "--save-mask", tmp_path / "masks").code == 0
    assert _marked(other)[:, 20:22].all()
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["a.png.png"]
    before = other.read_bytes()
    refused = pellucid_command("restore", scan, *SCRATCHES, "--save-mask", other)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert f"{other}: exists" in refused.err
    assert pellucid_command("restore", scan, *SCRATCHES, "--save-mask", scan).code == 2
    assert pellucid_command("restore", scan, *SCRATCHES, "--yes", "--save-mask", tmp_path / "n.png").code == 2
    assert other.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "masks", "other.png", "scan.png"]


def test_every_door_fills_what_is_marked(
    pellucid_command: Command, scan: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    known = np.asarray(Image.open(scan)).copy()
    mask = tmp_path / "mask.png"
    prior = ("-p", tiny_prior, "--set", "steps=10")
    for name, more in {"yes.png": ("--yes", "--save-mask", mask), "mask-out.png": ("--mask", mask)}.items():
        assert pellucid_command("restore", scan, "-o", tmp_path / name, *SCRATCHES, *more, *prior).code == 0
    marked = _marked(mask)
    assert marked[:, 20:22].all()
    assert not (marked & (np.asarray(pellucid.propose_mask(scan)) == 0)).any()
    outs = [np.asarray(Image.open(tmp_path / name)) for name in ("yes.png", "mask-out.png")]
    np.testing.assert_array_equal(outs[0], outs[1])
    np.testing.assert_array_equal(outs[0][~marked], known[~marked])
    assert (outs[0][marked] != known[marked]).any()
    mine = pellucid.restore(scan, task="scratches", mask=tmp_path / "mask.png", prior=str(tiny_prior), steps=10)
    np.testing.assert_array_equal(np.asarray(mine), outs[0])


def test_a_folder_has_a_mask_for_each_picture(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    _scan(tmp_path / "in" / "a.png", 10)
    _scan(tmp_path / "in" / "b.png", 30)
    Image.new("RGB", (66, 72), (90, 90, 90)).save(tmp_path / "in" / "plain.png")
    call = ("restore", tmp_path / "in", "-o", tmp_path / "out", *SCRATCHES, "-p", tiny_prior, "--set", "steps=10")
    assert pellucid_command(*call, "--save-mask", tmp_path / "masks").code == 0
    assert not (tmp_path / "out").exists()
    marked = [_marked(tmp_path / "masks" / f"{name}.png.png").any() for name in ("a", "b", "plain")]
    assert marked == [True, True, False]
    before = Recipe(task="scratches", mask=tmp_path / "masks").fingerprint("prior")
    said = pellucid_command(*call, "--mask", tmp_path / "masks", "--json")
    records = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0
    assert [one["note"] for one in records if one.get("note")] == ["nothing is marked, left unchanged"]
    assert (tmp_path / "out" / "plain.png").exists()
    Image.new("L", (66, 72)).save(tmp_path / "masks" / "a.png.png")
    assert Recipe(task="scratches", mask=tmp_path / "masks").fingerprint("prior") != before
    (tmp_path / "masks" / "b.png.png").unlink()
    lacking = pellucid_command(*call, "--mask", tmp_path / "masks", "--overwrite")
    assert lacking.code != 0
    assert "no mask for this picture" in lacking.err


def test_an_empty_mask_is_not_advised(pellucid_command: Command, tmp_path: Path) -> None:
    plain = tmp_path / "in" / "plain.png"
    plain.parent.mkdir()
    Image.new("RGB", (66, 72), (90, 90, 90)).save(plain)
    call = ("restore", *SCRATCHES, "--save-mask")
    said = pellucid_command(*call, tmp_path / "mask.png", plain, "-o", tmp_path / "out.png")
    assert said == (0, f"{tmp_path / 'mask.png'}: nothing of {plain} marked as scratches and specks\n", "")
    _scan(tmp_path / "in" / "scan.png", 10)
    said = pellucid_command(*call, tmp_path / "masks", tmp_path / "in", "-o", tmp_path / "out")
    assert ["nothing of" in line for line in said.out.splitlines()] == [True, False]
    assert f"--mask {tmp_path / 'masks'}" in said.err


def test_a_folder_leaves_nothing_out_in_silence(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    _scan(folder / "a.png", 10)
    page = images.read(folder / "a.png")
    images.write(images.bound([page, page]), folder / "pages.tif")
    (folder / "broken.png").write_bytes(b"none")
    (folder / "nowhere.png").symlink_to("nothing.png")
    (folder / "notes.txt").write_text("notes")
    call = ("restore", folder, "-o", tmp_path / "out", *SCRATCHES, "-p", tiny_prior, "--set", "steps=10", "--save-mask")
    said = pellucid_command(*call, tmp_path / "masks")
    assert said.code == 1
    for line in (
        "broken.png: is no image",
        "pages.tif: a mask is of one page, this file has 2: say --yes",
        "nowhere.png: is a link to nothing",
        "not taken, .txt is not read in folders: ",
        "look at it and correct it",
    ):
        assert line in said.err
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["a.png.png"]
    said = pellucid_command(*call, tmp_path / "sure", "--yes")
    assert said.code == 1
    assert "pages.tif: a mask is of one page, this file has 2: its mask is not saved" in said.err
    assert "2 of 3 images done, 1 failed, 1 not begun, 1 not taken" in said.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".pellucid.jsonl", "a.png", "pages.tif"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (SCRATCHES, "--save-mask FILE proposes one to look at"),
        (("--yes",), "yes goes with the task scratches"),
        (("--task", "denoise", "--yes"), "denoise proposes nothing"),
        (("--task", "denoise", "--save-mask", "m.png"), "goes with the task scratches"),
        ((*SCRATCHES, "--save-mask", "m.jpg"), "PNG"),
        ((*SCRATCHES, "--mask", "m.png", "--save-mask", "n.png"), "leave --save-mask out"),
        ((*SCRATCHES, "--mask", "m.png", "--yes"), "leave one out"),
    ],
)
def test_wrong_calls_are_one_line(
    pellucid_command: Command, scan: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    said = pellucid_command("restore", scan, "-o", tmp_path / "out.png", *arguments)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [scan]


@pytest.mark.parametrize("task", ["inpaint", "scratches"])
def test_a_mask_of_another_size_is_one_line(
    pellucid_command: Command, scan: Path, tmp_path: Path, tiny_prior: Path, task: str
) -> None:
    small = Image.new("L", (5, 4))
    small.putpixel((2, 2), 255)
    small.save(tmp_path / "small.png")
    call = ("restore", scan, "-o", tmp_path / "out.png", "--task", task, "--mask", tmp_path / "small.png")
    said = pellucid_command(*call, "-p", tiny_prior)
    assert (said.code, len(said.err.splitlines())) == (1, 1)
    assert "a mask of 5x4 pixels does not fit images of" in said.err


def test_a_mask_of_the_whole_picture_is_refused_and_one_of_most_of_it_said(
    pellucid_command: Command, scan: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    with Image.open(scan) as image:
        mask = Image.new("L", image.size, 255)
    named = ("restore", scan, "-o", tmp_path / "out.png", "--task", "inpaint", "--mask", tmp_path / "mask.png")
    call = (*named, "-p", tiny_prior, "--set", "steps=4")
    mask.save(tmp_path / "mask.png")
    said = pellucid_command(*call)
    assert (said.code, len(said.err.splitlines())) == (1, 1)
    assert "mask.png: marks the whole picture: paint black what is known" in said.err
    assert not (tmp_path / "out.png").exists()
    # A mask turned into its negative: the scratches are black.
    mask.paste(0, (0, 0, mask.width // 4, mask.height))
    mask.save(tmp_path / "mask.png")
    said = pellucid_command(*call)
    assert said.code == 0
    assert "the mask marks 75.8 % of the picture as missing: white is filled, black stays" in said.out
