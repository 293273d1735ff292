from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pellucid.errors import UsageError
from pellucid.priors import embedded
from pellucid.priors.network import UNetConfig
from pellucid.train.export import Origin, command_section
from pellucid.train.loop import Trained
from pellucid.train.recipe import (
    PRESETS,
    TrainingRecipe,
    band_of,
    bands,
    learning_rate,
    loss_weight,
    noise_levels,
    preset,
    settings_of,
    with_settings,
)

PRIORS = embedded.folder_of("natural").parent


@pytest.mark.parametrize("name", PRESETS)
def test_recipes_survive_json(name: str) -> None:
    assert TrainingRecipe.from_json(PRESETS[name].to_json()) == PRESETS[name]


def test_the_preset_for_two_cores_has_the_network_of_the_embedded_prior() -> None:
    shipped = json.loads((PRIORS / "natural" / "config.json").read_text())
    assert json.loads(json.dumps(PRESETS["cpu"].network.to_json())) == shipped


OTHERS = (
    TrainingRecipe(lr=1 / 3, teachers=("natural", "runs/my prior"), schedule="cosine"),
    replace(PRESETS["gpu"], network=UNetConfig(widths=(8, 16, 24), blocks=(1, 2, 3), sigma_data=0.25), drawn=0.0),
)


@pytest.mark.parametrize("recipe", [*PRESETS.values(), *OTHERS])
def test_settings_make_the_recipe_again(recipe: TrainingRecipe) -> None:
    name, settings = settings_of(recipe)
    assert with_settings(preset(name), settings) == recipe


def test_settings_are_few() -> None:
    assert settings_of(replace(PRESETS["gpu"], steps=9)) == ("gpu", {"steps": "9"})


def pasted(card: Path) -> list[str]:
    """Words of the command in a model card, as a shell reads them."""
    return shlex.split(card.read_text().split("```bash\n")[1].split("```")[0].replace("\\\n", " "))


@pytest.mark.parametrize("name", ["natural", "natural-large"])
def test_the_command_in_an_embedded_card_has_the_recipe_of_the_weights(
    name: str, pellucid_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes: list[TrainingRecipe] = []

    def train(data: Path, run: Path, recipe: TrainingRecipe, *more: object) -> Trained:
        recipes.append(recipe)
        return Trained(1, False, None)

    monkeypatch.setattr("pellucid.train.run.train", train)
    program, *words = pasted(PRIORS / name / "README.md")
    assert program == "pellucid"
    assert pellucid_command(*words).code == 0
    about = json.loads((PRIORS / name / "prior.json").read_text())["training"]["recipe"]
    assert recipes == [TrainingRecipe.from_json(about)]
    # A number that is not recorded would be that of the present version.
    assert about.keys() == recipes[0].to_json().keys()


@pytest.mark.parametrize(
    ("kind", "settings"), [("", {"steps": "3", "teachers": "my prior"}), ("--gan", {"lr": "0.5"}), ("--zero-dce", {})]
)
def test_a_card_has_a_command_that_a_shell_reads_back(kind: str, settings: dict[str, str], tmp_path: Path) -> None:
    options = (
        [(kind, True)] if kind else [("--preset", "tiny"), ("--initial", Path("an old run")), ("--precision", None)]
    )
    card = tmp_path / "README.md"
    card.write_text("\n".join(command_section(Path("my photos"), Path("run"), Origin("mine"), options, settings)))
    wanted = ["pellucid", "train", "my photos", "-o", "run"]
    wanted += [kind] if kind else ["--preset", "tiny", "--initial", "an old run"]
    wanted += ["--name", "mine"]
    for key, text in settings.items():
        wanted += ["--set", f"{key}={text}"]
    assert pasted(card) == wanted


def test_trapezoid() -> None:
    recipe = TrainingRecipe(steps=1000, lr=1.0, warmup=9, decay=99, schedule="trapezoid")
    rates = [learning_rate(recipe, step) for step in range(1000)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(rates[10:900]) == {1.0}
    assert rates[900:] == pytest.approx([(1000 - step) / 100 for step in range(900, 1000)])


def test_cosine() -> None:
    recipe = TrainingRecipe(steps=1000, lr=1.0, warmup=0, schedule="cosine")
    rates = [learning_rate(recipe, step) for step in range(1000)]
    assert rates[0] == 1
    assert rates[500] == pytest.approx(0.5)
    assert all(a > b > 0 for a, b in pairwise(rates))


def test_noise_levels_are_log_normal_with_a_tail_over_the_whole_range() -> None:
    levels = noise_levels(TrainingRecipe(noise_tail=0.2), range(4000))
    body = noise_levels(TrainingRecipe(noise_tail=0.0), range(4000))
    assert np.log(body).mean() == pytest.approx(-1.2, abs=0.05)
    assert np.log(body).std() == pytest.approx(1.0, abs=0.05)
    assert (body > 20).mean() < 0.001
    assert (levels > 20).mean() == pytest.approx(0.2 * np.log(157 / 20) / np.log(157 / 0.01), abs=0.01)
    # A crop's level is its own, whichever batch it is in.
    usual = TrainingRecipe()
    np.testing.assert_array_equal(noise_levels(usual, range(8))[5:], noise_levels(usual, range(5, 8)))


def test_each_level_weighs_about_one_decibel_for_another() -> None:
    sigma = torch.tensor([0.2, 0.8])
    error = 0.25 * sigma / (18 + sigma)
    torch.testing.assert_close(loss_weight(sigma) * error, torch.ones(2))


def test_bands_cover_everything() -> None:
    sigma = torch.tensor([0.001, 0.05, 0.39, 0.4, 157.0])
    found = [bands()[index] for index in band_of(sigma).tolist()]
    assert all(low <= s < high for (low, high), s in zip(found, sigma.tolist(), strict=True))


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"lr": -1.0}, {"ema": 1.5}, {"warmup": -1}, {"schedule": "step"}, {"optimiser": "sgd"}],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        preset("tiny", **change)


def test_an_unknown_preset_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        preset("tinny")
