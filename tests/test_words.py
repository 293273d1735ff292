"""The rules of docs/style.md that a program can check, for docstrings, help texts and the newer pages."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [
    ROOT / "docs" / f"{name}.md"
    for name in ("index", "install", "start", "limits", "contributing", "architecture", "style", "changelog", "gallery")
]
QUESTIONS = {"what", "whether", "how", "which", "who", "where", "when", "why", "whose", "whom", "whoever", "whatever"}
SUMMARY, SENTENCE = 30, 40
LEFT = 75  # faults that are still there: lower it as they are mended, never raise it


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


def faults(path: Path) -> Iterator[str]:
    for line, text in docstrings(path.read_text(encoding="utf-8")):
        words = summary(text).split()
        if words and words[0].strip("`,.:;").lower() in QUESTIONS:
            yield f"{path}:{line}: begins with a question word: {summary(text)}"
        if len(words) > SUMMARY:
            yield f"{path}:{line}: a summary of {len(words)} words"
        yield from (f"{path}:{line}: {len(s.split())} words: {s}" for s in sentences(text) if len(s.split()) > SENTENCE)


def test_docstrings() -> None:
    wrong = [fault for path in SOURCES for fault in faults(path)]
    assert len(wrong) <= LEFT, "\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    wrong = [f"{len(s.split())} words: {s}" for s in sentences(text) if len(s.split()) > SUMMARY]
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
    assert list(sentences("One two. Three: four\n- five\n\n| a | b |\n")) == ["One two.", "Three:", "four", "- five"]
