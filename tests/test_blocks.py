"""The commands and Python blocks of the README and of the pages for beginners work as they stand there.

Those of all other pages need data, networks or hours: of them the parser takes every command, and every name exists.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.main import get_command

from pellucid import cli, degradations, images, methods
from pellucid.bench import blind, kinds, known
from pellucid.catalogue import tasks
from pellucid.errors import PellucidError
from pellucid.train.recipe import preset

Command = Callable[..., Any]
ROOT = Path(__file__).parents[1]
# Other programs, and commands that wait: the installation is what runs this test, and tests/app runs the page.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = ("pip ", "python3 -m venv", ". .venv", "ruff ", "mkdocs ", "pellucid app", "pellucid doctor")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def lines(name: str) -> list[str]:
    return [line.partition("  #")[0].strip() for block in blocks(name, "bash") for line in block.splitlines() if line]


def commands(page: Path) -> Iterator[str]:
    """The commands of a page, in fenced and in indented blocks."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(
        r"(?:^ {4}.*\n)+", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    found += [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in indented]
    for block in found:
        yield from (line for line in block.replace("\\\n", " ").splitlines() if line.startswith("pellucid "))


def inline(page: Path) -> Iterator[str]:
    """The commands between the words of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(one.split()) for one in re.findall(r"(?<!`)`((?:pellucid|python -m) [^`]+)`(?!`)", text))


def parsed(command: Any, name: str, arguments: list[str], parent: Any = None) -> Any:
    """Parses a command line down to its last subcommand; raises an error for one that the parser does not take."""
    context = command.make_context(name, arguments, parent=parent)
    rest = [*context._protected_args, *context.args]
    if hasattr(command, "resolve_command") and rest:
        below, inner, arguments = command.resolve_command(context, rest)
        return parsed(inner, below, arguments, context)
    return context


def check_names(context: Any) -> None:
    """Looks up the methods, tasks and kinds of damage that a parsed command names, except those of files."""
    operators: Callable[[str], object] = lambda name: known.table([name], [], False)  # noqa: E731 - one of three alike
    damages: Callable[[str], object] = lambda name: blind.table([name], [])  # noqa: E731
    told = context.command.name in ("known", "sweep")
    finders: dict[str, Callable[[str], object]] = {
        "method": methods.find,
        "also": methods.find if context.command.name != "prior" else str,
        "task": operators if told else tasks.find,
        "damage": damages if context.command.name in ("blind", "sweep") else degradations.get,
        "row": lambda name: kinds.chosen([name]),
        "preset": preset if context.command.name == "train" else str,
    }
    for key, find in finders.items():
        value = context.params.get(key) or ()
        for name in [value] if isinstance(value, str) else value:
            if ".py:" not in name and not name.endswith(".onnx"):
                find(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_parser_takes_every_command(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run.toml", "restored/run.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('inputs = ["a.png"]\n')
    for line in commands(page):
        program, *arguments = shlex.split(line, comments=True)
        check_names(parsed(get_command(cli.app), program, arguments))
    for line in inline(page):
        program, *arguments = shlex.split(line)
        if program != "pellucid" or "--config" in arguments or "[" in line:
            continue
        try:
            context = parsed(get_command(cli.app), program, arguments)
        except Exception as error:
            # Prose also names parts of commands: `pellucid restore -m bird`, and options without their value.
            if type(error).__name__ not in ("MissingParameter", "BadOptionUsage", "Exit"):
                raise
        else:
            check_names(context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_benchmark_exists_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in [*inline(page), *re.findall(r"^ *(python -m benchmarks.*)$", text, re.MULTILINE)]:
        _, _, module, *arguments = [*shlex.split(line, comments=True), "", ""]
        if module.startswith("benchmarks."):
            source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
            for option in (one for one in arguments if one.startswith("--")):
                assert f'"{option}"' in source, line


def test_a_name_that_nothing_has_is_not_taken() -> None:
    for line in ('bench known -t "uniform blur"', "bench photographs --row blurr", "restore a.png -o b.png -m nothing"):
        with pytest.raises(PellucidError, match=r"uniform blur|blurr|nothing"):
            check_names(parsed(get_command(cli.app), "pellucid", shlex.split(line)))


def test_a_wrong_command_is_not_taken() -> None:
    for line in ("restore a.png -o b.png --no-such-option", "bench dreamclean-1 --quick --no-such-option"):
        with pytest.raises(Exception, match="no-such-option"):
            parsed(get_command(cli.app), "pellucid", line.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_in_python_exists(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pellucid":
                for one in node.names:
                    assert _exists(f"{node.module}.{one.name}"), f"{node.module} has no {one.name}"
            elif isinstance(node, ast.Attribute) and re.fullmatch(r"pellucid(\.\w+)+", ast.unparse(node)):
                assert _exists(ast.unparse(node)), f"there is no {ast.unparse(node)}"


def _exists(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        parent, _, last = name.rpartition(".")
        return _exists(parent) and hasattr(import_module(parent), last) if parent else False
    return True


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small noisy photograph, `photo.jpg`, as the working directory."""
    monkeypatch.chdir(tmp_path)
    clean = images.read(ROOT / "src" / "pellucid" / "assets" / "cat.png").tensor()[..., 96:160, 96:160]
    noisy = degradations.gaussian_noise(clean, 0.1, 0).clamp(0, 1)
    images.to_pil(images.from_tensor(noisy)).save("photo.jpg", quality=95)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("README.md", 2), ("docs/index.md", 1), ("docs/start.md", 11)])
def test_commands(pellucid_command: Command, place: Path, name: str, least: int) -> None:
    ours = [line for line in lines(name) if not line.startswith(OTHERS)]
    assert len(ours) >= least
    for line in ours:
        program, *arguments = shlex.split(line)
        assert program == "pellucid", line
        if arguments[:1] == ["demo"] and "--samples" not in arguments:
            arguments += ["--overwrite"]
        said = pellucid_command(*arguments)
        assert said.code == 0, f"{line}: {said.err}"
        if "-o" in arguments:
            assert (place / arguments[arguments.index("-o") + 1]).exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/start.md"])
def test_python(place: Path, name: str) -> None:
    found = blocks(name, "python")
    assert found
    (place / "samples").mkdir()
    shutil.copy("photo.jpg", "samples/noisy.png")
    for block in found:
        scope: dict[str, Any] = {}
        exec(compile(block, name, "exec"), scope)
        for key in ("restored", "picture", "large", "sample"):
            if key in scope:
                assert scope[key].size == ((128, 128) if key == "large" else (64, 64))


def test_samples_of_the_demo(pellucid_command: Command, tmp_path: Path) -> None:
    said = pellucid_command("demo", "--samples", tmp_path / "samples")
    assert (said.code, said.err) == (0, "")
    sizes = {}
    for path in (tmp_path / "samples").iterdir():
        with Image.open(path) as picture:
            sizes[path.name] = picture.size
    whole, half = (128, 128), (64, 64)
    assert sizes == {"noisy.png": whole, "small.png": half, "written.png": whole, "mask.png": whole}
    mask = images.read(tmp_path / "samples" / "mask.png").tensor()
    written = images.read(tmp_path / "samples" / "written.png").tensor()
    assert set(torch.unique(mask).tolist()) == {0.0, 1.0}
    assert not written[mask.expand_as(written) == 1].any()
    again = pellucid_command("demo", "--samples", tmp_path / "samples")
    assert again.code == 2
    assert "noisy.png: exists" in again.err


def test_linked_files_exist() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            # Pages of the site that are made when it is built.
            assert (page.parent / link).exists() or link.startswith("methods/"), f"{page.name}: {link}"
