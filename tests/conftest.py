"""Fixtures shared by all tests: photographs, small priors, and the command line in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import settings
from torch import Tensor

import pellucid.cli
from pellucid import images
from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.problem import to_model
from pellucid.train.export import Origin, write_prior
from pellucid.train.recipe import preset

# A busy machine is no failure; in CI the same examples each time.
settings.register_profile("pellucid", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pellucid")

ASSETS = Path(__file__).parents[1] / "src" / "pellucid" / "assets"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data; tests that need it are skipped on a machine without it."""
    folder = Path(os.environ.get("PELLUCID_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data" / "eval").is_dir():
        pytest.skip("needs the development photographs: set PELLUCID_SHARED to the folder that holds data/eval")
    return folder


@pytest.fixture(scope="session")
def bundled() -> dict[str, Tensor]:
    """The two photographs of the package by name, each (1, 3, 256, 256) in [-1, 1]."""
    return {path.stem: to_model(images.read(path).tensor()) for path in sorted(ASSETS.glob("*.png"))}


@pytest.fixture(scope="session")
def photographs(shared: Path) -> dict[str, Tensor]:
    """The evaluation photographs by name, each (1, 3, 256, 256) in [-1, 1]."""
    return {
        path.stem: to_model(images.read(path).tensor()) for path in sorted((shared / "data" / "eval").glob("*.png"))
    }


def tiny_network(seed: int = 0, channels: int = 3) -> DenoisingUNet:
    """A network of a few thousand weights, all of them random: what it says is nonsense, but reproducibly so."""
    torch.manual_seed(seed)
    network = DenoisingUNet(UNetConfig(channels=channels, widths=(8, 16), blocks=(1, 1), embedding=8))
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.05)
    return network


@pytest.fixture(scope="session", name="tiny_network")
def _tiny_network() -> Callable[..., DenoisingUNet]:
    return tiny_network


@pytest.fixture(scope="session")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a prior that takes milliseconds."""
    folder = tmp_path_factory.mktemp("priors") / "tiny"
    write_prior(folder, tiny_network(), preset("tiny"), 0, 0, {}, Origin("tiny"), None)
    return folder


class Said(NamedTuple):
    """What a command did: exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def pellucid_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr("sys.argv", ["pellucid", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            pellucid.cli.main()
        assert isinstance(end.value.code, int)
        return Said(end.value.code, *capsys.readouterr())

    return run
