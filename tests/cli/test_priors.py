"""Options of the command line about priors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid import images
from pellucid.priors import load_prior
from pellucid.priors.fingerprint import fingerprint
from pellucid.priors.guided import GuidedConfig, GuidedUNet


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    images.write(images.from_array(torch.full((8, 8, 3), 90, dtype=torch.uint8).numpy()), path)
    return path


def test_a_label_chooses_the_class(grey: Path, tmp_path: Path, pellucid_command: Callable[..., Any]) -> None:
    network = GuidedUNet(GuidedConfig(32, (32,), 1, (), classes=3, head_channels=32))
    generator = torch.Generator().manual_seed(0)
    random = {name: 0.1 * torch.randn(w.shape, generator=generator) for name, w in network.state_dict().items()}
    random["label_emb.weight"] *= 30
    torch.save(random, tmp_path / "model.pt")
    written = []
    for label in ("0", "2"):
        out = tmp_path / f"{label}.png"
        said = pellucid_command(
            "restore",
            grey,
            "-o",
            out,
            "-m",
            "denoise",
            "--noise",
            0.1,
            "--prior",
            tmp_path / "model.pt",
            "--label",
            label,
        )
        assert said.code == 0, said.err
        written.append(images.read(out).tensor())
    assert not torch.equal(*written)
    said = pellucid_command("restore", grey, "-o", tmp_path / "x.png", "--prior", tmp_path / "model.pt", "--label", 3)
    assert said.code == 1
    assert said.err.endswith("model.pt: has no class 3: there are 0 to 2\n")
    said = pellucid_command("restore", grey, "-o", tmp_path / "x.png", "-m", "zero-dce", "--label", 1)
    assert said.code == 2
    assert not (tmp_path / "x.png").exists()


def test_offline_the_cache_alone_is_looked_into(
    grey: Path, tmp_path: Path, pellucid_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    for command in (
        ("restore", grey, "-o", tmp_path / "out.png", "--prior", "someone/model"),
        ("priors", "inspect", "someone/model"),
        ("priors", "convert", "someone/model", "-o", tmp_path / "out"),
    ):
        said = pellucid_command(*command, "--offline")
        assert (said.code, said.out) == (1, "")
        assert said.err.splitlines() == [
            "pellucid: someone/model: is not, or not wholly, in the cache, and nothing is fetched offline"
        ]


@pytest.mark.parametrize(
    "command", [("prior",), ("known", "--prior"), ("blind", "--prior"), ("table", "gdp-1", "--quick", "--prior")]
)
def test_measurements_take_a_label(
    command: tuple[str, ...], tiny_prior: Path, pellucid_command: Callable[..., Any]
) -> None:
    said = pellucid_command("bench", *command, tiny_prior, "--label", 3)
    assert (said.code, said.out) == (1, "")
    assert "has no class 3: there are none" in said.err


def test_another_label_is_another_prior(tmp_path: Path) -> None:
    network = GuidedUNet(GuidedConfig(32, (32,), 1, (), classes=3, head_channels=32))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    prints = [fingerprint(load_prior(tmp_path / "model.pt", label=label)) for label in (None, 0, 2, 2)]
    assert len(set(prints)) == 3
    assert prints[2] == prints[3]
