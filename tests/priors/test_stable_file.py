from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors import Latent, VPNetwork, load_prior
from pellucid.priors.convert import convert
from pellucid.priors.describe import describe
from pellucid.priors.stable_file import unet_config, vae_config_of

WEIGHTS = "diffusion_pytorch_model.safetensors"


def tensors_of(original: Any, folder: Path, xl: bool) -> dict[str, Tensor]:
    """A folder's tensors by the names of a single file."""
    attends = [not xl, xl]
    unet = original.unet(load_file(folder / "unet" / WEIGHTS), 1, attends)
    return {**unet, **original.vae(load_file(folder / "vae" / WEIGHTS), 4)}


@pytest.fixture(scope="module", params=[False, True], ids=["sd", "sdxl"])
def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    write_latent: Callable[..., Path],
    original: Any,
) -> tuple[Path, Path]:
    """A model as a folder, and as a file; as wide as the 32 groups of normalisation need, which no tensor tells."""
    place = tmp_path_factory.mktemp("single")
    folder = write_latent(place / "model", xl=request.param, width=64 if request.param else 32, numbers=256)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors_of(original, folder, request.param).items()},
        place / "model.safetensors",
    )
    return folder, place / "model.safetensors"


def test_a_file_computes_what_its_folder_does(pair: tuple[Path, Path]) -> None:
    whole, single = (load_prior(place) for place in pair)
    assert isinstance(whole, Latent)
    assert isinstance(single, Latent)
    z = torch.randn(1, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(single(z, 0.7), whole(z, 0.7), atol=1e-5, rtol=0)
    image = whole.decode(z, 32, 48)
    torch.testing.assert_close(single.decode(z, 32, 48), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(single.encode(image), whole.encode(image), atol=1e-5, rtol=0)


def test_a_file_is_named_rightly(pair: tuple[Path, Path]) -> None:
    (whole, _), (single, _) = (describe(place) for place in pair)
    assert (single.family, single.parameters, single.predicts) == (whole.family, whole.parameters, whole.predicts)
    assert single.size == (1024 if single.family == "SDXL" else 512)


def test_what_is_no_whole_model_is_one_clear_line(pair: tuple[Path, Path], tmp_path: Path) -> None:
    tensors = load_file(pair[1])

    def refused(kept: dict[str, Tensor], match: str, **options: Any) -> None:
        path = tmp_path / "part.safetensors"
        save_file(kept, path)
        with pytest.raises(PellucidError, match=match) as caught:
            load_prior(path, **options)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    unet = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    refused(unet, "a part of a latent diffusion model")
    vae = {name.removeprefix("first_stage_model."): t for name, t in tensors.items() if name.startswith("first")}
    refused(vae, "an autoencoder")
    refused({"lora_unet_down_blocks_0.lora_up.weight": torch.zeros(2, 2)}, "a LoRA")
    refused({"text_model.embeddings.token_embedding.weight": torch.zeros(2, 2)}, "a model of text")
    refused({name: t for name, t in tensors.items() if "out.2.bias" not in name}, "it lacks conv_out.bias")
    refused(tensors, "no tokenizer", prompt="a cat")


def test_what_a_file_predicts(pair: tuple[Path, Path], tmp_path: Path) -> None:
    tensors = load_file(pair[1])
    for metadata, more, expected in (
        ({}, {}, "epsilon"),
        ({"modelspec.prediction_type": "v"}, {}, "v"),
        ({"modelspec.prediction_type": "epsilon"}, {}, "epsilon"),
        ({}, {"v_pred": torch.zeros(1)}, "v"),
    ):
        save_file(tensors | more, tmp_path / "model.safetensors", metadata)
        prior = load_prior(tmp_path / "model.safetensors", "meta")
        assert isinstance(prior, Latent)
        assert isinstance(prior.prior, VPNetwork)
        assert prior.prior.prediction == expected


def recognises_noise(tensors: dict[str, Tensor], says: bool) -> dict[str, Tensor]:
    """A network of which only the shortcut past all levels is left: it says the noise that it is shown, or nothing.

    The normalisation before its last layer, of one channel each, keeps noise of variance 1 as it is.
    """
    unet, made = "model.diffusion_model.", dict(tensors)
    for name, weight in tensors.items():
        if name.startswith(unet):
            # Normalisations stay as they are; all else is 0.
            made[name] = weight if weight.ndim == 1 and name.endswith("weight") else torch.zeros_like(weight)
    entry = made[f"{unet}input_blocks.0.0.weight"]
    last = made[f"{unet}output_blocks.3.0.skip_connection.weight"]
    exit_ = made[f"{unet}out.2.weight"]
    width = len(entry)
    for i in range(4):
        # silu(a) - silu(-a) = a
        entry[i, i, 1, 1], entry[i + 4, i, 1, 1] = 1, -1
        exit_[i, i, 1, 1], exit_[i, i + 4, 1, 1] = (1, -1) if says else (0, 0)
    for i in range(8):
        last[i, last.shape[1] - width + i] = 1
    return made


@pytest.mark.parametrize(("says", "expected"), [(True, "epsilon"), (False, "v")])
def test_what_stable_diffusion_2_predicts_is_seen_from_its_answer_to_noise(
    says: bool,
    expected: str,
    tmp_path: Path,
    write_latent: Callable[..., Path],
    original: Any,
    pellucid_command: Callable[..., Any],
) -> None:
    folder = write_latent(tmp_path / "model", xl=False, width=32, text=1024)
    tensors = {name: tensor.contiguous() for name, tensor in tensors_of(original, folder, False).items()}
    path = tmp_path / "model.safetensors"
    save_file(recognises_noise(tensors, says), path)
    prior = load_prior(path)
    assert isinstance(prior, Latent)
    assert isinstance(prior.prior, VPNetwork)
    assert prior.prior.prediction == expected
    # Shapes give no answer.
    assert describe(path)[0].predicts == "epsilon or v"
    inspected = dict(line.split("  ", 1) for line in pellucid_command("priors", "inspect", path).out.splitlines())
    assert inspected["predicts"].strip() == "epsilon or v"
    # Converted, it says so itself.
    convert(path, tmp_path / "out")
    assert describe(tmp_path / "out")[0].predicts == expected
    assert f"| predicts | {expected} |" in (tmp_path / "out" / "README.md").read_text()


def test_published_shapes_have_the_published_configurations(original: Any) -> None:
    """Of the networks at full size, from shapes alone."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    plain, cross = "DownBlock2D", "CrossAttnDownBlock2D"
    up, cross_up = "UpBlock2D", "CrossAttnUpBlock2D"
    sd: dict[str, Any] = {
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": [cross, cross, cross, plain],
        "up_block_types": [up, cross_up, cross_up, cross_up],
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 1, 1, 1],
    }
    xl = {
        "block_out_channels": [320, 640, 1280],
        "down_block_types": [plain, cross, cross],
        "up_block_types": [cross_up, cross_up, up],
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 2, 10],
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "attention_head_dim": [5, 10, 20],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    one = {"cross_attention_dim": 768, "use_linear_projection": False, "attention_head_dim": 8}
    two = {"cross_attention_dim": 1024, "use_linear_projection": True, "attention_head_dim": [5, 10, 20, 20]}
    cases: list[tuple[dict[str, Any], int]] = [(sd | one, 859_520_964), (sd | two, 865_910_724), (xl, 2_567_463_684)]
    for config, parameters in cases:
        with torch.device("meta"):
            network: Any = UNet2DConditionModel(**config)
        assert sum(p.numel() for p in network.parameters()) == parameters
        attends = ["Cross" in kind for kind in config["down_block_types"]]
        found = unet_config({k: tuple(v.shape) for k, v in original.unet(network.state_dict(), 2, attends).items()})
        assert {key: found[key] for key in config} == config
    with torch.device("meta"):
        vae: Any = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        )
    found = vae_config_of({k: tuple(v.shape) for k, v in original.vae(vae.state_dict(), 4).items()})
    assert (found["block_out_channels"], found["layers_per_block"]) == ([128, 256, 512, 512], 2)
    assert (found["latent_channels"], found["in_channels"], found["out_channels"]) == (4, 3, 3)
