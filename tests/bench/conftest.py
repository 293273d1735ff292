"""A table that takes milliseconds, run on images of a few pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid.bench import spec
from pellucid.bench.data import DatasetItem
from pellucid.bench.run_table import Run
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def _photographs() -> Iterator[DatasetItem]:
    for seed, name in enumerate(("a<i>.png", "b c/d.png")):
        yield DatasetItem(name, torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed)), None)


@pytest.fixture(scope="session")
def tiny_job() -> Callable[..., Run]:
    """Makes a run of `tiny.toml` in a folder."""
    table = spec.parse(Path(__file__).with_name("tiny.toml").read_text(), "tiny")

    def make(folder: Path, **choices: Any) -> Run:
        return Run(**{"table": table, "prior": PRIOR, "photographs": _photographs, "folder": folder, **choices})

    return make
