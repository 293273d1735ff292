from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid.errors import PellucidError
from pellucid.jobs import of_configuration
from pellucid.jobs.fingerprint import of_files
from pellucid.maths.noise import linear_ladder
from pellucid.priors import Counted
from pellucid.priors.adapters import VENetwork
from pellucid.priors.prior import Prior


@pytest.fixture
def made(tiny_network: Callable[..., Any]) -> Callable[[int], Prior]:
    return lambda seed: VENetwork(tiny_network(seed), linear_ladder(), channels=3, multiple=2)


def test_a_file_is_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"y")
    assert of_files([tmp_path / "a"]) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert of_files([tmp_path / "a", tmp_path / "b"]) != of_files([tmp_path / "b", tmp_path / "a"])
    with pytest.raises(PellucidError, match="there is no such file"):
        of_files([tmp_path / "c"])


def test_the_weights_count_and_not_where_they_lie(made: Callable[[int], Prior]) -> None:
    first = of_configuration(made(0), {"prior": "here"})
    assert of_configuration(Counted(made(0)), {"prior": "there"}) == first
    assert of_configuration(made(1), {"prior": "here"}) != first
    changed = made(0)
    with torch.no_grad():
        next(changed.network.parameters()).view(-1)[0] += 1e-3  # type: ignore[attr-defined]
    assert of_configuration(changed, {}) != first


def test_everything_else_counts_files_by_what_they_hold(made: Callable[[int], Prior], tmp_path: Path) -> None:
    prior, mask, copy = made(0), tmp_path / "mask.png", tmp_path / "copy.png"
    mask.write_bytes(b"mask")
    copy.write_bytes(b"mask")

    def of(**about: Any) -> str:
        return of_configuration(prior, about)

    assert of(hyper_parameters={"model": str(mask)}) == of(hyper_parameters={"model": copy})
    assert of(a=1, b=2) == of(b=2, a=1)
    assert len({of(a=1), of(a=2), of(a="1"), of(b=1), of(a=None), of(), of(a={"b": 1.5}), of(a="x" * 5000)}) == 8
    before = of(mask=mask)
    mask.write_bytes(b"another")
    assert of(mask=mask) != before
