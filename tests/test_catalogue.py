"""One name each for damages and tasks at every door, and the settings that are tuned for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pellucid import Recipe, catalogue, degradations, methods
from pellucid.bench import blind, kinds, known, spec
from pellucid.bench.run_table import kind_of
from pellucid.catalogue import tasks, told, tuned
from pellucid.errors import UsageError

Command = Callable[..., Any]
GOLDEN = Path(__file__).with_name("settings.json")
REDUCTIONS = {"sr2", "sr4", "sr8"}


def plain(value: object) -> Any:
    """A value as JSON has it; objects as their text."""
    return json.loads(json.dumps(value, default=str))


@cache
def tables() -> tuple[spec.Table, ...]:
    return tuple(map(spec.load, spec.names()))


def settings() -> dict[str, Any]:
    """Every number that was tuned or comes from a paper, by where it stands."""
    kinds_of_methods = {name: methods.find(name) for name in methods.names()}
    return {
        "defaults": {
            name: {
                one.name: one.default if one.default_factory is MISSING else one.default_factory()
                for one in fields(method)  # type: ignore[arg-type]  # every method is a dataclass
            }
            for name, method in kinds_of_methods.items()
        },
        "presets": {name: method.presets for name, method in kinds_of_methods.items() if method.presets},
        "tasks": {name: [tasks.find(name).method, tasks.find(name).settings, tasks.find(name).noise]
                  for name in tasks.names()},
        "quick, blind": {damage: tuned.blind(damage) for damage in ("noise", *tuned.BLIND_FOR)},
        "quick, told": {damage: tuned.told(damage) for damage in ("noise", *tuned.TOLD_FOR)},
        "tables": {
            table.name: {
                f"{entrant.label}, {task.name}": [
                    entrant.method, entrant.resolved(task.name, False), entrant.resolved(task.name, True)
                ]
                for entrant in table.methods
                for task in table.tasks
                if entrant.takes_part(task.name)
            }
            for table in tables()
        },
    }  # fmt: skip


def test_no_tuned_number_changes_by_itself() -> None:
    """They are measured, or a paper's.

    Whoever changes one measures again, and writes the file anew: `python -m tests.test_catalogue`.
    """
    expected, found = json.loads(GOLDEN.read_text(encoding="utf-8")), plain(settings())
    for part in expected.keys() | found.keys():
        for name in expected[part].keys() | found[part].keys():
            assert found[part].get(name) == expected[part].get(name), f"{part}: {name}"


def test_tuned_settings_are_of_methods_that_have_them() -> None:
    for damage in ("noise", *tuned.BLIND_FOR):
        assert all(methods.get(name, **own).blind for name, own in tuned.blind(damage).items())
    for damage in ("noise", *tuned.TOLD_FOR):
        for name, own in tuned.told(damage).items():
            method = methods.get(name, **own)
            assert method.takes_operator or not method.blind, name
    assert tuned.TASKS.keys() <= set(tasks.names())
    assert tuned.ONLY_FOR.keys() <= tuned.BLIND.keys()
    assert tuned.TOLD_FOR.keys() <= told.OPERATORS.keys()
    for table in tables():
        for entrant in table.methods:
            known_fields = {one.name for one in fields(kind_of(entrant))}  # type: ignore[arg-type]
            for task in table.tasks:
                assert entrant.resolved(task.name, True).keys() <= known_fields


def test_every_damage_is_in_the_catalogue_and_every_task_undoes_one() -> None:
    assert set(catalogue.UNDONE_BY) == set(degradations.names()) | REDUCTIONS
    undoing = {task for task in catalogue.UNDONE_BY.values() if task is not None}
    # Only a file can be of another size than what it is compared with.
    assert undoing | {"enlarge"} == set(tasks.names())


def test_the_list_of_tasks_says_what_each_undoes(pellucid_command: Command) -> None:
    records = {record["name"]: record["undoes"] for record in json.loads(pellucid_command("tasks", "--json").out)}
    assert records["colorize"] == ["grey"]
    assert records["enlarge"] == []
    assert records["denoise"][0] == "noise"


def test_words_for_undoing_are_taken_for_the_damage() -> None:
    assert catalogue.damage("colorize") == "grey"
    assert catalogue.damage("colorize|denoise:0.05 | jpeg:10") == "grey|noise:0.05 | jpeg:10"
    assert catalogue.damage("sr4+noise:0.05") == "sr4+noise:0.05"
    assert catalogue.damage("denoise.py:colorize:0.3|rain") == "denoise.py:colorize:0.3|rain"
    for name in catalogue.UNDONE_BY:
        assert catalogue.damage(name) == name
        assert catalogue.task(name) in (name, *tasks.names())
    for name in tasks.names():
        assert catalogue.task(name) == name
    assert [catalogue.kind(text) for text in ("sr4", "colorize", "random-mask:0.25", "rain|blur:2")] == [
        "reduce", "grey", "random-mask", "blur",
    ]  # fmt: skip


def test_one_word_at_every_door(tmp_path: Path, tiny_prior: Path, pellucid_command: Command) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    Image.effect_noise((32, 32), 60).convert("RGB").save(clean / "in.png")
    measured: dict[str, list[Any]] = {"grey": [], "colorize": []}
    for word, found in measured.items():
        said = pellucid_command("degrade", clean / "in.png", "-o", tmp_path / f"{word}.png", "-d", word, "--json")
        assert (said.code, json.loads(said.out)["damage"]) == (0, "grey"), said.err
        found.append((tmp_path / f"{word}.png").read_bytes())
        bench = ("-p", tiny_prior, "--data", clean, "--quick", "--json")
        for door in (("known", "-t", word, "-m", "ddrm"), ("blind", "--damage", word, "-m", "denoise")):
            rows = pellucid_command("bench", *door, *bench).out.splitlines()
            found.append([(json.loads(row)["method"], json.loads(row)["psnr"]) for row in rows])
    assert measured["grey"] == measured["colorize"]
    assert [len(rows) for rows in measured["grey"][1:]] == [2, 2]
    assert Recipe(task="grey") == Recipe(task="colorize")
    said = pellucid_command("restore", tmp_path / "grey.png", "-o", tmp_path / "out.png", "--task", "grey",
                            "-p", tiny_prior, "--dry-run")  # fmt: skip
    assert said.code == 0, said.err
    assert kinds.chosen(["lowlight"]) == kinds.chosen(["low-light"])
    assert list(kinds.chosen(["faded"])) == ["faded, a cast"]


@pytest.mark.parametrize("side", [12, 20, 64])
def test_what_methods_are_told_is_what_the_damage_does(side: int) -> None:
    """On images, inside the edges for blurs; of random pixels only the share is the same."""
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    for text in ("noise:0", "sr2", "sr4", "blur:0.5", "uniform-blur:3", "box-mask:0.25", "grey"):
        damaged = degradations.get(text)(image, 0)
        operator = told.maker(text if text != "noise:0" else "noise")(side, side)
        seen = operator.pinv(operator.A(image)) if text.startswith("sr") else operator.A(image)
        inside = slice(4, -4) if "blur" in text else slice(None)
        torch.testing.assert_close(
            seen.expand_as(image)[..., inside, inside], damaged[..., inside, inside], atol=2e-6, rtol=0, msg=text
        )
    lost = 1 - told.maker("random-mask:0.25")(64, 64).A(torch.ones(1, 1, 64, 64)).mean().item()
    assert lost == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nosie", "did you mean 'noise'"),
        ("rain", "unknown task 'rain'"),
        ("sr4|grey", "unknown task"),
        ("random-mask:0.25;fill=1", "has no 'fill'"),
        ("grey:3", "grey has no ''"),
        ("box-mask:much", "share must be a valid number"),
        ("sr0", "sr0"),
    ],
)
def test_what_cannot_be_told(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        told.maker(text)


def test_the_rows_of_the_benchmarks_are_in_the_catalogue() -> None:
    assert all(told.maker(task) for task in known.TASKS)
    assert all(catalogue.kind(damage) in degradations.names() for damage in blind.DAMAGES)
    for name, kind in kinds.KINDS.items():
        undone = {catalogue.UNDONE_BY.get(word) for word in kind.words} - {None}
        # A kind of damage that people have may be several at once; its task undoes the one that is named first.
        assert kind.task is None or kind.task == "enlarge" or kind.task in undone, name


def written(values: Mapping[str, Any]) -> str:
    """The golden file: a line for each method, task or table."""
    parts = (
        f"  {json.dumps(part)}: {{\n"
        + ",\n".join(f"    {json.dumps(name)}: {json.dumps(plain(one))}" for name, one in rows.items())
        + "\n  }"
        for part, rows in values.items()
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    GOLDEN.write_text(written(settings()), encoding="utf-8")
