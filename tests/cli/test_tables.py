from __future__ import annotations

import csv
import inspect
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from pellucid.bench import denoisers, spec
from pellucid.cli import bench
from pellucid.cli.measuring import Shared, measuring

Command = Callable[..., Any]


def test_the_list_has_every_table_its_needs_and_its_cost(pellucid_command: Command) -> None:
    said = pellucid_command("bench", "--list", "--seconds", "36")
    assert said.code == 0
    listed = {line.split()[0]: line for line in said.out.splitlines() if line.split()}
    assert set(spec.names()) <= set(listed)
    # 270 evaluations of 36 s for each of 1,000 images.
    assert listed["dreamclean-5"].split()[1:5] == ["celeba", "celeba_hq.ckpt", "270", "2700.0"]
    assert "fbcnn" in listed["dreamclean-3"]


def test_the_list_as_json_has_all_that_stands_in_the_files(pellucid_command: Command) -> None:
    said = pellucid_command("bench", "--list", "--json")
    tables = {one["name"]: one for one in map(json.loads, said.out.splitlines())}
    assert set(tables) == set(spec.names())
    cells = tables["dreamclean-1"]["published"]
    assert {"data": "celeba", "task": "sr4", "method": "damaged"}.items() <= cells[0].items()
    assert cells[0]["figures"] == {"psnr": 23.64, "ssim": 0.51, "lpips": 0.64, "nfe": 0}


def test_a_sweep_and_its_formats(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    arguments = ["bench", "sweep", "dreamclean", "--over", "gamma=0.1,0.5", "--damage", "noise:0.1", "--images", "1"]
    arguments += ["--set", "strength=20", "--prior", str(tiny_prior), "-o", str(tmp_path)]
    said = pellucid_command(*arguments, "--format", "markdown", "--versus", "gamma=0.1")
    assert said.code == 0
    assert "| noise:0.1 | gamma=0.5 |" in said.out
    assert "PSNR - gamma=0.1" in said.out
    assert (tmp_path / "report.html").is_file()
    rows = (tmp_path / "sweep-dreamclean.jsonl").read_text()
    again = pellucid_command(*arguments, "--format", "csv")
    assert len(again.out.splitlines()) == 4
    assert (tmp_path / "sweep-dreamclean.jsonl").read_text() == rows


def test_a_tables_name_is_a_command(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    arguments = (
        "bench",
        "dreamclean-3",
        "--quick",
        "--images",
        "1",
        "--prior",
        tiny_prior,
        "-o",
        tmp_path,
        "-m",
        "Ours",
    )
    said = pellucid_command(*arguments)
    assert said.code == 0
    assert "the paper's procedure, not its figures" in said.out
    assert "24.79" in said.out
    assert (tmp_path / "report.html").is_file()
    rows = (tmp_path / "dreamclean-3.jsonl").read_text()
    assert len(rows.splitlines()) == 2
    again = pellucid_command(*arguments)
    assert again.out == said.out
    assert (tmp_path / "dreamclean-3.jsonl").read_text() == rows
    (tmp_path / "report.html").unlink()
    said = pellucid_command(*arguments, "--shard", "2/2")
    assert (said.code, said.out) == (0, "")
    assert "rows of share 2/2; the same command without --shard makes the table" in said.err
    assert not (tmp_path / "report.html").exists()


def test_a_data_set_stands_beside_the_papers_figures(
    pellucid_command: Command, tiny_prior: Path, bundled: dict[str, Any], tmp_path: Path
) -> None:
    from pellucid import images
    from pellucid.maths.problem import to_unit

    (tmp_path / "data").mkdir()
    images.write(images.from_tensor(to_unit(bundled["cat"][..., :32, :32])), tmp_path / "data" / "1.png")
    said = pellucid_command(
        "bench", "dreamclean-4", "--data", tmp_path / "data", "--prior", tiny_prior, "-o", tmp_path / "out",
        "-m", "FBCNN", "--json",
    )  # fmt: skip
    assert said.code == 0
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert {row["method"] for row in rows} == {"damaged", "FBCNN"}
    assert any("--weights fbcnn=FILE" in row.get("why", "") for row in rows)


SMALL = ("--images", 1, "--crop", 16)


@pytest.mark.parametrize(
    ("arguments", "name", "versus", "labels"),
    [
        (
            ("known", "-t", "sr4", "-m", "ddrm", "--also", "red", "--set", "ddrm.steps=2", "--quick", *SMALL),
            "known", "ddrm", {"damaged": 2, "ddrm": 2, "red": 2},
        ),
        (
            ("blind", "--damage", "noise", "-m", "denoise", "--also", "dreamclean", "--set", "dreamclean.steps=50",
             *SMALL),
            "blind", "denoise", {"damaged": 2, "denoise": 2, "dreamclean": 2},
        ),
        (
            ("photographs", "--row", "clean", "--also", "dreamclean", "--set", "dreamclean.strength=20", *SMALL),
            "photographs", "default", {"damaged": 2, "default": 2, "dreamclean": 2},
        ),
        (
            ("conformance", "-m", "ddrm", "--also", "red", "--set", "ddrm.steps=2", "--quick"),
            "conformance", "ddrm", {"ddrm": 4, "red": 4},
        ),
        (
            ("sweep", "ddrm", "--over", "steps=2,3", "--task", "sr4", "--also", "red", "--quick", "--images", 1),
            "sweep-ddrm", "steps=2", {"damaged": 1, "steps=2": 2, "steps=3": 2, "red": 2},
        ),
    ],
)  # fmt: skip
def test_every_command_keeps_rows_and_has_seeds_formats_and_differences(
    pellucid_command: Command,
    tiny_prior: Path,
    tmp_path: Path,
    arguments: tuple[Any, ...],
    name: str,
    versus: str,
    labels: dict[str, int],
) -> None:
    prior = () if name == "conformance" else ("--prior", tiny_prior)
    whole = ("bench", *arguments, *prior, "--seeds", 2, "-o", tmp_path)
    said = pellucid_command(*whole, "--format", "csv")
    assert said.code == 0, said.err
    heading, *rows = csv.reader(said.out.splitlines())
    assert heading[:6] == ["table", "data", "task", "method", "image", "seed"]
    assert Counter(row[3] for row in rows) == labels
    kept = (tmp_path / f"{name}.jsonl").read_text()
    assert len(kept.splitlines()) == len(rows)
    said = pellucid_command(*whole, "--format", "markdown", "--versus", versus)
    assert f" - {versus} |" in said.out
    # Nothing was computed again.
    assert (tmp_path / f"{name}.jsonl").read_text() == kept
    # Somebody unknown is refused before anything is computed.
    new = tmp_path / "new"
    assert "unknown method 'nobody'" in pellucid_command(*whole, "-o", new, "--versus", "nobody").err
    assert not list(new.glob("*.jsonl"))


def test_priors_side_by_side(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    whole = ("bench", "prior", tiny_prior, "--also", "natural", *SMALL, "--seeds", 2, "-o", tmp_path)
    said = pellucid_command(*whole, "--format", "csv")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == 1 + 2 * 2 * 4
    kept = (tmp_path / "prior.jsonl").read_text()
    said = pellucid_command(*whole, "--format", "markdown", "--versus", "natural")
    assert "PSNR - natural" in said.out
    assert (tmp_path / "prior.jsonl").read_text() == kept
    assert "named twice" in pellucid_command("bench", "prior", tiny_prior, "--also", tiny_prior).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dreamclean-9", "--quick"), "did you mean"),
        (("dreamclean-1",), "--data FOLDER, or --quick"),
        (("dreamclean-1", "--quick", "--data", "."), "leave --data out"),
        (("dreamclean-1", "--quick", "--on", "celeba"), "give --data"),
        (("all", "--data", "."), "one by one"),
        (("dreamclean-1", "--quick", "--task", "sr9"), "unknown task"),
        (("dreamclean-1", "--quick", "--method", "magic"), "unknown method"),
        (("dreamclean-1", "--quick", "--weights", "lpips"), "--weights takes KEY=VALUE"),
        (("dreamclean-1", "--quick", "--set", "gamma=0.1"), "--set takes METHOD.KEY=VALUE here"),
        (("dreamclean-1", "--quick", "--format", "html"), "unknown format"),
        (("dreamclean-1", "--data", "nowhere"), "no such folder"),
        (("dreamclean-1", "--data", ".", "--on", "moon"), "unknown data set"),
    ],
)
def test_a_wrong_call_is_one_line(
    pellucid_command: Command, tiny_prior: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    got = pellucid_command("bench", *arguments, "--prior", tiny_prior, "-o", tmp_path / "out")
    assert got.code == 2
    assert said in got.err
    assert len(got.err.splitlines()) == 1


def test_a_method_alone_is_compared_with_nobody(pellucid_command: Command) -> None:
    got = pellucid_command("bench", "conformance", "-m", "ddrm", "--versus", "ddrm")
    assert (got.code, got.out) == (2, "")
    assert "ddrm takes part alone" in got.err


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['pellucid', 'bench', '--help']\nfrom pellucid.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nprint([name for name in ('torch', 'jinja2') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_a_standard_set_has_its_published_rows(
    tmp_path: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        Image.new("RGB", (32, 32), "teal").save(tmp_path / f"{name}.png")
    set_of_two = denoisers.Standard("two", frozenset({"one", "two"}), {"Other": {15: 30.1, 50: 20.2}}, "nobody")
    monkeypatch.setattr(denoisers, "STANDARDS", (set_of_two,))
    out = pellucid_command("bench", "prior", tiny_prior, "--data", tmp_path).out
    assert "Other, published" in out
    (line,) = [line.split() for line in out.splitlines() if line.startswith("Other")]
    assert line[-4:] == ["30.10", "-", "20.20", "-"]
    (tmp_path / "two.png").unlink()
    assert "published" not in pellucid_command("bench", "prior", tiny_prior, "--data", tmp_path).out


def test_every_measurement_takes_the_same_options() -> None:
    every = {"--output", "--seeds", "--also", "--format", "--versus", "--json", "--seed"}
    images = {"--images", "--data", "--weights", "--lpips", "--prior"}
    few = {"--quick", "--set"}
    expected = dict.fromkeys(("table", "sweep", "known", "blind", "photographs"), every | images | few)
    # A prior has no hyper-parameters and is the argument; the exact posterior has no images.
    expected |= {"prior": every | images - {"--prior"}, "conformance": every | few | {"--method"}}
    commands = typer.main.get_group(bench.app).commands
    assert set(commands) == set(expected)
    for name, options in expected.items():
        assert options <= {one for parameter in commands[name].params for one in parameter.opts}, name


def test_a_commands_option_takes_the_place_of_a_shared_one() -> None:
    @measuring(*(one.name for one in fields(Shared) if one.name not in ("crop", "seeds", "seed")))
    def command(*, twice: int = 2, seeds: str = "none", shared: Shared) -> tuple[int, str, Shared]:
        return twice, seeds, shared

    assert list(inspect.signature(command).parameters) == ["crop", "twice", "seeds", "seed"]
    assert command(crop=8, twice=3, seeds="all", seed=5) == (3, "all", Shared(crop=8, seed=5))
