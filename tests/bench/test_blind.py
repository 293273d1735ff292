from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid import degradations, methods
from pellucid.bench import blind, known
from pellucid.bench.photographs import in_memory
from pellucid.bench.rows import Row
from pellucid.bench.run_table import Run, entrant_method, run
from pellucid.catalogue import tuned
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams, derive_seed
from pellucid.maths.problem import Problem
from pellucid.methods import Denoise, DreamClean, State
from pellucid.metrics import psnr, ssim
from pellucid.priors import GaussianPrior, Prior

Command = Callable[..., Any]
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def photograph(seed: int, height: int = 16, width: int = 18) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def measured(
    folder: Path,
    photographs: dict[str, Tensor],
    damages: Sequence[str],
    names: Sequence[str] = ("denoise",),
    seed: int = 0,
) -> list[Row]:
    table = blind.table(damages, names)
    job = Run(table, PRIOR, in_memory(photographs), folder, table.data[0], (seed,), redrawn=True)
    return [row for row in run(job) if isinstance(row, Row)]


def test_each_damage_has_its_input_and_its_methods(tmp_path: Path) -> None:
    photographs = {"a": photograph(0), "b": photograph(1, 13, 11)}
    rows = measured(tmp_path, photographs, (), seed=4)
    assert all((row.nfe == 0) == (row.method == "damaged") or row.nfe <= Denoise().nfe(PRIOR) for row in rows)
    assert [(row.task, row.method) for row in rows] == [
        (damage, method) for damage in blind.DAMAGES for _ in photographs for method in ("damaged", "denoise")
    ]
    # What "damaged" is measured on is what the registry makes of each image with its own seed.
    for row in rows:
        if (row.task, row.method) == ("noise", "damaged"):
            clean = (photographs[row.image] + 1) / 2
            noisy = degradations.gaussian_noise(clean, 0.1, derive_seed(4, row.image, 1)).clamp(0, 1)
            assert row.figures["psnr"] == pytest.approx(psnr(noisy, clean).item(), abs=1e-5)
            assert row.figures["ssim"] == pytest.approx(ssim(noisy, clean).item(), abs=1e-5)


def test_any_damage_can_take_part(tmp_path: Path) -> None:
    damages = ["sr4+noise:0.05", "rain"]
    rows = measured(tmp_path, {"a": photograph(0)}, damages)
    assert [row.task for row in rows[::2]] == damages
    damaged = degradations.get("rain")((photograph(0) + 1) / 2, derive_seed(0, "a", 1)).clamp(0, 1)
    assert rows[2].figures["psnr"] == pytest.approx(psnr(damaged, (photograph(0) + 1) / 2).item(), abs=1e-5)
    # Who is made for something else is not among those that suit it.
    assert "zero-dce" not in blind.contestants("rain")
    with pytest.raises(UsageError, match="several images of one"):
        blind.table(["exposures"])


def test_a_method_sees_the_damaged_image_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def iterate(self: Denoise, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        seen.append(problem)
        return own(self, problem, prior, rng)

    own = Denoise.iterate
    monkeypatch.setattr(Denoise, "iterate", iterate)
    measured(tmp_path, {"a": photograph(0)}, ["sr4"])
    (problem,) = seen
    assert (problem.operator, problem.sigma_y) == (None, None)
    expected = degradations.reduce((photograph(0) + 1) / 2, 4)
    torch.testing.assert_close(problem.y, 2 * expected - 1)


def test_the_same_seed_gives_the_same_table(tmp_path: Path) -> None:
    def figures(seed: int, name: str, folder: str) -> list[dict[str, float]]:
        rows = measured(tmp_path / folder, {name: photograph(3)}, ["noise"], ["denoise"], seed)
        return [row.figures for row in rows]

    first = figures(1, "a", "first")
    assert first == figures(1, "a", "second")
    # The damage belongs to the image's name and to the seed.
    assert first[0] != figures(2, "a", "second")[0]
    assert first[0] != figures(1, "b", "second")[0]


def test_an_unknown_damage_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="unknown damage 'nois': did you mean 'noise'"):
        blind.table(["noise", "nois"])


def test_quick_methods_have_the_settings_of_the_damage() -> None:
    table = blind.table(["noise", "low-light"], ["gdp", "dgp"])
    gdp, dgp = table.methods
    for damage in ("noise", "low-light"):
        assert entrant_method(gdp, damage, True, {}) == blind.contestants(damage, ["gdp"], quick=True)["gdp"]
        assert entrant_method(dgp, damage, True, {}) == blind.contestants(damage, ["dgp"], quick=True)["dgp"]
        # The method's own defaults, which are not the paper's.
        assert entrant_method(gdp, damage, False, {}) == methods.GDP()
        assert entrant_method(dgp, damage, False, {}) == methods.DGP()


def test_contestants() -> None:
    default, quick = blind.contestants("noise"), blind.contestants("noise", quick=True)
    assert default.keys() == quick.keys() >= {"denoise", "dreamclean", "diip"}
    assert default["dreamclean"] == DreamClean()
    for name, method in quick.items():
        assert method.blind
        assert method.nfe(PRIOR) <= 200, name
    assert blind.contestants("noise", ["diip"], quick=True) == {"diip": quick["diip"]}
    with pytest.raises(UsageError, match="ddrm must be told the degradation"):
        blind.contestants("noise", ["ddrm"])
    with pytest.raises(UsageError, match="did you mean 'diip'"):
        blind.contestants("noise", ["diipp"])


def test_a_method_for_one_damage_takes_part_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned, "ONLY_FOR", {"denoise": ("low-light",)})
    assert "denoise" in blind.contestants("low-light")
    assert "denoise" not in blind.contestants("noise")
    # Who is asked for by name takes part in everything.
    assert blind.contestants("noise", ["denoise"]) == {"denoise": methods.Denoise()}


def test_the_middle_of_the_images(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    clean = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    for name, pixels in (("whole", clean), ("part", clean[12:28, 22:38])):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    arguments = ("bench", "blind", "-p", tiny_prior, "--damage", "noise", "-m", "denoise", "--json")
    wholly = pellucid_command(*arguments, "--data", tmp_path / "part").out.splitlines()
    for name, side in (("whole", 16), ("part", 100)):
        said = pellucid_command(*arguments, "--data", tmp_path / name, "--crop", side).out.splitlines()
        assert [json.loads(line)["psnr"] for line in said] == [json.loads(line)["psnr"] for line in wholly]


def test_the_command(pellucid_command: Command, tiny_prior: Path) -> None:
    arguments = ("bench", "blind", "-p", tiny_prior, "--images", 1, "--damage", "low-light", "--quick", "-m", "denoise")
    rows = [json.loads(text) for text in pellucid_command(*arguments, "--json").out.splitlines()]
    assert [(row["task"], row["method"]) for row in rows] == [("low-light", "damaged"), ("low-light", "denoise")]
    assert rows[0]["nfe"] == 0
    assert 0 < rows[1]["nfe"] <= Denoise().nfe(PRIOR)
    said = pellucid_command(*arguments)
    assert "\n1 image of the package's photographs, few evaluations" in said.out
    assert "\nlow-light  denoise" in said.out
    assert "| low-light | denoise |" in pellucid_command(*arguments, "--format", "markdown").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--damage", "fog"), "unknown damage 'fog'"),
        (("-m", "ddrm"), "must be told the degradation"),
        (("--format", "markdown", "--json"), "exclude each other"),
        (("--format", "html"), "unknown format"),
        (("--images", "0"), "--images"),
    ],
)
def test_wrong_calls_are_one_line(
    pellucid_command: Command, tiny_prior: Path, arguments: tuple[str, ...], says: str
) -> None:
    said = pellucid_command("bench", "blind", "-p", tiny_prior, *arguments)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_images_are_measured_at_their_size() -> None:
    """Which the page of a run says: it names no size, and no crop."""
    for table in (blind.table(["noise"]), known.table(["sr4"])):
        assert (table.protocol.size, table.protocol.crop) == (0, "")
