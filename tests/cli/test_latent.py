from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import images


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)).save(path)
    return path


def test_restoring_with_sdxl(pellucid_command: Callable[..., Any], picture: Path, tiny_sdxl: Path) -> None:
    out = picture.with_name("out.png")
    quick = ("--fidelity", 0.95)
    said = pellucid_command("restore", picture, "--prior", tiny_sdxl, "-o", out, *quick)
    assert said.code == 0, said.err
    assert images.size_of(out) == (256, 256)
    assert "9 NFE" in said.out
    assert "dreamclean at strength 30 (" in said.out
    assert "; the autoencoder alone costs" in said.out


@pytest.mark.parametrize("method", ["dreamclean", "diip"])
def test_the_same_seed_gives_the_same_bytes(
    pellucid_command: Callable[..., Any], tmp_path: Path, tiny_sd: Path, method: str
) -> None:
    Image.new("L", (33, 20), 100).save(tmp_path / "in.png")
    options = ["--set", "strength=20"] if method == "dreamclean" else ["--set", "steps=2", "--set", "iterations=3"]
    for name in ("a.png", "b.png"):
        said = pellucid_command(
            "restore", tmp_path / "in.png", "-p", tiny_sd, "-m", method, "-o", tmp_path / name, "--seed", 7, *options
        )
        assert said.code == 0, said.err
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert images.read(tmp_path / "a.png").tensor().shape == (1, 1, 20, 33)


def test_memory_is_told_before_it_is_taken(
    pellucid_command: Callable[..., Any], picture: Path, tiny_sdxl: Path, tiny_prior: Path
) -> None:
    arguments = ("restore", picture, "-o", picture.with_name("out.png"), "--dry-run", "--prior")
    said = pellucid_command(*arguments, tiny_sdxl)
    assert said.code == 0
    assert said.out.rstrip().endswith("GB of memory")
    told = json.loads(pellucid_command(*arguments, tiny_sdxl, "--json").out)["memory"]
    assert told > sum(path.stat().st_size for path in tiny_sdxl.glob("*/*.safetensors"))
    assert json.loads(pellucid_command(*arguments, tiny_prior, "--json").out)["memory"] is None
    assert not picture.with_name("out.png").exists()


def test_inspecting(pellucid_command: Callable[..., Any], tiny_sdxl: Path) -> None:
    said = pellucid_command("priors", "inspect", tiny_sdxl)
    facts = dict(line.split("  ", 1) for line in said.out.splitlines())
    assert facts["family"].strip() == "SDXL"
    assert facts["resolution"].strip() == "128 x 128"
    assert facts["memory"].strip().endswith("GB at 128 x 128")
    record = json.loads(pellucid_command("priors", "inspect", tiny_sdxl, "--json").out)
    assert record["memory"] > record["bytes"]


def test_what_is_wrong_is_one_line(
    pellucid_command: Callable[..., Any], picture: Path, tiny_sdxl: Path, tiny_prior: Path
) -> None:
    arguments = ("restore", picture, "-o", picture.with_name("out.png"), "--prior")
    for prior, options, code, words in (
        (tiny_sdxl, ("--prompt", "a cat"), 1, "has no text_encoder/"),
        (tiny_prior, ("--prompt", "a cat"), 2, "a prompt goes with"),
        (tiny_sdxl, ("--task", "denoise", "-m", "ddrm"), 2, "take dps or gdp"),
        (tiny_sdxl / "vae", (), 1, "an autoencoder, which makes no images"),
    ):
        said = pellucid_command(*arguments, prior, *options)
        assert (said.code, len(said.err.splitlines())) == (code, 1)
        assert words in said.err


def test_another_prompt_or_autoencoder_is_another_job(tiny_sdxl: Path) -> None:
    from pellucid.jobs import of_configuration
    from pellucid.priors import Latent, load_prior

    first, second = load_prior(tiny_sdxl), load_prior(tiny_sdxl)
    assert isinstance(second, Latent)
    assert of_configuration(first, {}) == of_configuration(second, {})
    second.vae.scaling = 0.2
    assert of_configuration(first, {}) != of_configuration(second, {})
    second.vae.scaling = 0.13025
    second.network.text += 1
    assert of_configuration(first, {}) != of_configuration(second, {})


@pytest.mark.parametrize("arguments", [("gdp-1", "--quick"), ("known",), ("blind",)])
def test_measurements_are_of_priors_of_pixels(
    pellucid_command: Callable[..., Any], tmp_path: Path, tiny_sdxl: Path, arguments: tuple[str, ...]
) -> None:
    output = ("-o", tmp_path / "run") if "--quick" in arguments else ()
    said = pellucid_command("bench", *arguments, "--prior", tiny_sdxl, *output)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "is a prior of latents" in said.err
    assert not (tmp_path / "run").exists()
