from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import pellucid
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import cosine_ladder, linear_ladder, scaled_linear_ladder
from pellucid.priors import GaussianPrior, VPNetwork, embedded, load_prior, names

CONFIG: dict[str, Any] = {
    "_class_name": "UNet2DModel",
    "sample_size": 8,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "add_attention": False,
}
SCHEDULER = {"num_train_timesteps": 1000, "beta_schedule": "linear", "prediction_type": "epsilon"}


@pytest.fixture(scope="module")
def unet() -> Any:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    return UNet2DModel.from_config({k: v for k, v in CONFIG.items() if k != "patch_size"}).eval()


@pytest.fixture
def folder(unet: Any, tmp_path: Path) -> Path:
    """A random diffusers model on patches of 2, half precision, as a folder."""
    return write(tmp_path / "prior", unet, CONFIG, SCHEDULER)


def write(folder: Path, unet: Any, config: dict[str, Any], scheduler: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "scheduler_config.json").write_text(json.dumps(scheduler))
    save_file({k: v.half().contiguous() for k, v in unet.state_dict().items()}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("scheduler", "ladder"),
    [
        ({}, linear_ladder()),
        ({"beta_start": 0.001, "beta_end": 0.01, "num_train_timesteps": 500}, linear_ladder(500, 0.001, 0.01)),
        ({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}, scaled_linear_ladder()),
        ({"beta_schedule": "squaredcos_cap_v2"}, cosine_ladder()),
        ({"trained_betas": torch.linspace(1e-4, 0.02, 1000).tolist()}, linear_ladder()),
    ],
)
def test_a_diffusers_folder_is_loaded_with_its_own_ladder(
    unet: Any, tmp_path: Path, scheduler: dict[str, Any], ladder: Tensor
) -> None:
    prior = load_prior(write(tmp_path / "prior", unet, CONFIG, SCHEDULER | scheduler))
    torch.testing.assert_close(prior.sigmas, ladder, rtol=1e-4, atol=0)
    assert prior.channels == 3
    assert prior.multiple == 4


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_diffusers_folder_computes_what_its_network_does(unet: Any, tmp_path: Path, prediction: str) -> None:
    prior = load_prior(write(tmp_path / "prior", unet, CONFIG, SCHEDULER | {"prediction_type": prediction}))
    assert isinstance(prior, VPNetwork)
    x, sigma = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0)), prior.sigmas[300].item()
    halves = {k: v.half().float() for k, v in unet.state_dict().items()}
    patches = torch.nn.functional.pixel_unshuffle(x / (1 + sigma**2) ** 0.5, 2)
    out = torch.func.functional_call(unet, halves, (patches, torch.tensor([300.0, 300.0])))[0]
    out = torch.nn.functional.pixel_shuffle(out, 2)
    expected = {
        "epsilon": x - sigma * out,
        "v_prediction": x / (1 + sigma**2) - sigma / (1 + sigma**2) ** 0.5 * out,
        "sample": out,
    }[prediction]
    torch.testing.assert_close(prior(x, sigma), expected, atol=1e-5, rtol=1e-4)


def test_a_pipeline_folder_has_its_network_in_unet(folder: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline"
    (pipeline / "scheduler").mkdir(parents=True)
    folder.rename(pipeline / "unet")
    (pipeline / "unet" / "scheduler_config.json").rename(pipeline / "scheduler" / "scheduler_config.json")
    assert load_prior(pipeline).multiple == 4
    assert load_prior(pipeline / "unet").multiple == 4


CLASSES = {"num_class_embeds": 5, "in_channels": 3, "out_channels": 3, "patch_size": 1}


def test_a_class_can_be_chosen(tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    config = CONFIG | CLASSES
    torch.manual_seed(0)
    own: Any = UNet2DModel.from_config({k: v for k, v in config.items() if k != "patch_size"}).eval()
    folder = write(tmp_path / "prior", own, config, SCHEDULER)
    own.half().float()
    x, t = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([3.0, 3.0])
    outputs = []
    with torch.no_grad():
        for label in (0, 4):
            prior = load_prior(folder, label=label)
            assert isinstance(prior, VPNetwork)
            outputs.append(own(x, t, torch.tensor([label, label]), return_dict=False)[0])
            torch.testing.assert_close(prior.network(x, t), outputs[-1], atol=1e-5, rtol=1e-4)
        own.class_embedding.weight[:] = own.class_embedding.weight.mean(0)
        mean = own(x, t, torch.tensor([0, 0]), return_dict=False)[0]
    prior = load_prior(folder)
    assert isinstance(prior, VPNetwork)
    torch.testing.assert_close(prior.network(x, t), mean, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)
    with pytest.raises(PellucidError, match=r"prior: has no class 5: there are 0 to 4"):
        load_prior(folder, label=5)
    (folder / "config.json").write_text(json.dumps(config | {"class_embed_type": "timestep"}))
    with pytest.raises(PellucidError, match="its classes are no numbers"):
        load_prior(folder)


def test_a_label_without_classes_is_refused(folder: Path, tiny_prior: Path) -> None:
    for source in (folder, tiny_prior, "natural"):
        with pytest.raises(PellucidError, match="has no class 1: there are none"):
            load_prior(source, label=1)
    with pytest.raises(UsageError, match="needs no prior, which a label is for: leave it out"):
        pellucid.restore(torch.zeros(1, 3, 4, 4), "zero-dce", label=1)


def test_attention_under_its_old_names(tmp_path: Path) -> None:
    """As the models of DDPM were published on the hub."""
    from diffusers import UNet2DModel

    config = CONFIG | {"add_attention": True, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"]}
    config |= {"up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "attention_head_dim": None}
    own: Any = UNet2DModel.from_config({k: v for k, v in config.items() if k != "patch_size"})
    folder = write(tmp_path / "prior", own, config, SCHEDULER)
    x, expected = torch.ones(1, 3, 8, 8), load_prior(folder)(torch.ones(1, 3, 8, 8), 0.5)
    weights = load_file(folder / "model.safetensors")
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        weights = {name.replace(f".{new}.", f".{old}."): weight for name, weight in weights.items()}
    assert any(".proj_attn." in name for name in weights)
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    assert torch.equal(load_prior(folder)(x, 0.5), expected)


def test_one_of_several_weights_is_taken_by_its_usual_name(folder: Path) -> None:
    expected = load_prior(folder)(torch.ones(1, 3, 8, 8), 0.5)
    (folder / "model.fp16.safetensors").write_bytes(b"other")
    assert torch.equal(load_prior(folder)(torch.ones(1, 3, 8, 8), 0.5), expected)
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    (folder / "model.fp16.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(PellucidError, match=r"prior: 2 weight files; a prior's folder holds one"):
        load_prior(folder)


def test_weights_that_are_no_tensors_by_name_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": {"a": torch.zeros(1)}}, folder / "model.bin")
    with pytest.raises(PellucidError, match=r"model\.bin: holds more than tensors by name"):
        load_prior(folder)


def test_weights_are_frozen_and_gradients_reach_the_image(folder: Path) -> None:
    x = torch.zeros(1, 3, 4, 4, requires_grad=True)
    load_prior(folder)(x, 0.5).sum().backward()
    assert x.grad is not None
    prior = load_prior(folder)
    assert isinstance(prior, VPNetwork)
    assert isinstance(prior.network, torch.nn.Module)
    assert not any(p.requires_grad for p in prior.network.parameters())


def test_a_prior_is_returned_as_it_is() -> None:
    prior = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.ones(3, 1, 1))
    assert load_prior(prior) is prior


def test_the_embedded_priors_are_named_and_there() -> None:
    assert names() == ("natural", "natural-large")
    for name in names():
        place = embedded.folder_of(name)
        assert (place / "config.json").is_file()
        assert (place / "README.md").read_text().startswith(f"# {name}\n")
        assert [path.suffix for path in place.iterdir() if path.stat().st_size > 1e6] == [".safetensors"]


@pytest.mark.parametrize("name", names())
def test_an_embedded_prior_is_loaded_from_the_package_and_denoises(name: str) -> None:
    prior = load_prior(name)
    x = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    noisy = x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert (prior(noisy, 0.2) - x).square().mean() < 0.2 * (noisy - x).square().mean()


# --- what is no prior ---


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown prior 'naturla': did you mean 'natural'"):
        load_prior("naturla")


def test_every_broken_folder_is_one_clear_line(folder: Path) -> None:
    def refused(match: str) -> None:
        with pytest.raises(PellucidError, match=match) as caught:
            load_prior(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)

    weights, config = folder / "model.safetensors", folder / "config.json"
    tensors, text = load_file(weights), config.read_text()

    save_file({k: v for k, v in tensors.items() if k != "conv_in.bias"}, weights)
    refused(r"lacks conv_in\.bias")
    save_file(tensors | {"extra": torch.zeros(1)}, weights)
    refused("unknown extra")
    save_file(tensors | {"conv_in.bias": torch.zeros(3)}, weights)
    refused(r"wrong shape for conv_in\.bias")
    save_file(tensors, weights)

    (folder / "scheduler_config.json").write_text(json.dumps(SCHEDULER | {"beta_schedule": "sigmoid"}))
    refused("beta_schedule 'sigmoid'")
    (folder / "scheduler_config.json").write_text(json.dumps(SCHEDULER | {"prediction_type": "flow"}))
    refused("predicts 'flow'")
    (folder / "scheduler_config.json").unlink()
    refused("no scheduler_config.json")
    (folder / "scheduler_config.json").write_text(json.dumps(SCHEDULER))

    config.write_text(json.dumps(CONFIG | {"_class_name": "CLIPTextModel"}))
    refused("CLIPTextModel")
    config.write_text(json.dumps(CONFIG | {"down_block_types": ["NoBlock", "NoBlock"]}))
    refused("does not describe a network")
    config.write_text("[]")
    refused("no JSON object")
    config.write_text("{")
    refused("is no JSON")
    config.unlink()
    refused("cannot be read")
    config.write_text(text)

    weights.write_bytes(weights.read_bytes()[:-100])
    refused("no whole safetensors file")
    weights.unlink()
    refused("no weights")


def test_a_file_of_another_kind_is_no_prior(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(PellucidError, match=r"no folder and no checkpoint \(\.pt, "):
        load_prior(tmp_path / "model.onnx")
