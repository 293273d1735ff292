"""What is computed on another device than the CPU is what is computed on the CPU; `test_elsewhere` runs this."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid import Problem, images, load_prior, methods
from pellucid.bench import known
from pellucid.bench.choices import with_settings
from pellucid.bench.photographs import in_memory
from pellucid.bench.rows import Row
from pellucid.bench.run_table import Run, run
from pellucid.maths.noise import Streams, linear_ladder
from pellucid.methods import Method
from pellucid.operators import (
    AveragePool,
    Bicubic,
    Blur,
    Compose,
    Denoise,
    Grayscale,
    Hadamard,
    Jpeg,
    Mask,
    Operator,
    PhaseRetrieval,
    Stack,
    ToneCurve,
)
from pellucid.priors import Prior, VENetwork
from pellucid.priors.network import DenoisingUNet
from pellucid.restoration.runner import Runner

from .device import NAME, Far, Here, near, register

register()


def draw(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


KERNEL = draw(3, 3) / 4.5
OPERATORS: dict[str, Operator] = {
    "average": AveragePool(2),
    "bicubic": Bicubic(2),
    "blur": Blur(KERNEL),
    "blur of a photograph": Blur(KERNEL, "replicate"),
    "noise": Denoise(),
    "grey": Grayscale(),
    "mask": Mask(draw(16, 16) > 0.3),
    "hadamard": Hadamard(16, 16),
    "two": Compose(AveragePool(2), Blur(KERNEL)),
    "stack": Stack([AveragePool(2), Grayscale()], (3, 16, 16)),
    "tone": ToneCurve(0.5),
    "jpeg": Jpeg(30),
    "phase": PhaseRetrieval(),
}
SMALL: dict[str, dict[str, Any]] = {
    "auto": {},
    "bird": {"steps": 2, "iterations": 2, "kernel": 3},
    "blinddps": {"steps": 3, "kernel": 3},
    "ddnm": {"steps": 3},
    "ddrm": {"steps": 3},
    "ddrm-jpeg": {"steps": 3},
    "denoise": {},
    "dgp": {"candidates": 2, "iterations": 1},
    "diip": {"steps": 2, "iterations": 3},
    "dip": {"iterations": 3, "levels": 2, "channels": 4, "stop": "variance", "window": 2},
    "dps": {"steps": 3},
    "dreamclean": {"steps": 20, "strength": 100},
    "dreamclean-known": {"steps": 20, "strength": 100},
    "dreamclean-phase": {"strength": 50, "restarts": 2, "iterations": 3},
    "gdp": {"steps": 3, "first": 8, "bright": 1.0, "scale": 2000.0},
    "gibbsddrm": {"steps": 3, "kernel": 3},
    "jpeg": {"steps": 2},
    "mmps": {"steps": 3},
    "red": {"iterations": 2},
    "snips": {"levels": 3},
    "unblur": {"steps": 2},
    "zero-dce": {},
}
# What does not follow from the prior and the degradation, and other code than the usual.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("bird", {"steps": 2, "iterations": 2, "gradient": "exact", "degradation": "light"}),
    ("dgp", {"candidates": 2, "iterations": 1, "fit": "resize"}),
    ("diip", {"steps": 2, "iterations": 3, "gradient": "exact", "sphere": True}),
    ("dreamclean", {"steps": 20, "strength": "auto"}),
    ("gdp", {"steps": 3, "guide": "xt", "loss": "ssim", "degradation": "kernel", "kernel": 3}),
    ("gibbsddrm", {"steps": 3, "kernel": 3, "preconditioned": False}),
]


@pytest.fixture(scope="module")
def priors(tiny_network: Callable[..., DenoisingUNet]) -> tuple[Prior, Prior]:
    """The same prior on the CPU and on the device."""
    here = tiny_network().requires_grad_(False)
    with Here():
        there = deepcopy(here).to(NAME)
    return tuple(VENetwork(network, linear_ladder(), multiple=4) for network in (here, there))  # type: ignore[return-value]


def end(method: Method, problem: Problem, prior: Prior) -> Tensor:
    """The last state, also where an untrained network makes a method diverge, which a result may not."""
    *_, state = method.iterate(problem, prior, Streams.of(1, len(problem.y)))
    return state.x


def same(there: Tensor, here: Tensor) -> None:
    assert isinstance(there, Far)
    torch.testing.assert_close(near(there), here, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    operator, x = OPERATORS[name], 2 * draw(1, 3, 16, 16) - 1
    y = operator.A(x)
    with Here():
        there = x.to(NAME)
        same(operator.A(there), y)
        if operator.linear:
            same(operator.At(y.to(NAME)), operator.At(y))
            same(operator.pinv(y.to(NAME)), operator.pinv(y))
            same(operator.consistent(there, y.to(NAME)), operator.consistent(x, y))


@pytest.mark.parametrize(
    ("name", "settings"),
    [(name, settings) for name, settings in [*SMALL.items(), *OTHERS] if methods.find(name).blind],
)
def test_blind_methods(name: str, settings: dict[str, Any], priors: tuple[Prior, Prior]) -> None:
    method, y = methods.get(name, **settings), 2 * draw(1, 3, 16, 20) - 1
    with Here():
        there = method(Problem(y.to(NAME)), priors[1], seed=1)
    same(there, method(Problem(y), priors[0], seed=1))


@pytest.mark.parametrize("name", [name for name in SMALL if not methods.find(name).blind])
def test_methods_that_are_told(name: str, priors: tuple[Prior, Prior]) -> None:
    operators = {"ddrm-jpeg": ["jpeg"], "jpeg": ["jpeg"], "dreamclean-phase": ["phase"]}.get(
        name, ["average", "blur", "mask", "hadamard"]
    )
    for operator in map(OPERATORS.__getitem__, operators):
        method, y = methods.get(name, **SMALL[name]), operator.A(2 * draw(1, 3, 16, 16) - 1)
        with Here():
            there = end(method, Problem(y.to(NAME), operator, 0.1), priors[1])
        same(there, end(method, Problem(y, operator, 0.1), priors[0]))


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize(
    ("name", "more"),
    [("denoise", {}), ("gdp", {}), ("dps", {"operator": Mask(draw(45, 70) > 0.3), "exact": True})],
)
def test_any_size(name: str, more: dict[str, Any], tile: int | None, priors: tuple[Prior, Prior]) -> None:
    def restored(prior: Prior) -> Tensor:
        return Runner(name, prior, tile=tile, **SMALL[name], **more).run(draw(1, 3, 45, 70), 3).colours

    with Here():
        there = restored(priors[1])
    # Pictures come back to where files are written.
    assert there.device.type == "cpu"
    torch.testing.assert_close(there, restored(priors[0]), atol=1e-4, rtol=1e-4)


def test_latents(tiny_sd: Path) -> None:
    here = load_prior(tiny_sd)
    with Here():
        there = load_prior(tiny_sd, NAME)
        found = Runner("dreamclean", there, strength=50, steps=20).run(draw(1, 3, 40, 56), 3).colours
    wanted = Runner("dreamclean", here, strength=50, steps=20).run(draw(1, 3, 40, 56), 3).colours
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_measurements(priors: tuple[Prior, Prior], tmp_path: Path) -> None:
    table = with_settings(known.table(["sr4"], ["ddrm"]), {"ddrm.steps": "3"})
    photographs = in_memory({"one": 2 * draw(1, 3, 16, 16) - 1})

    def figures(prior: Prior, folder: str) -> list[float]:
        rows = run(Run(table, prior, photographs, tmp_path / folder))
        return [row.figures["psnr"] for row in rows if isinstance(row, Row)]

    with Here():
        there = figures(priors[1], "there")
    assert len(there) == 2
    assert there == pytest.approx(figures(priors[0], "here"), abs=1e-3)


@pytest.mark.parametrize(
    "kind", [("--preset", "tiny"), ("--gan", "--set", "batch=2"), ("--zero-dce", "--set", "batch=2")]
)
def test_training(kind: tuple[str, ...], tmp_path: Path, pellucid_command: Callable[..., Any]) -> None:
    for index in range(3):
        images.write(images.from_tensor(draw(1, 3, 72, 72)), tmp_path / f"{index}.png")
    with Here():
        said = pellucid_command("train", tmp_path, "-o", tmp_path / "run", *kind, "--set", "steps=2", "--device", NAME)
    assert said.code == 0, said.err
