"""Training Zero-DCE's network."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pellucid.errors import PellucidError, UsageError
from pellucid.methods.zero_dce import load
from pellucid.train import checkpoint
from pellucid.train.export import Origin
from pellucid.train.loop import CHECKPOINT, TrainingOptions
from pellucid.train.zero_dce import CurveRecipe, CurveTrainer, darken, train

QUICK = CurveRecipe(steps=3, batch=2, size=16, lr=1e-3)
CPU = torch.device("cpu")
CPU_ONLY = TrainingOptions(device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for index in range(3):
        coarse = Image.fromarray(rng.integers(0, 255, (5, 5, 3), np.uint8))
        coarse.resize((24, 24), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def test_a_run_ends_in_weights_a_card_and_a_log(data: Path, tmp_path: Path) -> None:
    outcome = train(data, tmp_path, QUICK, CPU_ONLY, Origin("dusk", "blobs", "public domain"))
    assert (outcome.step, outcome.finished) == (3, True)
    assert outcome.result == tmp_path / "zero-dce.safetensors"
    load(outcome.result)
    assert {value.dtype for value in load_file(outcome.result).values()} == {torch.float16}
    card = (tmp_path / "README.md").read_text()
    assert "--zero-dce --name dusk --set steps=3 --set batch=2 --set size=16" in card.replace(" \\\n ", "")
    assert all(text in card for text in ("# dusk", "blobs", "public domain", "79,416", "3 updates of 2 crops"))
    with (tmp_path / "log.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["step"] == "3"
    assert float(row["exposure"]) > 0


def test_a_stopped_run_goes_on_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "whole", QUICK, CPU_ONLY)
    lines: list[str] = []
    stopped = train(data, tmp_path / "parts", QUICK, replace(CPU_ONLY, minutes=0))
    assert (stopped.step, stopped.finished, stopped.result) == (1, False, None)
    train(data, tmp_path / "parts", QUICK, CPU_ONLY, tell=lines.append)
    assert "going on from update 1" in lines
    a, b = (load_file(tmp_path / name / CHECKPOINT) for name in ("whole", "parts"))
    assert all(torch.equal(a[name], b[name]) for name in a | b)
    with (tmp_path / "parts" / "log.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "3"]


def test_training_brings_the_exposure_nearer() -> None:
    trainer = CurveTrainer(CurveRecipe(batch=4, size=16, lr=3e-3), CPU)
    pixels = np.random.default_rng(0).integers(100, 200, (4, 16, 16, 3), np.uint8)
    losses = [trainer.update(pixels) for _ in range(50)]
    first, last = (sum(one["exposure"] for one in part) for part in (losses[:10], losses[-10:]))
    assert last < 0.8 * first


def test_the_dark_is_a_factor_of_a_power() -> None:
    light = torch.tensor([0.25, 0.5, 1.0]).view(1, 1, 1, 3).expand(2, 3, 1, 3)
    dark = darken(light, CurveRecipe(noise=0), range(7, 9))
    factor = dark[..., 2]
    power = (dark[..., 1] / factor).log() / math.log(0.5)
    assert ((factor >= 0.1) & (factor <= 1)).all()
    assert ((power >= 1) & (power <= 2)).all()
    torch.testing.assert_close(dark[..., 0] / factor, 0.25**power)
    assert not torch.equal(dark[0], dark[1])
    noisy = darken(light, CurveRecipe(noise=0.03), range(7, 9))
    assert 0 < (noisy - dark).abs().max() < 0.2
    assert torch.equal(noisy[1:], darken(light[1:], CurveRecipe(noise=0.03), range(8, 9)))
    assert torch.equal(dark[1:], darken(light[1:], CurveRecipe(noise=0), range(8, 9)))


def test_it_draws_nothing_from_the_global_stream() -> None:
    before = torch.get_rng_state()
    a, b = (CurveTrainer(CurveRecipe(seed=seed), CPU).network.state_dict() for seed in (1, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert a["layers.1.weight"].std().item() == pytest.approx(0.02, rel=0.05)


def test_what_is_wrong_is_said(data: Path, tmp_path: Path) -> None:
    for change in (
        {"steps": 0},
        {"lr": -1},
        {"level": 2},
        {"darkest": 2},
        {"steepest": 0.5},
        {"colour": -1},
        {"noise": -1},
    ):
        arguments: Any = change
        with pytest.raises(UsageError, match=next(iter(change))):
            CurveRecipe(**arguments)
    checkpoint.save(tmp_path / CHECKPOINT, {"network.a": torch.zeros(1)}, {"step": 3})
    with pytest.raises(PellucidError, match="another network"):
        train(data, tmp_path, QUICK, CPU_ONLY)


def test_the_command(pellucid_command: Callable[..., Any], data: Path, tmp_path: Path) -> None:
    few = ("--set", "steps=2", "--set", "batch=1", "--set", "size=16", "--device", "cpu")
    said = pellucid_command("train", data, "-o", tmp_path / "run", "--zero-dce", *few)
    assert said.code == 0
    assert (
        said.out
        == f"2 updates done; restore with --method zero-dce --set model={tmp_path / 'run' / 'zero-dce.safetensors'}\n"
    )
    photo = tmp_path / "dark.png"
    Image.fromarray(np.full((9, 7, 3), 20, np.uint8)).save(photo)
    model = f"model={tmp_path / 'run' / 'zero-dce.safetensors'}"
    said = pellucid_command("restore", photo, "-o", tmp_path / "out.png", "-m", "zero-dce", "--set", model, "--json")
    assert said.code == 0
    for more in (("--preset", "gpu"), ("--precision", "bfloat16")):
        said = pellucid_command("train", data, "-o", tmp_path / "other", "--zero-dce", *more)
        assert said.code == 2
        assert "--zero-dce takes no --preset" in said.err
