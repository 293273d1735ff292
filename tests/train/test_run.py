from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pellucid.bench.prior import LEVELS
from pellucid.errors import PellucidError, UsageError
from pellucid.priors import load_prior
from pellucid.priors.network import UNetConfig
from pellucid.train import checkpoint
from pellucid.train.data import Crops, drawn_ones
from pellucid.train.export import Origin
from pellucid.train.loop import CHECKPOINT, TrainingOptions
from pellucid.train.recipe import TrainingRecipe, preset
from pellucid.train.run import Trainer, export, train

QUICK = TrainingOptions(device="cpu", samples=1, sample_size=16)


SOME_CROPS = Crops([np.random.default_rng(5).integers(0, 256, (32, 32, 3), np.uint8)], 16, seed=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for index in range(12):
        coarse = Image.fromarray(rng.integers(0, 255, (5, 5, 3), np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / CHECKPOINT)


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_ends_in_a_prior_with_a_card_a_log_and_pictures(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    origin = Origin("blobs", "random blobs", "public domain")
    outcome = train(data, tmp_path / "run", preset("tiny"), QUICK, origin, lines.append)
    assert outcome.finished
    assert outcome.result is not None
    prior = load_prior(outcome.result)
    assert prior(torch.zeros(1, 3, 16, 16), 0.3).isfinite().all()
    card = (outcome.result / "README.md").read_text()
    assert f"pellucid train {data} -o {tmp_path / 'run'} --preset tiny --name blobs" in card.replace(" \\\n ", "")
    assert all(
        text in card
        for text in ("# blobs", "random blobs", "public domain", "20 of 4 crops", "| photographs |", "| drawn |")
    )
    assert json.loads((outcome.result / "prior.json").read_text())["data"]["images"] == 11
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["step"] == "20"
    assert list(outcome.psnr) == ["photographs", "grey", "drawn"]
    for name, levels in outcome.psnr.items():
        assert float(rows[-1][f"{name}_psnr_25"]) == pytest.approx(levels[25], abs=1e-3)
    for name in ("curve.png", "samples.png"):
        with Image.open(tmp_path / "run" / name) as picture:
            picture.load()
    assert any("PSNR" in line for line in lines)


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_training_lowers_the_loss(data: Path, tmp_path: Path, optimiser: Any) -> None:
    recipe = preset("tiny", steps=150, batch=8, optimiser=optimiser, lr=5e-3)
    train(data, tmp_path / "run", recipe, replace(QUICK, samples=0))
    start = Trainer(recipe, outcome_devices())
    validation = {"blobs": {"a": load_validation(data)}}
    first = start.validate(validation)["blobs"]
    start.restore(tmp_path / "run" / CHECKPOINT)
    last = start.validate(validation)["blobs"]
    # At the lowest level of all a fresh network, which nearly is the identity, already does well.
    assert all(last[level] > first[level] + 1 for level in LEVELS)


def test_half_precision_is_nearly_the_same_training(data: Path, tmp_path: Path) -> None:
    runs = {}
    for precision in (None, "float32", "bfloat16"):
        run = tmp_path / str(precision)
        train(data, run, preset("tiny"), replace(QUICK, samples=0, precision=precision))
        runs[precision] = weights(run)
    assert_same(runs[None], runs["float32"])  # on a CPU
    halves = [runs["bfloat16"][name] for name in runs[None]]
    moved = torch.cat([(half - full).flatten() for half, full in zip(halves, runs[None].values(), strict=True)])
    assert 0 < moved.norm() < 0.05 * torch.cat([full.flatten() for full in runs[None].values()]).norm()
    assert all(half.dtype == torch.float32 for half in halves)
    with pytest.raises(UsageError, match="float32 or bfloat16"):
        train(data, tmp_path / "other", preset("tiny"), replace(QUICK, precision="float16"))


def outcome_devices() -> Any:
    from pellucid.train.devices import Devices

    return Devices("cpu")


def load_validation(data: Path) -> torch.Tensor:
    with Image.open(data / "0.png") as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


def test_stopped_and_gone_on_with_is_the_same_as_in_one_go(data: Path, tmp_path: Path) -> None:
    recipe, once, twice = preset("tiny"), tmp_path / "once", tmp_path / "twice"
    train(data, once, recipe, QUICK)
    # minutes=0 stops after every update.
    steps = []
    while not (outcome := train(data, twice, recipe, replace(QUICK, minutes=0))).finished:
        steps.append(outcome.step)
    assert steps == list(range(1, 20))
    assert_same(weights(once), weights(twice))
    assert_same(load_file(once / "prior" / "model.safetensors"), load_file(twice / "prior" / "model.safetensors"))
    with (twice / "log.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(1, 21))


def test_killed_and_started_again_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    recipe, once, killed = preset("tiny", steps=40), tmp_path / "once", tmp_path / "killed"
    # It saves after each update, and is killed within a later one.
    program = (
        "import os; from pathlib import Path; from pellucid.train.run import Trainer, train;"
        "from pellucid.train.loop import TrainingOptions; from pellucid.train.recipe import preset;"
        "update = Trainer.update;"
        "Trainer.update = lambda self, pixels: os.kill(os.getpid(), 9) if self.step == 17 else update(self, pixels);"
        f"train(Path({str(data)!r}), Path({str(killed)!r}), preset('tiny', steps=40),"
        " TrainingOptions(device='cpu', samples=0, save_minutes=1e-9))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    step = checkpoint.load(killed / CHECKPOINT)[1]["step"]
    assert 0 < step < 40
    train(data, killed, recipe, replace(QUICK, samples=0))
    train(data, once, recipe, replace(QUICK, samples=0))
    assert_same(weights(once), weights(killed))


def test_an_interrupt_saves(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = Trainer.update

    def interrupted(self: Trainer, pixels: Any) -> Any:
        if self.step == 7:
            raise KeyboardInterrupt
        return update(self, pixels)

    monkeypatch.setattr(Trainer, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "run", preset("tiny"), QUICK)
    assert checkpoint.load(tmp_path / "run" / CHECKPOINT)[1]["step"] == 7


def test_a_run_is_exported_before_its_end(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", preset("tiny"), replace(QUICK, minutes=0))
    folder = export(tmp_path / "run", tmp_path / "prior", Origin("early"), images=11)
    average = {k.removeprefix("average."): v for k, v in weights(tmp_path / "run").items() if k.startswith("average.")}
    exported = load_file(folder / "model.safetensors")
    assert_same({k: v.half() for k, v in average.items()}, exported)
    assert "1 of 4 crops" in (folder / "README.md").read_text()


def test_a_prior_can_be_trained_further(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "a", preset("tiny"), replace(QUICK, samples=0))
    trainer = Trainer(preset("tiny"), outcome_devices())
    trainer.start_from(tmp_path / "a" / "prior", SOME_CROPS)
    stored = load_file(tmp_path / "a" / "prior" / "model.safetensors")
    assert_same({k: v.half() for k, v in trainer.network.state_dict().items()}, stored)
    other = Trainer(replace(preset("tiny"), network=UNetConfig(patch=2, widths=(8,), blocks=(1,))), outcome_devices())
    with pytest.raises(PellucidError, match="prior: these are not the weights of a network with the same resolutions"):
        other.start_from(tmp_path / "a" / "prior", SOME_CROPS)


def test_a_run_starts_from_a_prior_of_another_shape(data: Path, tmp_path: Path) -> None:
    wide = UNetConfig(patch=2, widths=(10, 16), blocks=(2, 1), embedding=8)
    first = train(data, tmp_path / "a", preset("tiny", network=wide), replace(QUICK, samples=0)).result
    assert first is not None
    told: list[str] = []
    quick = replace(QUICK, samples=0, initial=first)
    outcome = train(data, tmp_path / "b", preset("tiny", steps=1, warmup=0, lr=1e-9), quick, tell=told.append)
    assert f"{first}: changing the network's shape" in told
    assert outcome.result is not None
    x, sigma = torch.rand(1, 3, 16, 16), torch.tensor([0.3])
    before, after = load_prior(str(first))(x, sigma), load_prior(str(outcome.result))(x, sigma)
    assert (after - before).square().mean() < 0.1 * (before - x).square().mean()


def test_another_network_does_not_go_on(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", preset("tiny"), replace(QUICK, minutes=0))
    other = TrainingRecipe(network=UNetConfig(patch=2, widths=(8,), blocks=(1,)), steps=3)
    with pytest.raises(PellucidError, match="another network"):
        train(data, tmp_path / "run", other, QUICK)


def test_a_damaged_checkpoint_is_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(PellucidError, match="cannot be read as a checkpoint"):
        train(data, tmp_path, preset("tiny"), QUICK)


def test_a_loss_that_explodes_stops_the_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.train.run.loss_weight", lambda sigma: sigma * float("nan"))
    with pytest.raises(PellucidError, match="not finite"):
        train(data, tmp_path / "run", preset("tiny"), QUICK)


def test_what_teachers_know_is_learnt_without_the_chance_of_the_photographs(data: Path, tmp_path: Path) -> None:
    """A student of its own weights has nothing to learn from photographs; the truth still moves it."""
    recipe = preset("tiny", steps=3, drawn=0.0, lr=1e-2)
    own = train(data, tmp_path / "own", recipe, replace(QUICK, samples=0)).result
    assert own is not None
    quick = replace(QUICK, samples=0, initial=own)
    taught = preset("tiny", steps=1, warmup=0, drawn=0.0, teachers=(str(own),))
    trainer = Trainer(taught, outcome_devices())
    trainer.start_from(own, SOME_CROPS)
    crops = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    _, losses, norm = trainer.update(crops)
    assert norm < 1e-4  # half precision of the file
    assert losses.min() > 0.1, "the log shows the distance from the photographs"
    outcome = train(data, tmp_path / "taught", replace(taught, drawn=1.0), quick)
    assert outcome.result is not None
    assert json.loads((outcome.result / "prior.json").read_text())["training"]["recipe"]["teachers"] == [str(own)]
    assert f"taught by {own}" in (outcome.result / "README.md").read_text()


@pytest.mark.parametrize("trust", [1.0, 0.25])
def test_the_nearest_teacher_is_the_target_and_drawn_crops_are_their_own(
    data: Path, tmp_path: Path, trust: float
) -> None:
    folders = []
    for seed in (1, 2):
        run = tmp_path / str(seed)
        folders.append(str(train(data, run, preset("tiny", steps=2, seed=seed), replace(QUICK, samples=0)).result))
    recipe = preset("tiny", drawn=0.5, batch=8, teachers=tuple(folders), trust=trust)
    trainer = Trainer(recipe, outcome_devices())
    x0 = torch.rand(8, 3, 16, 16) * 2 - 1
    sigma = torch.linspace(0.1, 2, 8)
    noisy = x0 + sigma.view(-1, 1, 1, 1) * torch.randn_like(x0)
    target, share = trainer._target(x0, noisy, sigma, range(8))
    drawn = drawn_ones(recipe.variety, recipe.seed, range(8))
    assert 0 < drawn.sum() < 8
    estimates = [load_prior(folder)(noisy, sigma) for folder in folders]
    for index in range(8):
        if drawn[index]:
            assert torch.equal(target[index], x0[index])
            assert share[index] < 1
        else:
            nearest = min(
                (estimate[index] for estimate in estimates), key=lambda one: (one - x0[index]).square().mean()
            )
            torch.testing.assert_close(target[index], trust * nearest + (1 - trust) * x0[index])
            assert share[index] == 1


def test_a_teacher_that_is_none_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match="natural: a teacher must be a prior from"):
        Trainer(
            preset("tiny", teachers=("natural",), network=replace(preset("tiny").network, channels=1)),
            outcome_devices(),
        )


def test_a_run_starts_from_the_average_of_another_that_has_not_ended(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "first", preset("tiny"), replace(QUICK, minutes=0)).result is None
    trainer = Trainer(preset("tiny", seed=7), outcome_devices())
    trainer.start_from(tmp_path / "first", SOME_CROPS)
    average = checkpoint.part(weights(tmp_path / "first"), "average.")
    assert_same(trainer.network.state_dict(), average)
    assert_same(trainer.average.state_dict(), average)
