"""Options from a file, and a call written to one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

Command = Callable[..., Any]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def config(photo: Path, tiny_prior: Path) -> Callable[..., Path]:
    """Writes a file beside the photograph."""

    def write(text: str) -> Path:
        path = photo.parent / "run.toml"
        # Literal texts: a path may have backslashes.
        path.write_text(f"prior = '{tiny_prior}'\n{text}")
        return path

    return write


@pytest.fixture
def restored(pellucid_command: Command, config: Callable[..., Path]) -> Command:
    """Runs with a file that says something, and gives the record of the one image."""

    def run(text: str, *more: object) -> dict[str, Any]:
        said = pellucid_command("restore", "--config", config(text), "--json", *more)
        assert (said.code, said.err) == (0, "")
        record: dict[str, Any] = json.loads(said.out)
        return record

    return run


SETTINGS = "method = 'dreamclean'\n[set]\nstrength = 20\nschedule = 'langevin'\nshared = true\ngamma = 0.1\n"


def test_a_file_says_all_there_is_to_say(restored: Command, photo: Path) -> None:
    record = restored("inputs = ['photo.png']\noutput = 'deep/out.png'\nseed = 7\n" + SETTINGS)
    expected = {"strength": 20, "schedule": "langevin", "shared": True, "gamma": 0.1, "corrections": 1}
    assert record["hyper_parameters"].items() >= expected.items()
    # Paths begin at the file's folder, wherever the command is called.
    assert record["input"] == str(photo)
    assert record["output"] == str(photo.parent / "deep" / "out.png")
    assert record["seed"] == 7
    assert (photo.parent / "deep" / "out.png").is_file()


def test_a_fraction_is_a_text(restored: Command, photo: Path, tmp_path: Path) -> None:
    text = "method = 'denoise'\nnoise = '10/255'\n"
    assert restored(text, photo, "-o", tmp_path / "out.png")["noise"] == pytest.approx(10 / 255, rel=1e-6)


def test_the_command_line_wins(restored: Command, photo: Path, tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "other.png")
    record = restored(
        "inputs = 'photo.png'\noutput = 'out.png'\nseed = 7\n" + SETTINGS,
        tmp_path / "other.png", "-o", tmp_path / "mine.png", "--seed", 8, "--set", "gamma=0.2",
    )  # fmt: skip
    assert (record["input"], record["output"]) == (str(tmp_path / "other.png"), str(tmp_path / "mine.png"))
    assert record["seed"] == 8
    # One hyper-parameter takes no other with it.
    assert record["hyper_parameters"].items() >= {"gamma": 0.2, "schedule": "langevin", "strength": 20}.items()
    assert not (photo.parent / "out.png").exists()


@pytest.mark.parametrize("written", ["strength = 20", "[set]\nstrength = 20"])
@pytest.mark.parametrize("said", [("--strength", 30), ("--set", "strength=30")])
def test_it_wins_however_a_thing_is_said(
    restored: Command, photo: Path, written: str, said: tuple[object, ...]
) -> None:
    record = restored("output = 'out.png'\n" + written, photo, *said)
    assert record["hyper_parameters"]["strength"] == 30


def test_switches_and_names_as_they_are_typed(pellucid_command: Command, photo: Path) -> None:
    path = photo.parent / "run.toml"
    path.write_text("output = 'out'\nprior = 'natural'\ndry-run = true\noverwrite = false\n")
    # A folder that happens to be called like a prior is not meant.
    (photo.parent / "natural").mkdir()
    said = pellucid_command("restore", photo, "--config", path)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{photo} -> {photo.parent / 'out' / 'photo.png'}  9x8")
    assert not (photo.parent / "out").exists()


def test_what_the_file_turns_on_can_be_turned_off(restored: Command, photo: Path, tmp_path: Path) -> None:
    author = PngInfo()
    author.add_text("Author", "somebody")
    Image.new("RGB", (9, 8)).save(photo, pnginfo=author)
    text = "strip-metadata = true\n" + SETTINGS
    restored(text, photo, "-o", tmp_path / "stripped.png")
    restored(text, photo, "-o", tmp_path / "kept.png", "--keep-metadata")
    with Image.open(tmp_path / "stripped.png") as stripped, Image.open(tmp_path / "kept.png") as kept:
        assert "Author" not in stripped.info
        assert kept.info["Author"] == "somebody"


def test_a_list_is_numbers_with_commas_between_them(pellucid_command: Command, config: Callable[..., Path]) -> None:
    said = pellucid_command("restore", "--config", config("inputs = 'photo.png'\n[set]\nstrength = [1, 2]"))
    assert "not '1,2'" in said.err


def test_what_lies_beside_the_file_is_found(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    (photo.parent / "priors").mkdir()
    (photo.parent / "priors" / "mine").symlink_to(tiny_prior)
    path = photo.parent / "run.toml"
    path.write_text("output = 'out.png'\nprior = 'priors/mine'\nstrength = 20\n")
    said = pellucid_command("restore", photo, "--config", path, "--json")
    assert json.loads(said.out)["prior"] == str(photo.parent / "priors" / "mine")
    (photo.parent / "own_restorer.py").write_text("def same(image):\n    return image\n")
    path.write_text("output = 'same.png'\nmethod = 'own_restorer.py:same'\n")
    said = pellucid_command("restore", photo, "--config", path, "--json")
    assert json.loads(said.out)["method"] == f"{photo.parent / 'own_restorer.py'}:same"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sede = 3", "run.toml: unknown option 'sede': did you mean 'seed'?"),
        ("dry_run = true", "run.toml: unknown option 'dry_run': did you mean 'dry-run'?"),
        ("config = 'other.toml'", "run.toml: unknown option 'config'"),
        ("seed = 3.5", "run.toml: Invalid value for '--seed': '3.5' is no whole number"),
        ("mask = 'a\\u0000'".replace("'", '"'), "the name has a zero character"),
        ("seed = true", "run.toml: Invalid value for '--seed'"),
        ("seed = [3]", "run.toml: seed is a text or a number, not [3]"),
        ("exact = 'yes'", "run.toml: exact is true or false, not 'yes'"),
        ("set = 3", "run.toml: set is a table, [set], not 3"),
        ("[set]\nstrength = {a = 1}", "run.toml: set.strength is a text or a number"),
        ("strength = 3\n[set]\nstrength = 3", "leave one out"),
        ("[set]\nstrenght = 3", "has no 'strenght'"),
    ],
)
def test_a_wrong_file_is_one_line(
    pellucid_command: Command, config: Callable[..., Path], photo: Path, text: str, says: str
) -> None:
    path = config("output = 'out.png'\n" + text)
    said = pellucid_command("restore", photo, "--config", path)
    assert (said.code, len(said.err.splitlines()), said.out) == (2, 1, "")
    assert says in said.err
    assert {each.name for each in photo.parent.iterdir()} == {"photo.png", "run.toml"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"seed = ", "is no TOML"),
        (b"\xff = 1", "is no TOML"),
        (b"seed = " + b"1" * 5000, "is no TOML"),
        (b"seed = " + b"[" * 5000, "is no TOML"),
        (None, "there is no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    pellucid_command: Command, photo: Path, tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "run.toml").write_bytes(content)
    said = pellucid_command("restore", photo, "-o", "out.png", "--config", tmp_path / "run.toml")
    assert (said.code, len(said.err.splitlines())) == (1, 1)
    assert f"run.toml: {says}" in said.err


def test_a_written_call_can_be_repeated(
    pellucid_command: Command, config: Callable[..., Path], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    folder = photo.parent / ("odd" if sys.platform == "win32" else 'o"d\\d\x7f é')
    folder.mkdir()
    call = ("restore", photo.name, "-o", f"{folder.name}/first.png", "--config", config(SETTINGS).name, "--seed", 5)
    written = tmp_path / "new" / "call.toml"
    assert pellucid_command(*call, "--set", "gamma=0.3", "--write-config", written).code == 0
    monkeypatch.chdir(tmp_path)
    (folder / "first.png").rename(tmp_path / "kept.png")
    assert pellucid_command("restore", "--config", written).code == 0
    assert (folder / "first.png").read_bytes() == (tmp_path / "kept.png").read_bytes()
    # What it writes of itself is itself.
    again = tmp_path / "again.toml"
    said = pellucid_command("restore", "--config", written, "--overwrite", "--dry-run", "--write-config", again)
    assert said.code == 0
    assert again.read_text() == written.read_text()
    assert "overwrite" not in again.read_text()


def test_a_written_call_writes_over_nothing(
    pellucid_command: Command, config: Callable[..., Path], photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "call.toml").write_text("precious")
    call = ("restore", photo, "--config", config("output = 'out.png'"), "--write-config", tmp_path / "call.toml")
    said = pellucid_command(*call, "--dry-run")
    assert said.code == 2
    assert "call.toml: exists" in said.err
    assert (tmp_path / "call.toml").read_text() == "precious"
    assert pellucid_command(*call, "--dry-run", "--overwrite").code == 0
    assert "[set]" not in (tmp_path / "call.toml").read_text()
    # A wrong call is written nowhere.
    said = pellucid_command("restore", photo, "-m", "magic", "-o", "x.png", "--write-config", tmp_path / "no.toml")
    assert said.code == 2
    assert not (tmp_path / "no.toml").exists()
