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
from pellucid import Problem, degradations, methods, metrics, tasks
from pellucid.bench import spec
from pellucid.errors import PellucidError, UsageError
from pellucid.jobs import executors
from pellucid.jobs.fingerprint import of_configuration
from pellucid.operators import AveragePool, Operator
from pellucid.priors import load_prior
from pellucid.priors.fingerprint import fingerprint

Command = Callable[..., Any]
PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with the page's files in it, which nobody has imported yet."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for name, code in zip(("mine", "nets", "columns", "", "vig", "errors", "gentle"), blocks, strict=True):
        if name:
            (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    *_, table = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mine.toml").write_text(table, encoding="utf-8")
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
    assert "needs the degradation" in pellucid_command("methods", "mine.py:Projected").out
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


def test_a_damage_in_a_file(written: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    Image.new("RGB", (9, 7), (200, 200, 200)).save("photograph.png")
    said = pellucid_command(
        "degrade", "photograph.png", "-o", "dark.png", "-d", "vig.py:vignette", "--set", "strength=0.8", "--json"
    )
    assert (said.code, json.loads(said.out)["parameters"]) == (0, {"strength": 0.8})
    with Image.open("dark.png") as dark:
        assert (dark.getpixel((4, 3)), dark.getpixel((0, 0))) == ((200,) * 3, (40,) * 3)
    image = torch.full((1, 3, 8, 8), 0.5)
    both = degradations.get("vig.py:vignette:0.8+noise:0.05|jpeg:30")(image, 3)
    first = degradations.get("vig.py:vignette", strength=0.8)(image, 3)
    assert torch.equal(both, degradations.get("grey|noise:0.05|jpeg:30")(first, 3))
    with pytest.raises(UsageError, match="has no 'strenght'; it has strength"):
        degradations.get("vig.py:vignette", strenght=1)
    with pytest.raises(UsageError, match="is no damage"):
        degradations.get("vig.py:torch")


def test_a_metric_in_a_file(written: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    for name, level in (("a", 100), ("b", 103)):
        Image.new("RGB", (9, 7), (level,) * 3).save(f"{name}.png")
    own = "errors.py:MeanError"
    said = pellucid_command("compare", "a.png", "b.png", "-m", own, "-m", "psnr", "--set", f"{own}.border=2", "--json")
    row, summary = map(json.loads, said.out.splitlines())
    assert (said.code, list(row["figures"])) == (0, ["mae", "psnr"])
    assert summary["mean"]["mae"] == pytest.approx(3, abs=1e-4)
    assert "mae: lower is better" in pellucid_command("compare", "a.png", "b.png", "-m", own).out.lower()
    with pytest.raises(UsageError, match="is no metric: a class that inherits from"):
        metrics.get("errors.py:torch")


def test_a_table_in_a_file(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    said = pellucid_command("bench", "mine.toml", "--quick", "--images", "1", "-p", tiny_prior, "-o", "rows", "--json")
    assert [json.loads(line)["method"] for line in said.out.splitlines()] == ["damaged", "DreamClean"]
    for name, line in (("nowhere.toml", "there is no such file"), ("dreamclean-1.toml", "give the file another name")):
        with pytest.raises(PellucidError, match=line):
            spec.load(name)


def test_an_executor_in_a_file(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    Path("scans").mkdir()
    for name in "ab":
        Image.new("RGB", (9, 7), (200, 200, 200)).save(f"scans/{name}.png")
    call = ("restore", "scans", "-p", tiny_prior, "-s", "20", "-o")
    said = pellucid_command(*call, "out", "--executor", "gentle.py:Gentle")
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    assert pellucid_command(*call, "this", "--executor", "this").code == 0
    assert all(Path(f"out/{name}.png").read_bytes() == Path(f"this/{name}.png").read_bytes() for name in "ab")
    with pytest.raises(UsageError, match="does not accept its options"):
        executors.find("gentle.py:Gentle", workers=2)
