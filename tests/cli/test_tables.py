from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.bench import spec

Command = Callable[..., Any]


def test_the_list_has_every_table_its_needs_and_its_cost(pellucid_command: Command) -> None:
    said = pellucid_command("bench", "--list", "--seconds", "36")
    assert said.code == 0
    listed = {line.split()[0]: line for line in said.out.splitlines() if line.split()}
    assert set(spec.names()) <= set(listed)
    # 270 evaluations of 36 s for each of 1,000 images.
    assert listed["dreamclean-5"].split()[1:5] == ["celeba", "celeba_hq.ckpt", "270", "2700.0"]
    assert "fbcnn" in listed["dreamclean-3"]


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
    from pellucid.problem import to_unit

    (tmp_path / "data").mkdir()
    images.write(images.from_tensor(to_unit(bundled["cat"][..., :32, :32])), tmp_path / "data" / "1.png")
    said = pellucid_command(
        "bench", "dreamclean-3", "--data", tmp_path / "data", "--prior", tiny_prior, "-o", tmp_path / "out",
        "--on", "lsun-bedroom", "-m", "FBCNN", "--json",
    )  # fmt: skip
    assert said.code == 0
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert {row["method"] for row in rows} == {"damaged", "FBCNN"}
    assert any("--weights fbcnn=FILE" in row.get("why", "") for row in rows)


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


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['pellucid', 'bench', '--help']\nfrom pellucid.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nprint([name for name in ('torch', 'jinja2') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
