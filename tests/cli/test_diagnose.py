"""`pellucid diagnose`: every page of every file, in folders and patterns too."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import pellucid
from pellucid import Recipe, images
from pellucid.maths.problem import to_unit

Command = Callable[..., Any]


@pytest.fixture
def pages(bundled: dict[str, Tensor], tmp_path: Path) -> Path:
    """A file of two pages: a photograph, and the same in the dark."""
    page = images.from_tensor(to_unit(bundled["coffee"])[..., :48, :56])
    path = tmp_path / "pages.tif"
    images.write(images.bound([page, page.with_tensor(page.tensor() * 0.08)]), path)
    return path


def records(said: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.out.splitlines()]


def kinds(record: dict[str, Any]) -> set[str]:
    return {one["kind"] for one in record["findings"]}


def test_every_page_has_its_findings(pellucid_command: Command, pages: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = records(pellucid_command("diagnose", pages, "--json"))
    assert [(one["input"], one["page"], one["error"]) for one in (first, second)] == [
        (str(pages), 1, None),
        (str(pages), 2, None),
    ]
    assert "exposure" in kinds(second) - kinds(first)
    with caplog.at_level(logging.WARNING, "pellucid"):
        chosen = [pellucid.diagnose(pages, page=number) for number in (1, 2)]
        assert not caplog.records
        assert pellucid.diagnose(pages) == chosen[0]
    assert "has 2 pages, and the first is diagnosed" in caplog.text
    for record, found in zip((first, second), chosen, strict=True):
        assert [one["evidence"] for one in record["findings"]] == [one.evidence for one in found.findings]


def test_lines_name_the_page(pellucid_command: Command, pages: Path) -> None:
    said = pellucid_command("diagnose", pages)
    assert said.code == 0
    assert f"{pages}, page 1: " in said.out
    assert f"{pages}, page 2: " in said.out
    line = next(line for line in said.out.splitlines() if "--task lowlight" in line)
    assert "; to repair it on all pages: " in line
    assert Recipe.from_command(line.partition("all pages: ")[2]).task == "lowlight"
    alone = pages.with_name("alone.png")
    images.write(images.read(pages).pages[1], alone)
    said = pellucid_command("diagnose", alone)
    assert ", page" not in said.out
    assert "all pages" not in said.out
    assert records(pellucid_command("diagnose", alone, "--json"))[0]["page"] is None


@pytest.mark.parametrize("page", [0, 3, -1, True, 1.0, "1"])
def test_a_page_that_is_none_is_refused(pages: Path, page: Any) -> None:
    with pytest.raises(pellucid.UsageError, match="page is a number from 1 to 2, not"):
        pellucid.diagnose(pages, page=page)


def test_pictures_and_arrays_have_one_page(tiny_prior: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert pellucid.diagnose(image, tiny_prior, page=1) == pellucid.diagnose(image, tiny_prior)
    with pytest.raises(pellucid.UsageError, match="the image: page is a number from 1 to 1, not 2"):
        pellucid.diagnose(image, tiny_prior, page=2)


def test_a_page_that_fails_is_named_and_the_others_are_done(
    pellucid_command: Command, pages: Path, tiny_prior: Path
) -> None:
    good = images.read(pages).pages[0]
    odd = images.from_array(np.full((8, 8, 3), np.nan, np.float32))
    whole = images.from_array(good.colour.astype(np.float32) / 255)
    images.write(images.bound([odd, whole]), pages)
    said = pellucid_command("diagnose", pages, "-p", tiny_prior, "--json")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert f"{pages}, page 1: " in said.err
    first, second = records(said)
    assert first["error"] in said.err
    assert (first["findings"], second["error"]) == ([], None)


def test_folders_and_patterns_are_those_of_restore(
    pellucid_command: Command, pages: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    images.write(images.read(pages).pages[0], folder / "b.png")
    shutil.copy(pages, folder / "sub" / "a.tif")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    before = sorted(tmp_path.rglob("*"))
    said = pellucid_command("diagnose", folder, "-p", tiny_prior)
    assert said.code == 1
    order = ["b.png: ", "a.tif, page 1: ", "a.tif, page 2: "]
    assert sorted(order, key=said.out.index) == order
    assert "broken.jpg: is no image" in said.err
    assert "not taken, .txt is not read in folders" in said.err
    assert said.err.splitlines()[-1] == "2 of 3 images diagnosed, 1 failed, 1 not taken"
    found = records(pellucid_command("diagnose", folder, "-p", tiny_prior, "--json"))
    assert [(Path(one["input"]).name, one.get("page")) for one in found] == [
        ("notes.txt", None),
        ("b.png", None),
        ("broken.jpg", None),
        ("a.tif", 1),
        ("a.tif", 2),
    ]
    matched = records(pellucid_command("diagnose", folder / "**" / "*.tif", "-p", tiny_prior, "--json"))
    assert matched == found[3:]
    planned = records(
        pellucid_command("restore", folder, "-o", tmp_path / "out", "-p", tiny_prior, "--dry-run", "--json")
    )
    assert {one["input"] for one in planned} <= {one["input"] for one in found}
    nothing = pellucid_command("diagnose", tmp_path / "*.bmp", "-p", tiny_prior)
    assert (nothing.code, "matches no file" in nothing.err) == (1, True)
    assert sorted(tmp_path.rglob("*")) == before


def test_scratches_of_several_pages_get_no_mask_of_one() -> None:
    from pellucid.cli.diagnose import PageDiagnosis, _lines
    from pellucid.diagnosis import Diagnosis, Scratches

    found = Diagnosis(scratches=Scratches(0.05, 0.03, 0.0))
    *_, alone = _lines(PageDiagnosis(Path("a.tif"), None, found), found)
    *_, page = _lines(PageDiagnosis(Path("a.tif"), 2, found), found)
    assert "pellucid restore --task scratches --save-mask MASK.png a.tif" in alone
    assert Recipe.from_command(page.partition("all pages: ")[2]) == Recipe(task="scratches", yes=True)
