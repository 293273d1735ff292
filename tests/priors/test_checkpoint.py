from __future__ import annotations

import argparse
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pellucid.errors import PellucidError
from pellucid.maths.noise import linear_ladder
from pellucid.priors import VPNetwork, checkpoint, load_prior
from pellucid.priors.ddpm import DDPMConfig, DDPMUNet
from pellucid.priors.guided import GuidedConfig, GuidedUNet

GUIDED = GuidedConfig(32, (32, 64), 1, (1,), classes=4)
State = dict[str, Tensor]


def network_of(family: str, seed: int = 0) -> GuidedUNet | DDPMUNet:
    """A small network with random weights."""
    torch.manual_seed(seed)
    made = GuidedUNet(GUIDED) if family == "guided" else DDPMUNet(DDPMConfig(32, (32, 64), 1, (1,)))
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=["guided", "ddpm"])
def network(request: pytest.FixtureRequest) -> GuidedUNet | DDPMUNet:
    return network_of(request.param)


def saved(path: Path, content: Any, *, archive: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


X = torch.randn(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["archive", "legacy", "safetensors", "half"])
def test_a_file_computes_what_its_network_does(network: GuidedUNet, kind: str, tmp_path: Path) -> None:
    weights = network.state_dict()
    if kind == "half":
        weights = {name: weight.half() for name, weight in weights.items()}
    if kind == "safetensors":
        path = tmp_path / "model.safetensors"
        save_file(weights, path)
    else:
        path = saved(tmp_path / "model.pt", weights, archive=kind != "legacy")
    prior = load_prior(path)
    assert isinstance(prior, VPNetwork)
    assert torch.equal(prior.sigmas, linear_ladder())
    assert (prior.channels, prior.multiple) == (3, 2)
    sigma = prior.sigmas[300].item()
    with_halves = {name: weight.float() for name, weight in weights.items()}
    epsilon = torch.func.functional_call(network, with_halves, (X / (1 + sigma**2) ** 0.5, torch.tensor([300.0])))
    torch.testing.assert_close(prior(X, sigma), X - sigma * epsilon[:, :3], atol=1e-4, rtol=1e-5)


def test_weights_are_frozen_and_gradients_reach_the_image(network: GuidedUNet, tmp_path: Path) -> None:
    prior = load_prior(saved(tmp_path / "model.pt", network.state_dict()))
    assert isinstance(prior, VPNetwork)
    assert isinstance(prior.network, nn.Module)
    assert not any(weight.requires_grad or weight.is_meta for weight in prior.network.parameters())
    x = X.clone().requires_grad_()
    prior(x, 0.5).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def parallel(weights: State) -> State:
    return {f"module.{name}": weight for name, weight in weights.items()}


OPTIMISER = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    ("wrap", "part"),
    [
        (lambda weights, ema: ema, ""),
        (lambda weights, ema: parallel(ema), ""),
        (lambda weights, ema: [parallel(weights), OPTIMISER, 3, 700, ema], " (its part 4)"),
        (lambda weights, ema: [ema, {"step": 0}], " (its part 0)"),
        (lambda weights, ema: {"state_dict": ema, "step": 3}, " (its part state_dict)"),
        (lambda weights, ema: {"model": weights, "optimizer": OPTIMISER, "ema": parallel(ema)}, " (its part ema)"),
        (lambda weights, ema: {"states": {"model": weights, "model_ema": ema}}, " (its part states.model_ema)"),
    ],
)
@pytest.mark.parametrize("family", ["guided", "ddpm"])
def test_wrapped_weights_are_found(
    family: str, wrap: Callable[[State, State], Any], part: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    average = network_of(family, 1)
    path = saved(tmp_path / "model.ckpt", wrap(network_of(family).state_dict(), average.state_dict()))
    with caplog.at_level(logging.INFO, "pellucid"):
        prior = load_prior(path)
    assert isinstance(prior, VPNetwork)
    x, t = X, torch.tensor([3.0])
    assert torch.equal(prior.network(x, t), average(x, t))
    said = caplog.records[0]
    assert said.levelno == logging.INFO
    assert ("guided-diffusion" if family == "guided" else "a DDPM network") in said.message
    assert said.message.endswith(part)


def test_what_is_assumed_is_said_unless_it_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path / "model.pt", network_of("guided").state_dict())
    checkpoint.load(path)
    assert "heads of 64 channels, the legacy order and a linear schedule are assumed" in caplog.text
    caplog.clear()
    network = checkpoint.load(path, heads=2, order="new").network
    assert not caplog.records
    assert isinstance(network, GuidedUNet)
    assert (network.config.heads, network.config.order) == (2, "new")
    network = checkpoint.load(str(path), head_channels=16).network
    assert isinstance(network, GuidedUNet)
    assert (network.config.heads, network.config.head_channels) == (None, 16)
    with pytest.raises(PellucidError, match=r"model\.pt: an attention over 64 channels cannot have 3 heads"):
        checkpoint.load(path, heads=3)


def test_a_class_can_be_chosen(tmp_path: Path) -> None:
    network = network_of("guided")
    path = saved(tmp_path / "model.pt", network.state_dict())
    t = torch.tensor([3.0])
    assert torch.equal(checkpoint.load(path, label=3).network(X, t), network(X, t, torch.tensor([3])))
    with pytest.raises(PellucidError, match=r"has no class 4: there are 0 to 3"):
        checkpoint.load(path, label=4)
    with pytest.raises(PellucidError, match=r"has no class 0: there are none"):
        checkpoint.load(saved(tmp_path / "other.ckpt", network_of("ddpm").state_dict()), label=0)


def test_a_variance_beside_a_ddpm_network_is_left_out(tmp_path: Path) -> None:
    load_prior(saved(tmp_path / "model.ckpt", network_of("ddpm").state_dict() | {"logvar": torch.zeros(1000)}))


# --- what is no prior ---


def refused(path: Path) -> str:
    """The one line that says why."""
    with pytest.raises(PellucidError) as caught:
        load_prior(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


class Runs:
    """Would make a folder if it were unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("archive", [True, False])
def test_what_would_be_run_is_refused(archive: bool, tmp_path: Path) -> None:
    path, made = tmp_path / "model.pt", tmp_path / "made"
    weights = network_of("ddpm").state_dict()
    assert "mkdir would be run" in refused(saved(path, Runs(made), archive=archive))
    assert "mkdir would be run" in refused(saved(path, weights | {"x": Runs(made)}, archive=archive))
    assert not made.exists()
    assert "Namespace would be run" in refused(
        saved(path, {"args": argparse.Namespace(), "m": weights}, archive=archive)
    )
    assert "Linear would be run" in refused(saved(path, nn.Linear(2, 2), archive=archive))


def test_programs_are_refused(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "model.pt")
    assert "refused: it is a TorchScript program" in refused(tmp_path / "model.pt")
    for name in ("edm.pkl", "EDM.PICKLE"):
        (tmp_path / name).write_bytes(pickle.dumps({"ema": Runs(tmp_path / "made")}))
        assert "refused: it is a pickle of code" in refused(tmp_path / name)
    assert not (tmp_path / "made").exists()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    weights = network_of("ddpm").state_dict()
    for name, archive in (("model.pt", True), ("old.pt", False)):
        path = saved(tmp_path / name, weights, archive=archive)
        whole = path.read_bytes()
        for length in (len(whole) - 1000, len(whole) // 2, 100, 2, 0):
            path.write_bytes(whole[:length])
            assert "is damaged" in refused(path)
    (tmp_path / "page.pt").write_bytes(b"<html>not found</html>")
    assert "is damaged, or no checkpoint at all" in refused(tmp_path / "page.pt")
    save_file(weights, tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-1000])
    assert "no whole safetensors file" in refused(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["unet.down_blocks.0.attn.lora_A.weight"], "a LoRA"),
        (["lora_unet_mid_block.alpha"], "a LoRA"),
        (["model.diffusion_model.input_blocks.0.0.weight"], "a latent diffusion model"),
        (["down_blocks.0.resnets.0.conv1.weight"], r"give the folder that also holds its config\.json"),
        (["text_model.embeddings.token_embedding.weight"], "a model of text"),
        (["model.layers.0.self_attn.q_proj.weight"], "a model of text"),
        (["encoder.down.0.block.0.conv1.weight"], "an autoencoder"),
        (["time_embed.0.weight", "input_blocks.0.0.weight", "input_blocks.1.0.in_layers.0.weight"], "a classifier"),
        (["a", "b", "c", "d"], r"its tensors: a, b, c \.\.\."),
    ],
)
def test_other_networks_are_named(names: list[str], says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({name: torch.zeros(2) for name in names}, path)
    with pytest.raises(PellucidError, match=says):
        load_prior(path)
    refused(path)


def test_tensors_that_do_not_add_up_are_named(network: GuidedUNet, tmp_path: Path) -> None:
    path, weights = tmp_path / "model.pt", network.state_dict()
    stem = next(name for name in weights if name.endswith("in.weight") or name == "input_blocks.0.0.weight")
    bias = stem.replace("weight", "bias")
    assert "unknown extra" in refused(saved(path, weights | {"extra": torch.zeros(1)}))
    assert f"wrong shape for {bias}" in refused(saved(path, weights | {bias: torch.zeros(7)}))
    assert f"lacks {bias}" in refused(saved(path, {name: weight for name, weight in weights.items() if name != bias}))
    assert "too few dimensions" in refused(saved(path, weights | {stem: torch.zeros(3)}))


def test_a_network_that_looks_at_texts_is_refused(tmp_path: Path) -> None:
    weights = network_of("guided").state_dict() | {"middle_block.1.transformer_blocks.0.norm1.weight": torch.zeros(1)}
    assert "a latent diffusion model" in refused(saved(tmp_path / "model.pt", weights))


def test_a_network_that_enlarges_is_refused(tmp_path: Path) -> None:
    weights = network_of("guided").state_dict()
    weights["input_blocks.0.0.weight"] = torch.zeros(32, 6, 3, 3)
    assert "needs a small image as a second input" in refused(saved(tmp_path / "model.pt", weights))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match=r"model\.pt: cannot be read \(No such file"):
        checkpoint.load(tmp_path / "model.pt")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    contents: list[Any] = [{}, [], {"step": 1}, torch.zeros(2)]
    for content in contents:
        assert "no named tensors" in refused(saved(tmp_path / "model.pt", content))
