"""What docs/extending.md has people write works as it stands there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pellucid
from pellucid import Problem, methods, tasks
from pellucid.errors import UsageError
from pellucid.jobs.fingerprint import of_configuration
from pellucid.operators import AveragePool, Operator
from pellucid.priors import load_prior
from pellucid.priors.fingerprint import fingerprint

Command = Callable[..., Any]
PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with the page's files in it, which nobody has imported yet."""
    mine, nets, degradation, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name, code in (("mine", mine), ("nets", nets), ("columns", degradation)):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_method_in_a_file_takes_part_like_any_other(written: Path, tiny_prior: Path) -> None:
    method = methods.get(f"{written / 'mine.py'}:Projected", steps=10)
    prior = load_prior(tiny_prior)
    y = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    operator = AveragePool(4)
    x = method(Problem(y, operator, 0.0), prior)
    torch.testing.assert_close(operator.A(x), y, atol=1e-5, rtol=0)
    assert torch.equal(x[1:], method(Problem(y[1:], operator, 0.0), prior, seed=1))
    assert method.nfe(prior) == 10
    described = methods.describe(f"{written / 'mine.py'}:Projected")
    assert described["hyper_parameters"] == {"steps": 20, "eta": 0.85}


def test_the_command_line_takes_it(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    assert "must be told the degradation" in pellucid_command("methods", "mine.py:Projected").out
    Image.new("RGB", (5, 4), (90, 120, 30)).save("small.png")
    said = pellucid_command(
        "restore", "small.png", "-o", "large.png", "--task", "sr4", "-m", "mine.py:Projected", "--set", "steps=5",
        "-p", tiny_prior, "--json",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    record = json.loads(said.out)
    assert (record["method"], record["nfe"], record["hyper_parameters"]["steps"]) == ("mine.py:Projected", 5, 5)
    with Image.open("large.png") as large:
        assert large.size == (20, 16)
    Path("photographs").mkdir()
    Image.new("RGB", (32, 32), (90, 120, 30)).save("photographs/a.png")
    said = pellucid_command(
        "bench",
        "known",
        "--data",
        "photographs",
        "--task",
        "sr4",
        "-m",
        "mine.py:Projected",
        "-p",
        tiny_prior,
        "--json",
    )
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["method"], row["nfe"]) for row in rows] == [("damaged", 0), ("mine.py:Projected", 20)]


def test_what_a_file_says_decides_what_is_done_already(written: Path) -> None:
    place = f"{written / 'mine.py'}:Projected"
    before = of_configuration("prior", {"method": place})
    assert before != of_configuration("prior", {"method": f"{written / 'mine.py'}:Other"})
    with (written / "mine.py").open("a") as file:
        file.write("# changed\n")
    assert before != of_configuration("prior", {"method": place})
    (written / "functions.py").write_text("def a(x):\n    return x\n\n\ndef b(x):\n    return x / 2\n")
    a, b = (load_prior(f"{written / 'functions.py'}:{name}") for name in "ab")
    assert fingerprint(a) == fingerprint(a) != fingerprint(b)


def test_a_prior_in_a_file(written: Path) -> None:
    prior = load_prior(f"{written / 'nets.py'}:wiener")
    x = torch.ones(1, 3, 2, 2)
    torch.testing.assert_close(prior(x, 0.5), x / 2)


def test_a_degradation(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    operator = tasks.operator("columns.py:EverySecond")
    assert isinstance(operator, Operator)
    x, y = torch.rand(1, 3, 4, 6), torch.rand(1, 3, 4, 3)
    assert (operator.A(x) * y).sum() == pytest.approx((x * operator.At(y)).sum().item(), abs=1e-5)
    for name in ("ddnm", "dps"):
        assert pellucid.restore(y, name, tiny_prior, operator=operator, noise=0.0, steps=5).shape == x.shape
    Image.new("RGB", (5, 4), (90, 120, 30)).save("narrow.png")
    task = ("--task", "columns.py:EverySecond", "-p", tiny_prior)
    said = pellucid_command(
        "restore", "narrow.png", "-o", "wide.png", *task, "-m", "ddnm", "--noise", "0", "--set", "steps=5"
    )
    assert (said.code, said.err) == (0, "")
    with Image.open("wide.png") as wide:
        assert wide.size == (10, 4)
    Path("photographs").mkdir()
    Image.new("RGB", (32, 32), (90, 120, 30)).save("photographs/a.png")
    # MMPS diverges on an untrained prior, and says so.
    said = pellucid_command("bench", "known", "--data", "photographs", *task, "-m", "red", "--json")
    assert [json.loads(line)["method"] for line in said.out.splitlines()] == ["damaged", "red"]
    said = pellucid_command("restore", "narrow.png", "-o", "w.png", "--task", "columns.py:torch")
    assert "is no degradation" in said.err
    (written / "needs.py").write_text(
        "from pellucid.operators import Operator\nclass Needs(Operator):\n    def __init__(self, n): pass\n"
    )
    with pytest.raises(UsageError, match="cannot be made without arguments"):
        tasks.find("needs.py:Needs")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.py:Projected", "there is no such file"),
        ("mine.py:Nothing", "has no attribute 'Nothing'"),
        ("mine.py:Prior", "is no method: a dataclass that inherits"),
        ("broken.py:Mine", r"SyntaxError: .*broken.py, line 1"),
        ("json.py:Mine", "another module is called json: give the file another name"),
    ],
)
def test_what_cannot_be_taken_is_said_in_a_line(
    written: Path, name: str, says: str, monkeypatch: pytest.MonkeyPatch, pellucid_command: Command
) -> None:
    monkeypatch.chdir(written)
    (written / "broken.py").write_text("def f(:\n")
    (written / "json.py").write_text("Mine = 1\n")
    with pytest.raises(UsageError, match=says):
        methods.find(name)
    said = pellucid_command("methods", name)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
