"""The examples of the reference: each public function and class has one, and all of them run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import pellucid
from pellucid import degradations, methods, metrics, operators, priors
from pellucid.maths import noise
from pellucid.methods.method import Method, State, Stepper

# docs/reference/index.md says that these names stand before every example.
NAMES: dict[str, Any] = {
    "torch": torch,
    "pellucid": pellucid,
    "degradations": degradations,
    "methods": methods,
    "metrics": metrics,
    "noise": noise,
    "operators": operators,
    "priors": priors,
}


def public() -> Iterator[tuple[str, Any]]:
    """The objects of the pages in docs/reference."""
    for name in ("restore", "diagnose", "propose_mask", "Recipe", "Problem", "PellucidError", "UsageError"):
        yield name, getattr(pellucid, name)
    for module in (degradations, metrics, operators, priors):
        yield from ((f"{module.__name__}.{name}", getattr(module, name)) for name in module.__all__)
    yield from ((f"methods.{one.__name__}", one) for one in (Method, State, Stepper))
    yield from ((f"methods.{name}", getattr(methods, name)) for name in ("names", "find", "get", "describe"))
    for name, one in vars(noise).items():
        ours = getattr(one, "__module__", "") == noise.__name__ and not name.startswith("_")
        if ours and (inspect.isroutine(one) or inspect.isclass(one)):
            yield f"noise.{name}", one


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_example(name: str) -> None:
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(PUBLIC[name]) or "", dict(NAMES), name, None, None)
    assert test.examples, f"{name} has no example"
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)
