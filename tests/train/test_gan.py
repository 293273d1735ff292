"""Training the generator that DGP restores with."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from pellucid.errors import PellucidError, UsageError
from pellucid.priors.generator import GANConfig, load_gan
from pellucid.train import checkpoint
from pellucid.train.export import Origin
from pellucid.train.gan import GANRecipe, GANTrainer, export, train
from pellucid.train.loop import CHECKPOINT, TrainingOptions
from pellucid.train.recipe import preset
from pellucid.train.run import train as train_prior

TINY = GANRecipe(
    network=GANConfig(latent=4, widths=(8, 8), features=(6, 8)), steps=6, batch=4, penalty_every=2, ema=0.9
)
QUICK = TrainingOptions(device="cpu", workers=1, log_every=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for index in range(4):
        coarse = Image.fromarray(rng.integers(0, 255, (5, 5, 3), np.uint8))
        coarse.resize((24, 24), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def pixels(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 255, (4, 16, 16, 3), np.uint8)


def test_a_run_ends_in_a_folder_that_dgp_takes(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    outcome = train(data, tmp_path, TINY, QUICK, Origin("blobs", "random blobs", "public domain"), lines.append)
    assert outcome.finished
    assert outcome.result == tmp_path / "gan"
    gan = load_gan(outcome.result)
    assert gan.generator(torch.zeros(2, 4)).shape == (2, 3, 16, 16)
    card = (outcome.result / "README.md").read_text()
    assert "--gan --name blobs --set steps=6 --set batch=4" in card.replace(" \\\n ", "")
    assert all(text in card for text in ("# blobs", "random blobs", "public domain", "6 of 4 crops", "16x16"))
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert all(np.isfinite(float(row["penalty"])) for row in rows)
    with Image.open(tmp_path / "samples.png") as sheet:
        assert sheet.size == (8 * 18 - 2, 8 * 18 - 2)
    assert any("4 images" in line for line in lines)


def test_stopped_and_gone_on_with_is_the_same_as_in_one_go(data: Path, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    once, twice = tmp_path / "once", tmp_path / "twice"
    train(data, once, TINY, QUICK)
    # minutes=0 stops after every update.
    steps = []
    while not (outcome := train(data, twice, TINY, replace(QUICK, minutes=0))).finished:
        steps.append(outcome.step)
    assert steps == [1, 2, 3, 4, 5]
    a, b = load_file(once / CHECKPOINT), load_file(twice / CHECKPOINT)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(torch.get_rng_state(), state)
    export(once, tmp_path / "again")
    a, b = (load_file(folder / "model.safetensors") for folder in (once / "gan", tmp_path / "again"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_one_update_in_plain_arithmetic() -> None:
    """The losses of the first update, the penalty by finite differences, and Adam's first step of both networks."""
    trainer, before = (GANTrainer(TINY, torch.device("cpu")) for _ in range(2))
    losses = trainer.update(pixels())
    real = torch.from_numpy(pixels()).permute(0, 3, 1, 2) / 127.5 - 1
    judge = before.network.discriminator.double()
    slope = torch.autograd.functional.jacobian(lambda x: judge(x).sum(), real.double())
    assert losses["penalty"] == pytest.approx(slope.square().sum().item() / 4, rel=1e-4)
    made_up = -F.logsigmoid(judge(real.double())).mean().item()
    assert losses["discriminator"] > made_up > 0
    for part in ("generator", "discriminator"):
        moved = [
            (new - old.to(new)).abs()
            for new, old in zip(
                getattr(trainer.network, part).parameters(), getattr(before.network, part).parameters(), strict=True
            )
        ]
        # Against the sign of the gradient by the rate, or not at all where it is 0.
        everything = torch.cat([own.flatten() for own in moved])
        assert everything.max().item() == pytest.approx(TINY.lr, rel=1e-2)
        assert everything.median().item() == pytest.approx(TINY.lr, rel=1e-2)
    # Of an average that keeps (1 + 0) / (10 + 0) of itself.
    for mean, new, old in zip(
        trainer.average.generator.parameters(), trainer.network.generator.parameters(),
        before.network.generator.parameters(), strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(mean, 0.1 * old + 0.9 * new.detach())
    assert "penalty" not in trainer.update(pixels(1))


def test_the_discriminator_learns_what_is_a_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a generator that stays as it is."""
    move = GANTrainer._move
    monkeypatch.setattr(
        GANTrainer, "_move", lambda self, name, loss: None if name == "generator" else move(self, name, loss)
    )
    trainer = GANTrainer(replace(TINY, lr=2e-3, penalty=0), torch.device("cpu"))
    first, *_, last = (trainer.update(np.full((4, 16, 16, 3), 250, np.uint8))["discriminator"] for _ in range(20))
    assert last < 0.8 * first


def test_it_says_what_is_wrong(data: Path, tmp_path: Path) -> None:
    for name in ("steps", "batch", "lr", "penalty_every"):
        with pytest.raises(UsageError, match=name):
            replace(TINY, **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ema"):
        replace(TINY, ema=2)
    with pytest.raises(UsageError, match="penalty"):
        replace(TINY, penalty=-1)
    with pytest.raises(PellucidError, match="as many widths as features"):
        GANConfig(widths=(8,))
    with pytest.raises(PellucidError, match="no such folder"):
        train(tmp_path / "nowhere", tmp_path / "run", TINY, QUICK)
    train_prior(data, tmp_path / "prior", preset("tiny", steps=1), replace(QUICK, samples=0))
    with pytest.raises(PellucidError, match="another network"):
        train(data, tmp_path / "prior", TINY, QUICK)
    with pytest.raises(PellucidError, match="is of no GAN"):
        export(tmp_path / "prior", tmp_path / "gan")
    trainer = GANTrainer(TINY, torch.device("cpu"))
    with torch.no_grad():
        trainer.network.discriminator.verdict.bias.fill_(float("nan"))
    with pytest.raises(PellucidError, match="discriminator's loss at update 0 is not finite"):
        trainer.update(pixels())


def test_an_interrupt_saves(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = GANTrainer.update

    def interrupted(self: GANTrainer, crops: Any) -> Any:
        if self.step == 3:
            raise KeyboardInterrupt
        return update(self, crops)

    monkeypatch.setattr(GANTrainer, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path, TINY, QUICK)
    assert checkpoint.load(tmp_path / CHECKPOINT)[1]["step"] == 3


def test_the_command(
    pellucid_command: Callable[..., Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid.train import gan

    @dataclass(frozen=True)
    class Small(GANRecipe):
        network: GANConfig = field(default_factory=lambda: TINY.network)

    # The command has the full networks.
    monkeypatch.setattr(gan, "GANRecipe", Small)
    command = (
        "train",
        data,
        "-o",
        tmp_path / "run",
        "--gan",
        "--set",
        "steps=2",
        "--set",
        "batch=4",
        "--device",
        "cpu",
    )
    stopped = pellucid_command(*command, "--minutes", "0")
    assert "stopped after 1 of 2 updates" in stopped.out
    said = pellucid_command(*command)
    assert said.code == 0
    assert f"--method dgp --set generator={tmp_path / 'run' / 'gan'}" in said.out
    assert pellucid_command(*command, "--initial", data).code == 2
