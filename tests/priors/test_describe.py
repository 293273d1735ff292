from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid.bench.prior import gflop
from pellucid.errors import PellucidError
from pellucid.maths.noise import cosine_ladder, linear_ladder, scaled_linear_ladder
from pellucid.priors import embedded, load_prior
from pellucid.priors.ddpm import DDPMConfig, DDPMUNet
from pellucid.priors.describe import describe, schedule_of
from pellucid.priors.guided import GuidedConfig, GuidedUNet


@pytest.fixture
def guided(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    torch.save(GuidedUNet(GuidedConfig(32, (32, 64), 1, (1,), classes=4)).state_dict(), path)
    return path


def test_a_guided_diffusion_file(guided: Path) -> None:
    told, prior = describe(guided)
    assert told.family == "guided-diffusion"
    assert told.size is None
    assert (told.channels, told.multiple, told.classes) == (3, 2, 4)
    assert (told.schedule, told.steps, told.predicts) == ("linear", 1000, "epsilon")
    assert told.learned_sigma
    assert told.heads == "of 64 channels, legacy order (assumed)"
    assert told.bytes == guided.stat().st_size
    assert told.sha256 == hashlib.sha256(guided.read_bytes()).hexdigest()
    network = GuidedUNet(GuidedConfig(32, (32, 64), 1, (1,), classes=4))
    assert told.parameters == sum(weight.numel() for weight in network.parameters())
    assert next(prior.network.parameters()).is_meta  # type: ignore[attr-defined]


def test_published_networks_have_a_resolution(tmp_path: Path) -> None:
    """The whole network of DDPM's faces, of zeros that take no room."""
    path = tmp_path / "celeba_hq.ckpt"
    with torch.device("meta"):
        network = DDPMUNet(DDPMConfig(128, (128, 128, 256, 256, 512, 512), 2, (4,)))
    torch.save({name: torch.zeros(()).expand(w.shape) for name, w in network.state_dict().items()}, path)
    told, prior = describe(path)
    assert (told.family, told.size, told.parameters, told.heads) == ("DDPM", 256, 113_673_219, "")
    assert gflop(prior, 256) == pytest.approx(497, rel=0.01)


def test_folders(tiny_prior: Path) -> None:
    told, _ = describe("natural")
    assert (told.family, told.predicts, told.schedule) == ("pellucid", "x0", "linear")
    weights = embedded.folder_of("natural") / "model.safetensors"
    assert told.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert describe(tiny_prior)[0].bytes < told.bytes


def test_a_prior_of_shapes_costs_what_the_prior_does(tiny_prior: Path) -> None:
    assert gflop(describe(tiny_prior)[1], 32) == gflop(load_prior(tiny_prior), 32) > 0


def test_schedules() -> None:
    assert schedule_of(linear_ladder()) == schedule_of(linear_ladder(250)) == "linear"
    assert schedule_of(cosine_ladder(4000)) == "cosine"
    assert schedule_of(scaled_linear_ladder()) == "scaled-linear"
    assert schedule_of(linear_ladder(1000, 1e-4, 0.01)) == "other"


def test_what_is_no_prior_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(PellucidError, match="is damaged"):
        describe(tmp_path / "model.pt")


def test_inspect(guided: Path, pellucid_command: Callable[..., Any]) -> None:
    said = pellucid_command("priors", "inspect", guided)
    assert said.code == 0
    facts = dict(line.split("  ", 1) for line in said.out.splitlines())
    assert facts["family"].strip() == "guided-diffusion"
    assert facts["resolution"].strip() == "not known"
    assert facts["cost of a call"].strip().endswith("GFLOP at 256 x 256")
    record = json.loads(pellucid_command("priors", "inspect", guided, "--json").out)
    assert (record["family"], record["classes"], record["gflop_size"]) == ("guided-diffusion", 4, 256)
    assert record["gflop"] > 0
    said = pellucid_command("priors", "inspect", "nothing")
    assert said.code == 2
    assert "unknown prior 'nothing'" in said.err


def test_classes_of_a_diffusers_folder(tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    unet: Any = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=2, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        num_class_embeds=3,
    )  # fmt: skip
    unet.save_pretrained(tmp_path / "unet")
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text("{}")
    told, prior = describe(tmp_path)
    assert (told.family, told.size, told.channels, told.classes) == ("diffusers UNet2DModel", 8, 1, 3)
    assert told.learned_sigma
    assert told.heads == "of 8 channels"
    assert gflop(prior, 8) > 0
