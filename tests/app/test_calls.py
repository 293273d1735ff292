"""The command and the program that the page shows write the bytes that the page gives for download."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pellucid import images
from pellucid.app.calls import Call, target_name
from pellucid.app.choices import Choices, variants
from pellucid.app.desk import Desk
from pellucid.app.session import Session
from pellucid.app.work import Restorers
from pellucid.maths.problem import to_unit
from pellucid.priors.backends import Autocast

FAST = Choices(strength="20", settings=("steps=100",))


def test_the_simplest_command_says_no_more_than_it_must() -> None:
    assert Call(["a.jpg"], variants(Choices())).command() == "pellucid restore a.jpg -o a-restored.jpg"
    assert Call(["a.jpg", "b.png"], variants(Choices())).command() == "pellucid restore a.jpg b.png -o restored"


def test_names_are_quoted_and_never_options() -> None:
    said = shlex.split(Call(["-o my photo's.jpg"], variants(Choices(seed=3)), {"device": "cpu"}).command())
    assert said[2] == "./-o my photo's.jpg"
    assert said[-4:] == ["--seed", "3", "--device", "cpu"]


def test_how_the_page_computes_is_said(desk: Desk, session: Session) -> None:
    how = Restorers("cpu", precision="bfloat16")
    assert isinstance(how.load("natural"), Autocast)
    commands, program = replace(desk, restorers=how).calls(session, Choices())
    assert commands.endswith("--device cpu --precision bfloat16")
    assert "device='cpu', precision='bfloat16'" in program
    assert Restorers().options_used == {}


def test_a_format_that_cannot_be_written_becomes_png() -> None:
    assert target_name("scan.gif", "restored") == "scan.gif-restored.png"


@pytest.mark.parametrize(
    "choices",
    [
        FAST,
        replace(FAST, seed=7, samples=2),
        Choices(fidelity=0.2),
        Choices(task="sr2", settings=("steps=20",), noise=0.02, tile=64),
        Choices(task="inpaint", exact=True, settings=("steps=20",)),
        Choices(compare=("denoise", "dreamclean"), strength="20"),
        Choices(task="hdr", settings=("steps=4", "scale=100")),
    ],
    ids=["strength", "samples", "fidelity", "task", "mask", "compare", "exposures"],
)
def test_both_give_the_bytes_of_the_download(
    choices: Choices, desk: Desk, session: Session, finish: Callable[[Session], None], photo: Path, tiny_prior: Path,
    tmp_path: Path, pellucid_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, bundled: dict[str, Tensor],
) -> None:  # fmt: skip
    choices = replace(choices, prior=str(tiny_prior))
    names = ["photo.jpg"]
    session.add({photo: "photo.jpg"}, desk.limits)
    if choices.task == "hdr":
        images.write(images.from_tensor(to_unit(bundled["coffee"])[..., :40, :56] * 0.4), tmp_path / "dark.png")
        session.add({tmp_path / "dark.png": "dark.png"}, desk.limits)
        names.append("dark.png")
    if choices.task == "inpaint":
        mask = tmp_path / "mask.png"
        pixels = to_unit(bundled["coffee"])[:, :1, :40, :56] * 0
        pixels[..., 10:20, 10:20] = 1
        images.write(images.from_tensor(pixels), mask)
        choices = replace(choices, mask=mask)
    desk.run(session, choices)
    finish(session)
    assert session.newest is not None
    downloads = {version.path.name: version.path.read_bytes()
                 for outcome in session.newest.outcomes.values() for version in outcome.versions}  # fmt: skip
    assert len(downloads) == len(variants(choices))

    commands, program = desk.calls(session, choices)
    monkeypatch.chdir(tmp_path)
    for line in commands.splitlines():
        said = pellucid_command(*shlex.split(line)[1:])
        assert said.code == 0, said.err
    for name, data in downloads.items():
        assert (tmp_path / name).read_bytes() == data
        (tmp_path / name).unlink()
    exec(compile(program, "program.py", "exec"), {})
    for name, data in downloads.items():
        assert (tmp_path / name).read_bytes() == data


def test_python_imports_what_it_uses() -> None:
    plain, tasked = (Call(["a.png"], variants(choices)).python() for choices in (Choices(), Choices(task="sr2")))
    assert "task" not in plain
    assert "Recipe(task='sr2')" in tasked


def test_a_picture_that_its_format_cannot_hold_gets_another(
    desk: Desk, session: Session, finish: Callable[[Session], None], photo: Path, tiny_prior: Path, tmp_path: Path,
    pellucid_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    images.write(images.from_array(images.read(photo).colour.astype("uint16") * 257), tmp_path / "deep.tif")
    (tmp_path / "deep.tif").rename(tmp_path / "deep.jpg")
    session.add({tmp_path / "deep.jpg": "deep.jpg"}, desk.limits)
    choices = replace(FAST, prior=str(tiny_prior))
    desk.run(session, choices)
    finish(session)
    assert session.newest is not None
    (version,) = session.newest.outcomes["deep.jpg"].versions
    assert version.path.name == "deep.jpg-restored.png"
    monkeypatch.chdir(tmp_path)
    commands, _ = desk.calls(session, choices)
    assert pellucid_command(*shlex.split(commands)[1:]).code == 0
    assert (tmp_path / version.path.name).read_bytes() == version.path.read_bytes()
