"""What docs/extending.md has people write works as it stands there."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pellucid
from pellucid import Problem, degradations, methods, metrics
from pellucid.bench import spec
from pellucid.catalogue import tasks
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


def test_the_page_uses_public_names_alone() -> None:
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), ast.unparse(node)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pellucid"):
                public = set(import_module(node.module or "").__all__)
                assert {name.name for name in node.names} <= public, node.module


def test_every_package_says_what_is_public() -> None:
    source = Path(pellucid.__file__).parent
    for file in source.rglob("__init__.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.ImportFrom | ast.FunctionDef) for node in tree.body):
            module = import_module(".".join(("pellucid", *file.relative_to(source).parts[:-1])))
            assert all(hasattr(module, name) for name in module.__all__), file


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
    # In a list, too: the file of a metric's network stands beside its options.
    weights = written / "weights"
    weights.write_bytes(b"1")
    before = of_configuration("prior", {"metrics": {"lpips": (None, weights)}})
    weights.write_bytes(b"2")
    assert before != of_configuration("prior", {"metrics": {"lpips": (None, weights)}})
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


def test_a_random_damage_in_a_file_has_a_list_of_seeds_at_every_door(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    Path("specks.py").write_text(
        "from pellucid.maths.noise import Streams\n\n\n"
        "def specks(image, amount: float = 0.1, seed=None):\n"
        "    return image + amount * Streams(seed).like(image)\n"
    )
    images_ = torch.full((2, 3, 8, 8), 0.5)
    alone = degradations.get("specks.py:specks", amount=0.2)
    both = alone(images_, 3)
    assert torch.equal(both[1:], alone(images_[1:], 4))
    assert torch.equal(both, alone(images_, [3, 4]))
    assert torch.equal(both, degradations.get("specks.py:specks:0.2+noise:0")(images_, 3))


def test_a_metric_in_a_file(written: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    for name, level in (("a", 100), ("b", 103)):
        Image.new("RGB", (9, 7), (level,) * 3).save(f"{name}.png")
    own = "errors.py:mean_error"
    said = pellucid_command("compare", "a.png", "b.png", "-m", own, "-m", "psnr", "--set", f"{own}.border=2", "--json")
    row, summary = map(json.loads, said.out.splitlines())
    assert (said.code, list(row["figures"])) == (0, ["mean_error", "psnr"])
    assert summary["mean"]["mean_error"] == pytest.approx(3, abs=1e-4)
    assert (
        "mean_error: lower is better; beside the clean"
        in pellucid_command("compare", "a.png", "b.png", "-m", own).out.lower()
    )
    said = pellucid_command("compare", "a.png", "b.png", "-m", own, "--set", f"{own}.edge=2")
    assert (said.code, "has no 'edge'; it has border" in said.err) == (2, True)
    with pytest.raises(UsageError, match="is no metric: a function, or a class that inherits from"):
        metrics.get("errors.py:torch")


def test_metrics_of_other_kinds_in_a_file(written: Path) -> None:
    (written / "kinds.py").write_text(
        "from pellucid.metrics import Metric\n"
        "class Mine(Metric):\n"
        "    name, better = 'mine', 'lower'\n"
        "    def one(self, image, truth):\n"
        "        return (image - truth).abs().mean().reshape(1)\n"
        "class Nameless(Metric):\n"
        "    better = 'lower'\n"
        "def brightness(image, gain: float = 1.0):\n"
        "    return gain * float(image.mean())\n"
        "def many(image, truth):\n"
        "    return image\n"
        "def nothing():\n"
        "    return 1\n"
    )
    place = f"{written / 'kinds.py'}:"
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(metrics.get(f"{place}Mine")(x, x), torch.zeros(2))
    alone = metrics.get(f"{place}brightness", gain=2.0)
    assert (alone.name, alone.better, alone.against) == ("brightness", "higher", "nothing")
    torch.testing.assert_close(alone(x, x), 2 * x.mean((1, 2, 3)).double())
    assert metrics.options(f"{place}brightness", {"gain": "3"}) == {"gain": 3.0}
    assert not metrics.is_set(f"{place}brightness")
    with pytest.raises(UsageError, match="gives 48 numbers for one image"):
        metrics.get(f"{place}many")(x, x)
    with pytest.raises(UsageError, match="a function of an image"):
        metrics.get(f"{place}nothing")
    with pytest.raises(UsageError, match="does not define its name"):
        metrics.get(f"{place}Nameless")


def test_a_tree_that_is_not_installed_works_and_takes_a_method_by_one_file_and_one_line(
    tmp_path: Path, tiny_prior: Path
) -> None:
    """Its methods and its version are known without the metadata of an installation."""
    source = Path(pellucid.__file__).parent
    shutil.copytree(source, tmp_path / "pellucid", ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    folder = tmp_path / "pellucid" / "methods"
    own = (folder / "ddnm.py").read_text(encoding="utf-8").replace("class DDNM(", "class NewOne(")
    (folder / "new_one.py").write_text(own, encoding="utf-8")
    with (folder / "__init__.py").open("r+", encoding="utf-8") as file:
        line = "from .ddnm import DDNM as DDNM\n"
        text = file.read().replace(line, line + "from .new_one import NewOne as NewOne\n")
        file.seek(0)
        file.write(text)
    Image.new("RGB", (9, 7), (200, 180, 160)).save(tmp_path / "in.png")
    code = (
        "import importlib.metadata as m, runpy, sys\n"
        "find = m.MetadataPathFinder.find_distributions\n"
        "m.MetadataPathFinder.find_distributions = classmethod(\n"
        "    lambda cls, *a: (one for one in find(*a) if one.metadata['Name'] != 'pellucid'))\n"
        "try:\n    m.version('pellucid')\nexcept m.PackageNotFoundError:\n    pass\nelse:\n    sys.exit('installed')\n"
        "runpy.run_module('pellucid', run_name='__main__', alter_sys=True)\n"
    )

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert [record["name"] for record in json.loads(run("methods", "--json"))] == sorted((*methods.names(), "new-one"))
    with_new = (sys.executable, "-c", "from pellucid.methods import *; NewOne().nfe")
    subprocess.run(with_new, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=True)
    settings = ("--task", "sr2", "-m", "new-one", "--set", "steps=2", "-p", str(tiny_prior))
    run("restore", "in.png", "-o", "out.png", *settings)
    with Image.open(tmp_path / "out.png") as out:
        assert out.size == (18, 14)


def test_other_packages_add_methods_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(group: str) -> list[EntryPoint]:
        return [
            EntryPoint("theirs", "pellucid.methods.ddrm:DDRM", group),
            EntryPoint("dreamclean", "pellucid.methods.ddrm:DDRM", group),
        ]

    monkeypatch.setattr(methods, "entry_points", points)
    assert "theirs" in methods.names()
    assert methods.find("theirs") is methods.DDRM
    assert methods.find("dreamclean") is methods.DreamClean, "a name of ours stays ours"
    monkeypatch.setattr(methods, "entry_points", lambda group: [EntryPoint("theirs", "pellucid.nowhere:X", group)])
    with pytest.raises(UsageError, match=r"theirs, pellucid\.nowhere:X of another package, cannot be loaded"):
        methods.find("theirs")


@pytest.mark.parametrize(
    ("x", "says"),
    [
        ("s.x * float('nan')", "the result is no image: it has values that are not finite"),
        ("s.x * 1e6 + 1e5", "the result is no image: 100% of its values are far outside the range"),
        ("s.x[..., :4]", r"the result has the shape (1, 3, 7, 4), not (1, C, 7, 9)"),
        ("s.x[:0]", r"the result has the shape (0, 3, 7, 9), not (1, C, 7, 9)"),
        ("undefined", "failed unexpectedly (NameError"),
    ],
)
def test_the_faults_of_ones_own_method_are_one_line_and_no_file(
    x: str, says: str, written: Path, tiny_prior: Path, pellucid_command: Command
) -> None:
    Image.new("RGB", (9, 7), (200, 180, 160)).save(written / "in.png")
    (written / "wrong.py").write_text(
        "from dataclasses import dataclass, replace\n"
        "from pellucid.methods import Denoise\n"
        "@dataclass(frozen=True)\n"
        "class Wrong(Denoise):\n"
        "    def iterate(self, problem, prior, rng):\n"
        f"        for s in super().iterate(problem, prior, rng):\n            yield replace(s, x={x})\n"
    )
    out = written / "out.png"
    said = pellucid_command(
        "restore", written / "in.png", "-o", out, "-m", f"{written / 'wrong.py'}:Wrong", "-p", tiny_prior
    )
    assert (said.code, len(said.err.splitlines()), out.exists()) == (1, 1, False)
    assert says in said.err


def test_a_table_in_a_file(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    said = pellucid_command("bench", "mine.toml", "--quick", "--images", "1", "-p", tiny_prior, "-o", "rows", "--json")
    assert [json.loads(line)["method"] for line in said.out.splitlines()] == ["damaged", "DreamClean"]
    for name, line in (("nowhere.toml", "there is no such file"), ("dreamclean-1.toml", "give the file another name")):
        with pytest.raises(PellucidError, match=line):
            spec.load(name)


_OWN_TABLE = """
title = "Own"
paper = "Nobody"
metrics = ["psnr", "errors.py:mean_error"]
data = [{ name = "folder", prior = "natural", images = 1 }]
tasks = [{ name = "sr4", operator = { name = "sr4" } }]
methods = [{ label = "A", method = "mine.py:Projected", settings = { steps = 2 } }]
"""


@pytest.mark.parametrize(
    "command", [("own.toml",), ("sweep", "mine.py:Projected", "--over", "steps=2", "--task", "sr4")]
)
def test_a_changed_file_is_measured_anew_whatever_its_label(
    command: tuple[str, ...],
    written: Path,
    tiny_prior: Path,
    pellucid_command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(written)
    Path("own.toml").write_text(_OWN_TABLE)
    row = ("bench", *command, "--quick", "--images", "1", "-p", tiny_prior, "-o", "rows", "--format", "csv")

    def measured() -> str:
        said = pellucid_command(*row)
        assert said.code == 0, said.err
        return str(said.out.splitlines()[-1])

    first = measured()
    assert measured() == first, "nothing has changed, and the row is there"
    code = Path("mine.py").read_text()
    changed = code.replace("operator.consistent(prior(x, sigma), problem.y)", "prior(x, sigma)")
    assert changed != code
    Path("mine.py").write_text(changed)
    sys.modules.pop("mine")
    assert measured() != first


def two_scans() -> None:
    Path("scans").mkdir()
    for name in "ab":
        Image.new("RGB", (9, 7), (200, 200, 200)).save(f"scans/{name}.png")


def test_an_executor_in_a_file(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    two_scans()
    call = ("restore", "scans", "-p", tiny_prior, "-s", "20", "-o")
    said = pellucid_command(*call, "out", "--executor", "gentle.py:Gentle")
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    assert pellucid_command(*call, "this", "--executor", "this").code == 0
    assert all(Path(f"out/{name}.png").read_bytes() == Path(f"this/{name}.png").read_bytes() for name in "ab")
    with pytest.raises(UsageError, match="does not accept its options"):
        executors.find("gentle.py:Gentle", workers=2)


def test_an_executor_of_ones_own_loses_no_image_in_silence(
    written: Path, tiny_prior: Path, pellucid_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    two_scans()
    Path("own.py").write_text(
        "def first(work, items, progress=None):\n    return list(work.outcomes([next(iter(items))], progress))\n"
        "def dropped(work, items, progress=None):\n    return iter([] for item in items if item is None)\n"
        "def broken(work, items, progress=None):\n    return work.y\n"
    )
    call = ("restore", "scans", "-p", tiny_prior, "-s", "20", "--executor")
    said = pellucid_command(*call, "own.py:first", "-o", "first")
    assert (said.code, [path.name for path in Path("first").glob("*.png")]) == (1, ["a.png"])
    assert "scans/b.png: own.py:first returned no outcome of it" in said.err
    said = pellucid_command(*call, "own.py:dropped", "-o", "dropped")
    assert (said.code, said.err.count("returned no outcome of it")) == (1, 2)
    said = pellucid_command(*call, "own.py:broken", "-o", "broken")
    assert (said.code, "own.py:broken: failed unexpectedly (AttributeError" in said.err) == (1, True)
