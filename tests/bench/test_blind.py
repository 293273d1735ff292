from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid import degradations, methods
from pellucid.bench import blind
from pellucid.bench.table import HEADING, Row, line, markdown
from pellucid.errors import UsageError
from pellucid.methods import Denoise, DreamClean, Method, State
from pellucid.metrics import psnr, ssim
from pellucid.noise import Streams, derive_seed
from pellucid.priors import GaussianPrior, Prior
from pellucid.problem import Problem

Command = Callable[..., Any]
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def photograph(seed: int, height: int = 16, width: int = 18) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def denoise(damage: str) -> Mapping[str, Method]:
    return {"denoise": Denoise()}


def test_each_damage_has_its_input_and_its_methods() -> None:
    photographs = {"a": photograph(0), "b": photograph(1, 13, 11)}
    rows = list(blind.compare(PRIOR, photographs, chosen=denoise, seed=4))
    assert all((row.nfe == 0) == (row.method == "damaged") or row.nfe <= Denoise().nfe(PRIOR) for row in rows)
    assert [(row.task, row.method) for row in rows] == [
        (damage, method) for damage in blind.DAMAGES for method in ("damaged", "denoise")
    ]
    # What "damaged" is measured on is what the registry makes of each image with its own seed.
    noise = rows[2]
    assert (noise.task, noise.lpips, noise.seconds) == ("noise", None, 0)
    clean = [(image + 1) / 2 for image in photographs.values()]
    noisy = [
        degradations.gaussian_noise(image, 0.1, derive_seed(4, name, 1)).clamp(0, 1)
        for name, image in zip(photographs, clean, strict=True)
    ]
    pairs = list(zip(noisy, clean, strict=True))
    assert noise.psnr == pytest.approx(sum(psnr(*pair).item() for pair in pairs) / 2, abs=1e-5)
    assert noise.ssim == pytest.approx(sum(ssim(*pair).item() for pair in pairs) / 2, abs=1e-5)


def test_any_damage_can_take_part() -> None:
    damages = ["sr4+noise:0.05", "rain"]
    rows = list(blind.compare(PRIOR, {"a": photograph(0)}, damages, denoise))
    assert [row.task for row in rows[::2]] == damages
    damaged = degradations.get("rain")((photograph(0) + 1) / 2, derive_seed(0, "a", 1)).clamp(0, 1)
    assert rows[2].psnr == pytest.approx(psnr(damaged, (photograph(0) + 1) / 2).item(), abs=1e-5)
    # Who is made for something else is not among those that suit it.
    assert "zero-dce" not in blind.contestants("rain")
    with pytest.raises(UsageError, match="several images of one"):
        blind.compare(PRIOR, {}, ["exposures"])


def test_a_method_sees_the_damaged_image_alone() -> None:
    seen = []

    class Spy(Denoise):
        def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
            seen.append(problem)
            return super().iterate(problem, prior, rng)

    list(blind.compare(PRIOR, {"a": photograph(0)}, ["sr4"], lambda damage: {"spy": Spy()}))
    (problem,) = seen
    assert (problem.operator, problem.sigma_y) == (None, None)
    expected = degradations.reduce((photograph(0) + 1) / 2, 4)
    torch.testing.assert_close(problem.y, 2 * expected - 1)


def test_the_same_seed_gives_the_same_table() -> None:
    def measured(seed: int, *names: str) -> list[tuple[float, float]]:
        photographs = {name: photograph(3) for name in names}
        rows = blind.compare(PRIOR, photographs, ["noise"], lambda _: {"d": DreamClean(strength=20)}, seed=seed)
        return [(row.psnr, row.ssim) for row in rows]

    assert measured(1, "a") == measured(1, "a") != measured(2, "a")
    # The damage belongs to the image's name.
    assert measured(1, "a") != measured(1, "b")


def test_an_unknown_damage_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="unknown damage 'nois': did you mean 'noise'"):
        blind.compare(PRIOR, {}, ["noise", "nois"])


def test_contestants() -> None:
    default, quick = blind.contestants("noise"), blind.contestants("noise", quick=True)
    assert default.keys() == quick.keys() >= {"denoise", "dreamclean", "diip"}
    assert default["dreamclean"] == DreamClean()
    for name, method in quick.items():
        assert method.blind
        assert method.nfe(PRIOR) <= 200, name
    assert blind.contestants("noise", ["diip"], quick=True) == {"diip": quick["diip"]}
    with pytest.raises(UsageError, match="ddrm needs the degradation"):
        blind.contestants("noise", ["ddrm"])
    with pytest.raises(UsageError, match="did you mean 'diip'"):
        blind.contestants("noise", ["diipp"])


def test_a_method_for_one_damage_takes_part_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind, "_ONLY_FOR", {"denoise": ("low light",)})
    assert "denoise" in blind.contestants("low light")
    assert "denoise" not in blind.contestants("noise")
    # Who is asked for by name takes part in everything.
    assert blind.contestants("noise", ["denoise"]) == {"denoise": methods.Denoise()}


def test_rows_are_printed() -> None:
    row = Row("noise", "diip", 25.128, 0.8126, None, 750, 12.34)
    assert line(row) == f"{'noise':16}{'diip':18}  25.13  0.813      -   750     12.3"
    assert len(HEADING) == len(line(row))
    assert list(markdown([row]))[2:] == ["| noise | diip | 25.13 | 0.813 | - | 750 | 12.3 |"]


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
    arguments = ("bench", "blind", "-p", tiny_prior, "--images", 1, "--damage", "low light", "--quick", "-m", "denoise")
    rows = [json.loads(text) for text in pellucid_command(*arguments, "--json").out.splitlines()]
    assert [(row["task"], row["method"]) for row in rows] == [("low light", "damaged"), ("low light", "denoise")]
    assert rows[0]["nfe"] == 0
    assert 0 < rows[1]["nfe"] <= Denoise().nfe(PRIOR)
    said = pellucid_command(*arguments)
    assert said.out.startswith("1 images, ")
    assert "\nlow light       denoise" in said.out
    assert "| low light | denoise |" in pellucid_command(*arguments, "--markdown").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--damage", "fog"), "unknown damage 'fog'"),
        (("-m", "ddrm"), "needs the degradation"),
        (("--markdown", "--json"), "exclude each other"),
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
