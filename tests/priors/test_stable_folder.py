"""Stable Diffusion and SDXL converted: what is written computes what was read, and is told the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pellucid.errors import UsageError
from pellucid.priors import Latent, load_prior
from pellucid.priors.convert import convert
from pellucid.priors.describe import describe
from pellucid.priors.folder import WEIGHTS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
Z = torch.randn(1, 4, 2, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["sd", "sdxl", "sd-file", "sdxl-file"])
def source(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    write_latent: Callable[..., Path],
    write_text: Callable[..., None],
    original: Any,
) -> Path:
    """A model with its text encoders, as a folder or as a single file."""
    pytest.importorskip("transformers")
    place, xl, single = tmp_path_factory.mktemp("source"), "xl" in request.param, "file" in request.param
    prediction = "v_prediction" if request.param == "sd" else "epsilon"
    sizes = {"width": 64 if xl else 32, "numbers": 256} if single else {}
    folder = write_latent(place / "model", xl=xl, prediction=prediction, **sizes)
    write_text(folder, xl)
    if not single:
        return folder
    file = {
        **original.unet(load_file(folder / "unet" / WEIGHTS), 1, [not xl, xl]),
        **original.vae(load_file(folder / "vae" / WEIGHTS), 4),
    }
    one = "conditioner.embedders.0." if xl else "cond_stage_model."
    for name, weight in load_file(folder / "text_encoder" / "model.safetensors").items():
        file[f"{one}transformer.text_model.{name.removeprefix('text_model.')}"] = weight
    if xl:
        second = original.openclip(load_file(folder / "text_encoder_2" / "model.safetensors"))
        file |= {f"conditioner.embedders.1.model.{name}": weight for name, weight in second.items()}
    save_file({name: weight.contiguous() for name, weight in file.items()}, place / "model.safetensors")
    return place / "model.safetensors"


def loaded(place: Path, **options: Any) -> Latent:
    prior = load_prior(place, **options)
    assert isinstance(prior, Latent)
    return prior


def test_what_is_written_computes_what_was_read(source: Path, tmp_path: Path) -> None:
    about = convert(source, tmp_path / "out")
    old, new = loaded(source), loaded(tmp_path / "out")
    assert torch.equal(new.sigmas, old.sigmas)
    assert (new.size, new.unit, new.vae.scaling) == (old.size, old.unit, old.vae.scaling)
    assert torch.equal(new.network.text, old.network.text)
    assert new.network.text.any() == (old.network.pooled is None)
    for sigma in (0.05, 0.7, 14.0):
        assert torch.equal(new(Z, sigma), old(Z, sigma))
    image = old.decode(Z, 16, 32)
    assert torch.equal(new.decode(Z, 16, 32), image)
    assert torch.equal(new.encode(image), old.encode(image))
    written = describe(tmp_path / "out")[0]
    for fact in ("family", "size", "parameters", "schedule", "steps", "predicts", "multiple"):
        assert getattr(about, fact) == getattr(written, fact)
    card = (tmp_path / "out" / "README.md").read_text()
    assert about.sha256 in card
    told = "zeros, as it was trained" if about.family == "SDXL" else "what text_encoder/ makes of the empty text"
    assert f"| told where there is no prompt | {told} |" in card


def test_the_diffusers_library_reads_it(source: Path, tmp_path: Path) -> None:
    import diffusers
    import transformers

    convert(source, tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model_index.json").read_text())
    prior = loaded(source)
    kind: Any = diffusers.UNet2DConditionModel
    unet = kind.from_pretrained(tmp_path / "out" / "unet")
    assert all(torch.equal(w, prior.network.unet.state_dict()[name]) for name, w in unet.state_dict().items())
    kind = getattr(diffusers, index["_class_name"])
    # A single file holds no tokenizer, which that pipeline wants to be given.
    missing = {"tokenizer": None} if index["tokenizer"] == [None, None] else {}
    pipeline: Any = kind.from_pretrained(tmp_path / "out", local_files_only=True, **missing)
    assert isinstance(pipeline.scheduler, diffusers.DDIMScheduler)
    assert isinstance(pipeline.vae, diffusers.AutoencoderKL)
    assert isinstance(pipeline.text_encoder, transformers.CLIPTextModel)
    assert (pipeline.tokenizer is None) == source.is_file()
    if "text_encoder_2" in index:
        assert isinstance(pipeline.text_encoder_2, transformers.CLIPTextModelWithProjection)


def test_prompts_are_read_as_before_where_there_is_a_tokenizer(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out")
    if source.is_file():
        # One from the model's own folder, for which nothing else has to be fetched.
        for part in source.with_name("model").glob("tokenizer*"):
            shutil.copytree(part, tmp_path / "out" / part.name)
        source = source.with_name("model")
    old, new = (loaded(place, prompt="a b").network for place in (source, tmp_path / "out"))
    torch.testing.assert_close(new.text, old.text, atol=1e-5, rtol=1e-5)
    assert new.text.any()


def test_half_precision(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out", half=True)
    files = sorted((tmp_path / "out").rglob("*.safetensors"))
    assert len(files) == (4 if describe(source)[0].family == "SDXL" else 3)
    assert {weight.dtype for path in files for weight in load_file(path).values()} == {torch.float16}
    new, old = loaded(tmp_path / "out"), loaded(source)
    torch.testing.assert_close(new(Z, 0.7), old(Z, 0.7), atol=1e-2, rtol=1e-2)
    assert not torch.equal(new(Z, 0.7), old(Z, 0.7))


def test_without_a_text_encoder_zeros_stay_and_are_told(tiny_sd: Path, tmp_path: Path) -> None:
    convert(tiny_sd, tmp_path / "out")
    assert torch.equal(loaded(tmp_path / "out")(Z, 0.7), loaded(tiny_sd)(Z, 0.7))
    assert not list((tmp_path / "out").glob("text_encoder*"))
    assert (
        "zeros, for lack of a text encoder; it was not trained with them"
        in (tmp_path / "out" / "README.md").read_text()
    )


def test_a_folder_of_somebody_else_is_not_replaced(tiny_sdxl: Path, tmp_path: Path) -> None:
    theirs = Path(shutil.copytree(tiny_sdxl, tmp_path / "theirs"))
    with pytest.raises(UsageError, match=r"has model_index\.json, which no conversion wrote"):
        convert(tiny_sdxl, theirs, overwrite=True)
    convert(tiny_sdxl, tmp_path / "out")
    convert(tiny_sdxl, tmp_path / "out", overwrite=True)
    (tmp_path / "out" / "unet" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"has unet/photo\.jpg, which no conversion wrote"):
        convert(tiny_sdxl, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "unet" / "photo.jpg").is_file()


def test_the_command(pellucid_command: Callable[..., Any], tiny_sdxl: Path, tmp_path: Path) -> None:
    said = pellucid_command("priors", "convert", tiny_sdxl, "-o", tmp_path / "out")
    assert said.code == 0, said.err
    assert said.out.startswith(f"{tiny_sdxl} -> {tmp_path / 'out'}  SDXL, ")
