"""The rules of docs/style.md that a program can check, for docstrings, help texts and pages."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUESTIONS = {"what", "whether", "how", "which", "who", "where", "when", "why", "whose", "whom", "whoever", "whatever"}
LONGEST = 30


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes, functions and attributes, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for before, one in zip([None, *node.body], node.body, strict=False):
            if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)):
                continue
            if isinstance(one.value.value, str) and (before is None or isinstance(before, ast.Assign | ast.AnnAssign)):
                yield one.lineno, one.value.value


def summary(docstring: str) -> str:
    return " ".join(docstring.strip().split("\n\n")[0].split())


def sentences(text: str) -> Iterator[str]:
    """Sentences of prose, and their parts between colons; neither tables, code nor equations."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        if re.search(r"^\s*(\||\.\. math|```)|\\[a-z]+", paragraph, re.MULTILINE):
            continue
        # Items of a list, and fields of a docstring, are sentences of their own.
        for part in re.split(r"\n(?=\s*(?:[-*] |\d+\. |\w+(?: \(.*\))?: ))", paragraph):
            yield from re.split(r"(?<=[.!?:;])\s+", " ".join(part.split()))


def length(sentence: str) -> int:
    """Words of a sentence: code and the address of a link count as one, numbers and signs as none."""
    prose = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", sentence))
    return sum(bool(re.search("[A-Za-z]", word)) for word in prose.split())


def asks(text: str) -> bool:
    words = text.split()
    return bool(words) and words[0].strip("`*,.:;").lower() in QUESTIONS


def faults(path: Path) -> Iterator[str]:
    for line, text in docstrings(path.read_text(encoding="utf-8")):
        if asks(summary(text)):
            yield f"{path}:{line}: begins with a question word: {summary(text)}"
        yield from (f"{path}:{line}: {length(s)} words: {s}" for s in sentences(text) if length(s) > LONGEST)


def astray(docstring: str) -> Iterator[str]:
    """Lines among the fields of a docstring that neither begin a field nor are indented below one."""
    section = ""
    for line in inspect.cleandoc(docstring).split("\n"):
        section = line if re.fullmatch(r"\w+:", line) else section if line.startswith(" ") or not line else ""
        if section in ("Attributes:", "Args:", "Raises:") and re.match(r"    \S(?!.*:)", line):
            yield line.strip()


def test_fields_go_on_below_their_names() -> None:
    found = [
        (path, line, one) for path in SOURCES for line, text in docstrings(path.read_text()) for one in astray(text)
    ]
    assert not found, "\n".join(f"{path}:{line}: {one}" for path, line, one in found)
    assert list(
        astray("Does.\n\n    Args:\n        a: long,\n        text.\n        b: long,\n            text.\n    ")
    ) == ["text."]


def test_docstrings() -> None:
    wrong = [fault for path in SOURCES for fault in faults(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4}.*\n)+", "", text, flags=re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    wrong = [f"a heading that asks: {heading}" for heading in headings if asks(heading)]
    wrong += [f"{length(s)} words: {s}" for s in sentences(text) if length(s) > LONGEST]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(shutil.which("codespell") is None, reason='needs codespell: pip install "pellucid[dev]"')
def test_spelling() -> None:
    done = subprocess.run(
        ["codespell", "src", "docs", "examples", "README.md"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_checks_see_what_they_look_for() -> None:
    source = '"""Whether a module."""\nx = 1\n"""How long."""\ndef f() -> None:\n    """Adds."""\n'
    assert [(line, summary(text)) for line, text in docstrings(source)] == [
        (1, "Whether a module."),
        (3, "How long."),
        (5, "Adds."),
    ]
    assert asks("How long.")
    assert not asks("Howling.")
    assert length("`a b c` is = 1 [the sum](of/all.md).") == 4
    assert list(sentences("One two. Three: four\n- five\n\n| a | b |\n")) == ["One two.", "Three:", "four", "- five"]
