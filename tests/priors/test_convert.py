"""Priors of every family as folders: what is written computes what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pellucid.errors import PellucidError, UsageError
from pellucid.priors import VPNetwork, load_prior
from pellucid.priors import convert as module
from pellucid.priors.convert import convert
from pellucid.priors.ddpm import DDPMConfig, DDPMUNet
from pellucid.priors.describe import describe
from pellucid.priors.folder import WEIGHTS
from pellucid.priors.guided import GuidedConfig, GuidedUNet

X = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
CONFIG: dict[str, Any] = {
    "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 6, "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 8,
}  # fmt: skip
PATCHES: dict[str, Any] = {"in_channels": 12, "out_channels": 12, "patch_size": 2}
SCHEDULER = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction", "num_train_timesteps": 50}


def random(network: Any, seed: int = 0) -> dict[str, Tensor]:
    """Random weights in every layer."""
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.2 * torch.randn(w.shape, generator=generator) for name, w in network.state_dict().items()}


def unet_folder(folder: Path, **changes: Any) -> Path:
    """A diffusers model as a folder."""
    from diffusers import UNet2DModel

    config = CONFIG | changes
    network = UNet2DModel.from_config({key: value for key, value in config.items() if key != "patch_size"})
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    save_file(random(network), folder / "model.safetensors")
    return folder


def guided_file(path: Path) -> Path:
    # The layout of the 64 x 64 network is not small: this one has none of the published shapes.
    torch.save(random(GuidedUNet(GuidedConfig(32, (32, 64), 1, (1,), classes=4, order="new"))), path)
    return path


def ddpm_file(path: Path) -> Path:
    torch.save([{"step": 3}, random(DDPMUNet(DDPMConfig(32, (32, 64), 1, (1,))))], path)
    return path


@pytest.fixture(params=["guided", "ddpm", "unet", "patches", "classes", "pellucid"])
def source(request: pytest.FixtureRequest, tmp_path: Path, tiny_prior: Path) -> Path:
    if request.param == "guided":
        return guided_file(tmp_path / "model.pt")
    if request.param == "ddpm":
        return ddpm_file(tmp_path / "model.ckpt")
    if request.param == "pellucid":
        return tiny_prior
    changes = {"unet": {}, "patches": PATCHES, "classes": {"num_class_embeds": 5}}[request.param]
    return unet_folder(tmp_path / "source", **changes)


def test_what_is_written_computes_what_was_read(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out", licence="CC0: to be free")
    prior, again = load_prior(source), load_prior(tmp_path / "out")
    assert torch.equal(again.sigmas, prior.sigmas)
    assert (again.channels, again.multiple) == (prior.channels, prior.multiple)
    for sigma in (0.02, 0.5, 30.0):
        assert torch.equal(again(X, sigma), prior(X, sigma))
    old, new = describe(source)[0], describe(tmp_path / "out")[0]
    for fact in ("family", "parameters", "schedule", "steps", "predicts", "learned_sigma", "classes", "multiple"):
        assert getattr(old, fact) == getattr(new, fact)
    card = (tmp_path / "out" / "README.md").read_text()
    assert old.sha256 in card
    assert source.name in card
    assert f"{old.parameters:,}" in card
    assert 'license: "CC0: to be free"' in card
    assert "not known" not in card.partition("| licence |")[2]


def test_half_precision_is_half_the_size_and_rounds_the_weights(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "whole")
    convert(source, tmp_path / "half", half=True)
    whole, half = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "half"))
    assert {value.dtype for value in half.values()} == {torch.float16}
    assert all(torch.equal(half[name], whole[name].half()) for name in whole)
    assert load_prior(tmp_path / "half")(X, 0.5).isfinite().all()


def test_the_diffusers_library_reads_it(tmp_path: Path) -> None:
    from diffusers import DDPMScheduler, UNet2DModel

    source = unet_folder(tmp_path / "source", num_class_embeds=5)
    convert(source, tmp_path / "out")
    unet: Any = UNet2DModel.from_pretrained(tmp_path / "out")
    prior = load_prior(source, label=2)
    assert isinstance(prior, VPNetwork)
    t = torch.tensor([3.0, 4.0])
    with torch.no_grad():
        expected = unet(X, t, torch.tensor([2, 2]), return_dict=False)[0]
    torch.testing.assert_close(prior.network(X, t), expected)
    assert DDPMScheduler.from_pretrained(tmp_path / "out" / "scheduler").config["prediction_type"] == "v_prediction"


def test_a_converted_network_takes_a_label(tmp_path: Path) -> None:
    source = guided_file(tmp_path / "model.pt")
    convert(source, tmp_path / "out")
    priors = [load_prior(path, label=3) for path in (source, tmp_path / "out")]
    assert torch.equal(priors[0](X, 0.5), priors[1](X, 0.5))
    with pytest.raises(PellucidError, match="no class 4: there are 0 to 3"):
        load_prior(tmp_path / "out", label=4)


@pytest.mark.parametrize(("kind", "takes"), [("learned_range", True), ("learned", False)])
def test_a_variance_learnt_by_itself_is_left_unused(kind: str, takes: bool, tmp_path: Path) -> None:
    source = unet_folder(tmp_path / "source")
    (source / "scheduler_config.json").write_text(json.dumps(SCHEDULER | {"variance_type": kind}))
    convert(source, tmp_path / "out")
    for place in (source, tmp_path / "out"):
        prior = load_prior(place)
        assert isinstance(prior, VPNetwork)
        assert describe(place)[0].learned_sigma is takes
        assert prior(X, 0.5).shape == X.shape
        if takes:
            assert torch.equal(prior.learned(X, 0.5)[:, :3], prior(X, 0.5))
        else:
            with pytest.raises(UsageError, match="learnt a variance by itself"):
                prior.learned(X, 0.5)


def test_a_cosine_schedule_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.priors import guided

    small = GuidedConfig(32, (32, 64), 1, (1,))
    shape = (small.width, small.widths, small.blocks, small.attention)
    monkeypatch.setitem(guided._PUBLISHED, shape, guided.PublishedNetwork(8, order="new", schedule="cosine"))
    source = tmp_path / "model.pt"
    torch.save(random(GuidedUNet(small)), source)
    convert(source, tmp_path / "out")
    assert describe(tmp_path / "out")[0].schedule == "cosine"
    assert torch.equal(load_prior(tmp_path / "out").sigmas, load_prior(source).sigmas)


# --- nothing is lost ---


def test_a_folder_that_is_there_is_left_alone(tiny_prior: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(tiny_prior, out)
    (out / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="exists; name another folder, or say --overwrite"):
        convert(tiny_prior, out)
    assert (out / "README.md").read_text() == "mine"
    with pytest.raises(UsageError, match="is what is converted"):
        convert(out, out, overwrite=True)
    convert(tiny_prior, out, overwrite=True)
    assert (out / "README.md").read_text() != "mine"
    (out / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"has photo\.jpg, which no conversion wrote"):
        convert(tiny_prior, out, overwrite=True)
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(UsageError, match="has file, which no conversion wrote"):
        convert(tiny_prior, tmp_path / "file", overwrite=True)
    assert (out / "photo.jpg").read_bytes() == (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk full")])
@pytest.mark.parametrize("there", [True, False])
def test_a_conversion_that_is_stopped_leaves_what_was_there(
    error: BaseException, there: bool, tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "made" / "out"
    if there:
        convert(tiny_prior, out)
        (out / "README.md").write_text("old")

    def stop(path: Path, weights: dict[str, Tensor]) -> None:
        path.write_bytes(b"part")
        raise error

    monkeypatch.setattr(module, "write_safetensors", stop)
    with pytest.raises(type(error)):
        convert(tiny_prior, out, overwrite=True)
    assert [path.name for path in out.parent.iterdir()] == (["out"] if there else [])
    if there:
        assert (out / "README.md").read_text() == "old"


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    source = unet_folder(tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    save_file(weights | {"conv_in.bias": torch.full_like(weights["conv_in.bias"], 1e5)}, source / "model.safetensors")
    with pytest.raises(PellucidError, match=r"conv_in\.bias holds numbers beyond half precision"):
        convert(source, tmp_path / "out", half=True)
    assert not (tmp_path / "out").exists()


def test_the_command(tiny_prior: Path, tmp_path: Path, pellucid_command: Callable[..., Any]) -> None:
    said = pellucid_command("priors", "convert", tiny_prior, "-o", tmp_path / "out", "--half")
    assert said.code == 0, said.err
    assert said.out.startswith(f"{tiny_prior} -> {tmp_path / 'out'}  pellucid, ")
    said = pellucid_command("priors", "convert", tiny_prior, "-o", tmp_path / "out")
    assert (said.code, said.out) == (2, "")
    said = pellucid_command("priors", "convert", tiny_prior, "-o", tmp_path / "out", "--overwrite", "--json")
    assert json.loads(said.out)["sha256"] == describe(tiny_prior)[0].sha256
    said = pellucid_command("priors", "convert", "json:loads", "-o", tmp_path / "other")
    assert said.code == 2
    assert "is code" in said.err
