"""A name says one thing: public classes and types that several modules define, and why each may."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "pellucid"

OPTION = "an option of the command line is called like what it chooses"
MAY = {
    "Blur": "the operator, and what is diagnosed of one",
    "Denoise": "the operator that loses nothing, and the method; docs and scripts have both",
    "Noise": "what a caller gives as a noise level, and what is diagnosed of one",
    "Generator": "the network, and the method's use of it",
    "Consistency": "the metric, and the form of consistency models",
    "Format": OPTION,
    "Prior": OPTION,
    "Shard": OPTION,
    "Job": "of the command line, and of the page's queue",
    "Work": "of a job, and of the page",
    "Outcome": "of a job's image, of the page's picture, and of a table's claim",
    "State": "of a method, and of the page",
    "Limits": "of the page, and of a scratch's measures",
    "Verdict": "of a look at a picture, and of a table's claim",
    "Maker": "of a task's operator, and of a plan's treatment",
    "Photographs": "of training, of a statistic, and of a table",
    "Pixels": "arrays of each package's own kind",
    "Processes": "an executor, and helpers that decode",
    "Run": "of a method image by image, and of a table",
    "Shape": "of a tensor, and of a blur's kernel",
    "Span": "of a quantised value, and of a tile",
    "Watch": "of DIIP's stop, and of a table's latents",
}


def defined() -> dict[str, list[str]]:
    """The modules that define each public class or type, by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.ClassDef):
                names = [node.name]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            for name in names:
                # Constants have capitals alone, type variables one letter.
                if name[0].isupper() and not name.isupper():
                    found[name].append(path.relative_to(SOURCE).as_posix())
    return found


def test_a_name_says_one_thing() -> None:
    several = {name: places for name, places in defined().items() if len(places) > 1}
    new = {name: places for name, places in several.items() if name not in MAY}
    assert not new, "give one of them another name"
    gone = MAY.keys() - several.keys()
    assert not gone, "now there is one: take these out of the list"
