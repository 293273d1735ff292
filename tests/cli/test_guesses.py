"""The help in panels, the overview, and wrong guesses that are answered with the right words."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

import pellucid
from pellucid import Recipe
from pellucid.catalogue import tasks
from pellucid.catalogue.words import MEANT
from pellucid.cli import app, panels
from pellucid.cli.diagnose import PageDiagnosis, _lines
from pellucid.diagnosis import Diagnosis
from pellucid.diagnosis.exposure import Exposure

Command = Callable[..., Any]
ASSET = Path(pellucid.__file__).parent / "assets" / "cat.png"


def test_every_option_of_restore_has_its_panel() -> None:
    command = typer.main.get_command(app).commands["restore"]  # type: ignore[attr-defined]
    options = {one.name for one in command.params if one.opts[0].startswith("-")}
    assert options <= set(panels.PANELS), "place a new option in cli/panels.py"
    shown = list(dict.fromkeys(one.rich_help_panel for one in command.params if one.name in options))
    assert shown == ["Everyday", "Known damage", "Quality and speed", "Jobs", "Research"]


def test_help_ends_with_examples(pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = [line.strip() for line in pellucid_command("restore", "--help").out.splitlines() if line.strip()]
    after = lines[lines.index("Examples:") + 1 :]
    assert [line for line in after if line.startswith("pellucid ")] == [f"pellucid {call}" for call, _ in panels._LINES]


def test_the_name_alone_shows_three_commands(pellucid_command: Command) -> None:
    said = pellucid_command()
    assert said.code == 0
    calls = [line.split()[1] for line in said.out.splitlines() if line.startswith("  pellucid ")]
    assert calls == ["restore", "diagnose", "app"]


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (("upscale", "a.png"), "pellucid restore IN -o OUT --task enlarge --by 2"),
        (("denoise", "a.png"), "pellucid restore IN -o OUT --task denoise"),
        (("colourise", "a.png"), "pellucid restore IN -o OUT --task colorize"),
        (("gui",), "pellucid app"),
        (("resotre", "a.png"), "did you mean 'restore'?"),
        ((ASSET,), f"pellucid restore {ASSET} -o OUT"),
        (("restore", ASSET, "-o", "x.png", "--upscale", 4), "--task enlarge --by 4"),
        (("restore", ASSET, "-o", "x.png", "--upscale=3"), "--task enlarge --by 3"),
        (("restore", ASSET, "-o", "x.png", "--sharpen"), "--task unblur"),
        (("restore", ASSET, "--out", "x.png"), "-o OUT"),
        (("restore", ASSET, "-o", "x.png", "--task", "upscale"), "--task enlarge --by 2"),
        (("restore", ASSET, "b.png"), "-o b.png"),
    ],
)
def test_wrong_guesses_are_pointed_right(pellucid_command: Command, arguments: tuple[Any, ...], right: str) -> None:
    said = pellucid_command(*arguments)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert right in said.err


def test_every_answer_is_a_task_that_exists() -> None:
    for name, meant in MEANT.items():
        assert meant in tasks.names()
        assert name not in tasks.names()


def test_names_in_advice_are_words_of_a_shell(
    pellucid_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my photo.png").write_bytes(ASSET.read_bytes())
    assert "say pellucid restore 'my photo.png' -o OUT" in pellucid_command("my photo.png").err
    assert "say -o 'its output.png'" in pellucid_command("restore", "my photo.png", "its output.png").err


def test_advised_commands_are_words_of_a_shell() -> None:
    found = Diagnosis(exposure=Exposure(0.1, 0.3, 0.0, 1.0))
    for name in ("my photo.png", "-o.png", "it's.png", "a$b;c.png"):
        *_, line = _lines(PageDiagnosis(Path(name), None, found), found)
        said = Recipe.from_command(line.partition("repair it: ")[2])
        words = shlex.split(line.partition("repair it: ")[2])
        assert said.task == "lowlight"
        assert Path(words[-3]) == Path(name)
        assert not words[-3].startswith("-")


def test_a_file_whose_name_begins_with_a_dash(
    pellucid_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-dash.png").touch()
    for call in (("restore", "-dash.png", "-o", "out.png"), ("diagnose", "-dash.png")):
        said = pellucid_command(*call)
        assert said.code == 2
        assert said.err.endswith("(for the file, say ./-dash.png)\n")
    assert "(see pellucid diagnose --help)" in pellucid_command("diagnose", "-x.png").err
