from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pellucid import images, methods
from pellucid.restoration import provenance

BEGIN = f"{images.MARK}{version('pellucid')}: "


def elsewhere() -> None: ...


@dataclass(frozen=True)
class Made:
    strength: float = 0.5
    model: Any = None
    weights: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (methods.Denoise(), "Denoise()"),
        (methods.DreamClean(strength=30), "DreamClean(strength=30)"),
        (Made(), "Made()"),
        (Made(0.25, weights={"a": 1}), "Made(strength=0.25, weights={'a': 1})"),
        (Made(model="/home/somebody/secret/net.onnx"), "Made(model=net.onnx)"),
        (Made(model=Path("secret") / "net.onnx"), "Made(model=net.onnx)"),
        (Made(model=elsewhere), "Made(model=elsewhere)"),
        (Made(weights={"a" * 90: 1}), "Made(weights=dict)"),
        (object(), "object()"),
    ],
)
def test_a_method_is_told_by_what_was_chosen(method: object, said: str) -> None:
    assert provenance.line(method, [], "", 7, []) == f"{BEGIN}{said}, seed 7"


def test_all_that_is_known_is_on_one_line() -> None:
    line = provenance.line(Made(), ["AveragePool", "noise 0.05"], "natural 0123", 1, ["chose\n40", "so  there"])
    assert line == f"{BEGIN}Made(), AveragePool, noise 0.05, prior natural 0123, seed 1; chose 40; so there"
