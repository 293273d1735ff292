"""The scripts of examples/ run on tiny inputs, and give what they promise."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid.priors import load_prior
from pellucid.train.loop import TrainingOptions

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


def picture(path: Path, side: int = 16) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)).save(path)
    return path


def test_restore_a_folder(tiny_prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    level = logging.getLogger().level
    example("restore_folder").main(tmp_path / "in", tmp_path / "out", str(tiny_prior))
    logging.getLogger().setLevel(level)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert "broken.png" in capsys.readouterr().err


def test_compare_ten_methods(tiny_prior: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    script = example("compare_methods")
    results = script.main(tmp_path / "in", str(tiny_prior), side=16, fast=True)
    assert tuple(results) == script.NAMES
    assert len(results) == 10
    assert all(np.isfinite(value) for value in results.values())


def test_a_method_from_its_paper(pellucid_command: Callable[..., Any], tiny_prior: Path, tmp_path: Path) -> None:
    source, name = picture(tmp_path / "a.png"), f"{EXAMPLES / 'sdedit.py'}:SDEdit"
    said = pellucid_command(
        "restore", source, "-o", tmp_path / "b.png", "-p", tiny_prior, "-m", name, "--set", "top=0.2"
    )
    assert said.code == 0, said.err
    method = example("sdedit").SDEdit(top=0.2)
    assert f"{method.nfe(load_prior(tiny_prior))} NFE" in said.out


def test_an_operator_of_deepinv(tiny_prior: Path, tmp_path: Path) -> None:
    class Halves:
        """As a physics of deepinv: the left half of an image."""

        def A(self, x: Tensor) -> Tensor:
            return x[..., :8]

        def A_adjoint(self, y: Tensor) -> Tensor:
            return torch.nn.functional.pad(y, (0, 8))

    source = picture(tmp_path / "a.png")
    example("deepinv_operator").main(source, tmp_path / "b.png", Halves(), str(tiny_prior), steps=4)
    before, after = (np.asarray(Image.open(path)).astype(int) for path in (source, tmp_path / "b.png"))
    # Measured without noise, so it comes back; the rest is the prior's.
    assert abs(after[:, :8] - before[:, :8]).mean() < 2
    assert abs(after[:, 8:] - before[:, 8:]).mean() > 10


def test_posterior_samples(tiny_prior: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", 8)
    spread = example("posterior_samples").main(source, tmp_path / "out", str(tiny_prior), samples=3)
    assert spread.shape == (1, 3, 16, 16)
    assert spread.mean() > 0.01
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_train_a_prior(tmp_path: Path) -> None:
    for number in range(8):
        coarse = np.random.default_rng(number).integers(0, 255, (5, 5, 3), np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "in" / f"{number}.png")
    options = TrainingOptions(device="cpu", samples=0)
    folder = example("train_prior").main(tmp_path / "in", tmp_path / "run", "tiny", options)
    assert load_prior(folder)(torch.zeros(1, 3, 16, 16), 0.3).isfinite().all()
    assert (tmp_path / "run" / "restored.png").exists()
