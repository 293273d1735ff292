from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import scaled_linear_ladder
from pellucid.priors import Latent, load_prior
from pellucid.priors.describe import describe


def copied(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "model"))


@pytest.mark.parametrize(("xl", "prediction"), [(False, "epsilon"), (False, "v_prediction"), (True, "epsilon")])
def test_a_folder_computes_what_diffusers_does(
    tmp_path: Path, write_latent: Callable[..., Path], xl: bool, prediction: str
) -> None:
    from diffusers import UNet2DConditionModel

    folder = write_latent(tmp_path / "model", xl=xl, prediction=prediction)
    prior = load_prior(folder)
    assert isinstance(prior, Latent)
    assert (prior.channels, prior.multiple, prior.unit, prior.size) == (4, 2, 16, 128)
    torch.testing.assert_close(prior.sigmas, scaled_linear_ladder())
    network: Any = UNet2DConditionModel
    unet = network.from_pretrained(folder / "unet").eval()
    z, sigma = torch.randn(2, 4, 6, 10, generator=torch.Generator().manual_seed(0)), prior.sigmas[500].item()
    added = {"text_embeds": torch.zeros(2, 16), "time_ids": torch.tensor([[48.0, 80, 0, 0, 48, 80]]).expand(2, -1)}
    with torch.no_grad():
        scale = (1 + sigma**2) ** -0.5
        out = unet(z * scale, 500, torch.zeros(2, 77, 16), added_cond_kwargs=added if xl else None).sample
        expected = z - sigma * out if prediction == "epsilon" else scale**2 * z - sigma * scale * out
        torch.testing.assert_close(prior(z, sigma), expected, atol=1e-5, rtol=1e-5)


def test_the_sizes_that_sdxl_is_told_matter(tiny_sdxl: Path) -> None:
    """A tile of the latents is not what the same tile is within more of them: it is told its own size."""
    prior = load_prior(tiny_sdxl)
    assert isinstance(prior, Latent)
    heard: list[torch.Tensor] = []
    prior.network.unet.add_embedding.register_forward_hook(lambda _, args, __: heard.append(args[0]))
    prior(torch.zeros(1, 4, 2, 2), 1.0)
    prior(torch.zeros(1, 4, 2, 4), 1.0)
    assert heard[0].shape == (1, 64)
    assert not torch.equal(heard[0], heard[1])


def test_half_precision_is_computed_in_single_and_the_full_file_goes_first(tiny_sd: Path, tmp_path: Path) -> None:
    folder = copied(tiny_sd, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    halves = {name: tensor.half() for name, tensor in load_file(weights).items()}
    save_file(halves, weights.with_suffix(".fp16.safetensors"))
    z = torch.ones(1, 4, 2, 2)
    torch.testing.assert_close(load_prior(folder)(z, 1.0), load_prior(tiny_sd)(z, 1.0))
    weights.unlink()
    torch.testing.assert_close(load_prior(folder)(z, 1.0), load_prior(tiny_sd)(z, 1.0), atol=1e-2, rtol=1e-2)


def test_weights_in_parts(tiny_sd: Path, tmp_path: Path) -> None:
    folder = copied(tiny_sd, tmp_path)
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(whole)
    for part in (0, 1):
        some = {name: tensor for i, (name, tensor) in enumerate(sorted(tensors.items())) if i % 2 == part}
        save_file(some, folder / "unet" / f"diffusion_pytorch_model-0000{part + 1}-of-00002.safetensors")
    whole.unlink()
    z = torch.ones(1, 4, 2, 2)
    torch.testing.assert_close(load_prior(folder)(z, 1.0), load_prior(tiny_sd)(z, 1.0))
    (folder / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors").unlink()
    with pytest.raises(PellucidError, match=r"one \.safetensors file, or all parts of one"):
        load_prior(folder)


def test_weights_are_frozen_and_gradients_reach_latents_and_images(tiny_sdxl: Path) -> None:
    prior = load_prior(tiny_sdxl)
    assert isinstance(prior, Latent)
    z = torch.zeros(1, 4, 2, 2, requires_grad=True)
    (prior(z, 0.5).sum() + prior.decode(z, 16, 16).sum()).backward()
    assert z.grad is not None
    assert not any(p.requires_grad for network in (prior.network, prior.vae.network) for p in network.parameters())


def test_every_folder_that_is_no_prior_is_one_clear_line(tiny_sd: Path, tmp_path: Path) -> None:
    folder = copied(tiny_sd, tmp_path)

    def refused(match: str, place: Path = folder) -> None:
        with pytest.raises(PellucidError, match=match) as caught:
            load_prior(place)
        assert "\n" not in str(caught.value)
        assert str(place) in str(caught.value)

    def changed(part: str, **fields: object) -> str:
        path = folder / part / "config.json"
        text = path.read_text()
        path.write_text(json.dumps(json.loads(text) | fields))
        return text

    refused("an autoencoder, which makes no images", folder / "vae")
    refused("name the folder that also holds its vae/", folder / "unet")
    text = changed("unet", in_channels=9)
    refused("takes 9 channels and its autoencoder makes 4")
    (folder / "unet" / "config.json").write_text(text)
    text = changed("vae", _class_name="VQModel")
    refused("holds a VQModel; a AutoencoderKL is needed")
    (folder / "vae" / "config.json").write_text(text)
    text = changed("vae", latents_mean=[0.0] * 4)
    refused("latents_mean")
    (folder / "vae" / "config.json").write_text(text)
    text = changed("unet", cross_attention_dim=24)
    refused("does not fit its config.json: it has the wrong shape")
    (folder / "unet" / "config.json").write_text(text)
    (folder / "scheduler" / "scheduler_config.json").unlink()
    refused("cannot be read")
    text_model = tmp_path / "text"
    text_model.mkdir()
    (text_model / "config.json").write_text(json.dumps({"architectures": ["CLIPTextModel"], "model_type": "clip"}))
    refused("a model of text", text_model)


def test_a_prompt_needs_a_model_that_reads_it(tiny_sd: Path, tiny_sdxl: Path, tiny_prior: Path) -> None:
    with pytest.raises(PellucidError, match=r"has no text_encoder/; without it there can be no prompt"):
        load_prior(tiny_sd, prompt="a cat")
    with pytest.raises(PellucidError, match=r"has no text_encoder/"):
        load_prior(tiny_sdxl, prompt="a cat")
    for prior in (tiny_prior, load_prior(tiny_sdxl)):
        with pytest.raises(UsageError, match="a prompt goes with"):
            load_prior(prior, prompt="a cat")


def test_what_stands_for_no_text_is_told(tiny_sd: Path, tiny_sdxl: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_prior(tiny_sdxl)
    assert not caplog.messages
    load_prior(tiny_sd)
    assert "zeros replace the empty text" in caplog.messages[0]


def test_a_description(tiny_sdxl: Path) -> None:
    told, prior = describe(tiny_sdxl)
    assert isinstance(prior, Latent)
    assert (told.family, told.size, told.channels, told.multiple) == ("SDXL", 128, 3, 16)
    assert (told.schedule, told.predicts) == ("scaled-linear", "epsilon")
    files = [tiny_sdxl / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
    assert told.bytes == sum(path.stat().st_size for path in files)
    assert told.parameters == sum(tensor.numel() for path in files for tensor in load_file(path).values())
