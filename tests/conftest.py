"""Fixtures shared by all tests: photographs, small priors, and the command line in this process."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import settings
from torch import Tensor

import pellucid.cli
from pellucid import images
from pellucid.maths.problem import to_model
from pellucid.priors import Prior, load_prior
from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.train.export import Origin, write_prior
from pellucid.train.recipe import preset

# Side by side (pytest -n 2) each process has its share of the cores, and so have those that it starts: threads of
# several that are more than cores wait for each other.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    threads = max(1, (os.cpu_count() or 1) // workers)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)

# A busy machine is no failure; in CI the same examples each time. `--hypothesis-profile thorough` tries more.
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.register_profile("pellucid", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pellucid")

# Dozens of programs are started here, and each would compile the whole package again: a second of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Gives each process of `pytest -n` whole folders and no single tests in turn, so that it makes fixtures once."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "worksteal"


def pytest_collection_finish() -> None:
    """Spares the collector what stays to the end: tests, and all modules that they import."""
    gc.collect()
    gc.freeze()


ASSETS = Path(__file__).parents[1] / "src" / "pellucid" / "assets"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data; tests that need it are skipped on a machine without it."""
    folder = Path(os.environ.get("PELLUCID_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data" / "eval").is_dir():
        pytest.skip("needs the development photographs: set PELLUCID_SHARED to the folder that holds data/eval")
    return folder


@pytest.fixture(scope="session")
def natural() -> Prior:
    """The default prior of the package."""
    return load_prior("natural", "cpu")


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
    network = DenoisingUNet(UNetConfig(channels=channels, patch=2, widths=(8, 16), blocks=(1, 1), embedding=8))
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


def write_latent(
    folder: Path, *, xl: bool, prediction: str = "epsilon", width: int = 8, numbers: int = 8, text: int = 16
) -> Path:
    """A random model of latent diffusion, without text encoders, as diffusers writes it; pixels are 8 to a latent.

    Args:
        folder: where to.
        xl: in the shape of SDXL, else of Stable Diffusion.
        prediction: what its scheduler says that it predicts.
        width: of its narrowest layers.
        numbers: that SDXL has for each of the sizes it is told.
        text: width of the text's embedding.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    torch.manual_seed(0)
    down, up = ["DownBlock2D", "CrossAttnDownBlock2D"], ["CrossAttnUpBlock2D", "UpBlock2D"]
    groups = min(32, width // 2) if width < 32 else 32
    kinds: dict[str, Any] = {"down_block_types": down if xl else down[::-1], "up_block_types": up if xl else up[::-1]}
    if xl:
        kinds |= {
            "attention_head_dim": (max(1, width // 64), max(2, 2 * width // 64)),
            "use_linear_projection": True,
            "transformer_layers_per_block": (1, 2),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": numbers,
            "projection_class_embeddings_input_dim": 6 * numbers + 16,
        }
    else:
        kinds |= {"attention_head_dim": 8}
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(width, 2 * width),
        layers_per_block=1,
        norm_num_groups=groups,
        cross_attention_dim=text,
        **kinds,
    )
    vae = AutoencoderKL(
        block_out_channels=(width,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=groups,
        scaling_factor=0.13025 if xl else 0.18215,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction
    )
    parts: dict[str, Any] = {"unet": unet, "vae": vae, "scheduler": scheduler}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index = {"_class_name": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index | ({"force_zeros_for_empty_prompt": True} if xl else {})))
    return folder


@pytest.fixture(scope="session", name="write_latent")
def _write_latent() -> Callable[..., Path]:
    return write_latent


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random model in the shape of SDXL."""
    return write_latent(tmp_path_factory.mktemp("latent") / "tiny-sdxl", xl=True)


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random model in the shape of Stable Diffusion."""
    return write_latent(tmp_path_factory.mktemp("latent") / "tiny-sd", xl=False)


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
